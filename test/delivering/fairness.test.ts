import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type Flow, openFlow, states, until } from "../support/flow.ts";

let flow: Flow;
beforeEach(async () => {
  flow = await openFlow();
});
afterEach(() => flow.end());

const CAP = 32;
/** The bench measures a few times the calm value; this bound only tells waiting for others from not waiting. */
const SOON_MS = 1_500;

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
    ["one endpoint hangs that is owed 4,000", 1],
    ["eight endpoints hang that are owed 4,000", 8],
  ])("while %s", async (_, count) => {
    const hanging = await hangingEndpoints(count);
    const engine = flow.engine({ timeoutMs: 60_000 });
    await Promise.all(Array.from({ length: count }, (_, i) => flow.publish(engine, 4_000 / count, `hanging.${i}`)));
    expect(await healthyP95(engine, 100)).toBeLessThan(SOON_MS);
    const inFlight = hanging.received.length;
    expect(inFlight).toBeGreaterThanOrEqual(CAP);
    expect(inFlight).toBeLessThanOrEqual(CAP * count);
    await until(async () => (await states(flow)).parked === 4_000 - inFlight, "the rest being set aside");
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
