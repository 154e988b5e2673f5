import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createGate, type Entry } from "../../src/delivering/gate.ts";
import { type Flow, openFlow, states, until } from "../support/flow.ts";

let flow: Flow;
beforeEach(async () => {
  flow = await openFlow();
});
afterEach(() => flow.end());

/** Bun's test runner opens 256 requests at most, whatever the environment says: eight times the cap stays below that. */
const CAP = 16;
const CONCURRENCY = 64;
/** For a busy machine; the bench has the figure. Whoever waits for those that hang waits for their timeout, a minute. */
const SOON_MS = 4_000;

/** Endpoints that take a request and never answer. Their breakers are off: a paused endpoint would harm nobody. */
async function hangingEndpoints(count: number, options: { ordered?: boolean } = {}) {
  const receiver = flow.receiver(() => new Promise<Response>(() => {}));
  for (let i = 0; i < count; i++) {
    const eventTypes = [`hanging.${i}`];
    await flow.endpoint({ url: receiver.url, eventTypes, maxInFlight: CAP, autoPause: false, ...options });
  }
  return receiver;
}

/** p95 from submission to arrival of `count` events, one every 20 ms. */
async function healthyP95(engine: ReturnType<Flow["engine"]>, count: number): Promise<number> {
  const healthy = flow.receiver();
  await flow.endpoint({ url: healthy.url, eventTypes: ["healthy"] });
  const latencies: number[] = [];
  const submitted: Promise<unknown>[] = [];
  for (let n = 1; n <= count; n++) {
    const startedAt = performance.now();
    const event = { type: "healthy", data: `{"n":${n}}`, origin: "api" as const };
    submitted.push(engine.delivering.ingest.submit({ event, requestHash: Buffer.alloc(0) }));
    void healthy.arrived(n).then(
      () => latencies.push(performance.now() - startedAt),
      () => {},
    );
    await Bun.sleep(20);
  }
  await Promise.all(submitted);
  await healthy.arrived(count);
  await until(() => latencies.length === count);
  return latencies.sort((a, b) => a - b)[Math.floor(count * 0.95)] ?? Number.NaN;
}

describe("healthy endpoints keep their latency", () => {
  test.each([
    ["one endpoint hangs that is owed 4,000", 1, CAP],
    ["eight endpoints hang that are owed 4,000", 8, CONCURRENCY],
  ])("while %s", async (_, count, most) => {
    const hanging = await hangingEndpoints(count);
    const engine = flow.engine({ concurrency: CONCURRENCY, timeoutMs: 60_000 });
    await Promise.all(Array.from({ length: count }, (_, i) => flow.publish(engine, 4_000 / count, `hanging.${i}`)));
    expect(await healthyP95(engine, 100)).toBeLessThan(SOON_MS);
    await until(
      async () => (await states(flow)).parked === 4_000 - hanging.received.length,
      "the rest being set aside",
    );
    expect(hanging.received.length).toBeGreaterThanOrEqual(CAP);
    expect(hanging.received.length).toBeLessThanOrEqual(most);
  });

  test("while so many hang, each in a job of its own, as the node has places", async () => {
    const hanging = await hangingEndpoints(16, { ordered: true });
    const engine = flow.engine({ concurrency: 16, timeoutMs: 60_000, work: false });
    for (let i = 0; i < 16; i++) await flow.publish(engine, 2, `hanging.${i}`);
    flow.engine({ concurrency: 16, timeoutMs: 60_000 });
    await until(() => hanging.received.length === 16, "one try at each");
    expect(await healthyP95(engine, 50)).toBeLessThan(SOON_MS);
  });
});

describe("the line before an endpoint at its cap", () => {
  /** An endpoint with one place, which is taken; its tries took `tryMs` so far. The gate's clock stands still. */
  async function lined(tryMs: number) {
    const clock = { ms: 0 };
    const gate = createGate({ limit: 100, share: (cap) => cap, now: () => clock.ms, onRoom() {} });
    const endpoint = { id: "a", maxInFlight: 1 };
    await gate.enter(endpoint);
    gate.leave("a", tryMs);
    await gate.enter(endpoint);
    const entries: (Entry | null)[] = [];
    const ask = () => {
      const place = entries.push(null) - 1;
      void Promise.resolve(gate.enter(endpoint)).then((entry) => {
        entries[place] = entry;
      });
    };
    return { gate, clock, entries, ask };
  }

  test("is as long as it can be served within half a second; whoever comes later is parked at once", async () => {
    const { gate, entries, ask } = await lined(100);
    for (let i = 0; i < 8; i++) ask();
    await Bun.sleep(0);
    expect(entries).toEqual([null, null, null, null, null, "park", "park", "park"]);
    gate.stop();
  });

  test("shortens while nothing moves, from its end", async () => {
    const { gate, clock, entries, ask } = await lined(1);
    for (let i = 0; i < 8; i++) ask();
    clock.ms = 200;
    await until(() => entries.includes("park"));
    expect(entries).toEqual([null, null, null, "park", "park", "park", "park", "park"]);
    gate.stop();
  });
});
