import { publicId } from "../../src/platform/ids.ts";
import { testDatabase } from "../support/database.ts";
import { addEndpoint, type Engine, startEngine } from "../support/engine.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";

const HEALTHY = 5;
const PER_SECOND = 60;

export type Fairness = { calmMs: number; burstMs: number; afterMs: number };

/**
 * p95 of publish → arrival at healthy endpoints, in milliseconds: while all is calm; in the seconds in which endpoints that
 * never answer are given `owed` deliveries in all; and in those after, while they hang on. Their tries run into the
 * default timeout and are retried; their breakers are off, since a paused endpoint would harm nobody.
 */
export async function measureFairness(options: { hanging: number; owed: number; seconds: number }): Promise<Fairness> {
  const at = await testDatabase();
  const healthy = startReceiver();
  const hanging = startReceiver(() => new Promise<Response>(() => {}));
  const engine = startEngine(at, { timeoutMs: 15_000, retry: [5_000, 5_000, 5_000, 5_000, 5_000] });
  try {
    for (let i = 0; i < HEALTHY; i++) {
      await addEndpoint(at.database, { url: `${healthy.url}/${i}`, eventTypes: [`healthy.${i}`] });
    }
    const types = Array.from({ length: options.hanging }, (_, i) => `hanging.${i}`);
    for (const type of types) {
      await addEndpoint(at.database, { url: hanging.url, eventTypes: [type], autoPause: false });
    }
    await publishSteadily(engine, healthy, 2);
    const calmMs = await publishSteadily(engine, healthy, options.seconds);
    const [burstMs] = await Promise.all([
      publishSteadily(engine, healthy, options.seconds),
      publishBurst(engine, types, options.owed),
    ]);
    const afterMs = await publishSteadily(engine, healthy, options.seconds);
    return { calmMs, burstMs, afterMs };
  } finally {
    engine.delivering.abort();
    await engine.stop();
    healthy.stop();
    hanging.stop();
    await at.drop();
  }
}

export type Drain = { perSecond: number; mostInFlight: number; calmMs: number; meanwhileMs: number };

/**
 * A paused endpoint that is owed `owed` deliveries is resumed: how fast its backlog drains, how many requests it had open
 * at once, and the p95 of healthy endpoints before and meanwhile. The endpoint answers after 10 ms.
 */
export async function measureDrain(options: { owed: number; cap: number; seconds: number }): Promise<Drain> {
  const at = await testDatabase();
  const { sql } = at.database;
  const healthy = startReceiver();
  const resumed = slowReceiver(10);
  const engine = startEngine(at);
  try {
    for (let i = 0; i < HEALTHY; i++) {
      await addEndpoint(at.database, { url: `${healthy.url}/${i}`, eventTypes: [`healthy.${i}`] });
    }
    const { id } = await addEndpoint(at.database, {
      url: resumed.url,
      eventTypes: ["owed"],
      maxInFlight: options.cap,
    });
    await sql`update deltahook.endpoint_health set paused_reason = 'manual', paused_since = now() where endpoint_id = ${id}`;
    await publishBurst(engine, ["owed"], options.owed);
    await sql`analyze deltahook.deliveries, deltahook.events`;
    const calmMs = await publishSteadily(engine, healthy, options.seconds);
    const startedAt = performance.now();
    await sql`update deltahook.endpoint_health set paused_reason = null, paused_since = null where endpoint_id = ${id}`;
    const meanwhileMs = await publishSteadily(engine, healthy, options.seconds);
    while (resumed.answered() < options.owed) await Bun.sleep(20);
    const perSecond = (options.owed * 1_000) / (performance.now() - startedAt);
    return { perSecond, mostInFlight: resumed.most(), calmMs, meanwhileMs };
  } finally {
    await engine.stop();
    healthy.stop();
    await resumed.stop();
    await at.drop();
  }
}

/** Keeps nothing of what it gets, since it gets much, but how many requests it had open at once. */
function slowReceiver(ms: number) {
  let open = 0;
  let most = 0;
  let answered = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      most = Math.max(most, ++open);
      await Promise.all([request.text(), Bun.sleep(ms)]);
      open--;
      answered++;
      return new Response("ok");
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/hook`,
    most: () => most,
    answered: () => answered,
    stop: () => server.stop(true),
  };
}

/** @returns p95 in milliseconds from before an event's submission to its arrival */
async function publishSteadily(engine: Engine, receiver: Receiver, seconds: number): Promise<number> {
  const count = seconds * PER_SECOND;
  const before = receiver.ids().size;
  const submittedAt = new Map<string, number>();
  const startedAt = performance.now();
  const submitting: Promise<void>[] = [];
  for (let i = 0; i < count; i++) {
    await Bun.sleep(Math.max(0, startedAt + (i * 1_000) / PER_SECOND - performance.now()));
    const at = performance.now();
    const event = { type: `healthy.${i % HEALTHY}`, data: `{"n":${i}}`, origin: "api" as const };
    const submitted = engine.delivering.ingest.submit({ event, requestHash: Buffer.alloc(0) });
    submitting.push(submitted.then(({ eventId }) => void submittedAt.set(publicId("event", eventId), at)));
  }
  await Promise.all(submitting);
  await receiver.arrived(before + count, 60_000);
  const latencies = receiver.received.flatMap(({ id, at }) => {
    const from = submittedAt.get(id);
    return from === undefined ? [] : [at - from];
  });
  return latencies.sort((a, b) => a - b)[Math.floor(latencies.length * 0.95)] ?? Number.NaN;
}

/** In batches of 500, the types in turn. */
async function publishBurst(engine: Engine, types: readonly string[], owed: number): Promise<void> {
  for (let from = 0; from < owed; from += 500) {
    await engine.delivering.ingest.submitAll(
      Array.from({ length: Math.min(500, owed - from) }, (_, i) => ({
        event: { type: types[(from + i) % types.length] ?? "", data: `{"n":${from + i}}`, origin: "api" as const },
        requestHash: Buffer.alloc(0),
      })),
    );
  }
}
