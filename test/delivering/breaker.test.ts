import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { publicId } from "../../src/platform/ids.ts";
import { type Flow, openFlow, states, until } from "../support/flow.ts";

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow();
});
afterEach(() => flow.reset());
afterAll(() => flow.end());

type HealthRow = { paused_reason: string | null; probe_in_s: number | null; probe_step: number; window_tries: number };

async function health(endpointId: string): Promise<HealthRow> {
  const [row] = await flow.database.sql<HealthRow[]>`
    select paused_reason, (extract(epoch from probe_at - now()))::float8 as probe_in_s, probe_step, window_tries
    from deltahook.endpoint_health where endpoint_id = ${endpointId}`;
  if (!row) throw new Error("the endpoint has no health");
  return row;
}

/** Instead of waiting for half a minute and more. */
async function probeNow(): Promise<void> {
  await flow.database.sql`update deltahook.endpoint_health set probe_at = now() where probe_at is not null`;
}

/** A receiver that can be broken and mended, and an endpoint that tries it again soon. */
async function breakable(options: { autoPause?: boolean } = {}) {
  const state = { status: 500 };
  const receiver = flow.receiver(() => new Response(null, { status: state.status }));
  const endpoint = await flow.endpoint({
    url: receiver.url,
    eventTypes: ["order.*"],
    retry: Array.from({ length: 30 }, () => 50),
    ...options,
  });
  return { state, receiver, ...endpoint };
}

test("a failing endpoint is paused, probed at growing distances, and resumes by itself with all that it was owed", async () => {
  const { state, receiver, id } = await breakable();
  const listener = flow.receiver();
  await flow.endpoint({ url: listener.url, eventTypes: ["endpoint.*"] });
  const engine = flow.engine();
  await flow.publish(engine, 60);
  await until(async () => (await health(id)).paused_reason === "failing", "the pause");
  await until(async () => (await states(flow)).parked === 60, "all deliveries being set aside");
  const before = receiver.received.length;
  expect((await health(id)).probe_in_s).toBeLessThanOrEqual(30);
  const [used] = await flow.database
    .sql`select sum(tries) as tries from deltahook.deliveries where endpoint_id = ${id}`;

  await probeNow();
  await until(async () => (await health(id)).probe_step === 1, "the first probe's failure");
  expect(receiver.received).toHaveLength(before + 1);
  expect((await health(id)).probe_in_s).toBeGreaterThan(40);
  const probes = await flow.database.sql`select outcome, status from deltahook.attempts where probe`;
  expect(probes).toEqual([{ outcome: "failed", status: 500 }] as never);
  const [still] = await flow.database
    .sql`select sum(tries) as tries from deltahook.deliveries where endpoint_id = ${id}`;
  expect(still).toEqual(used as never);

  await flow.publish(engine, 40);
  state.status = 200;
  await until(async () => (await states(flow)).parked === 100, "the failed probe's return");
  await probeNow();
  await receiver.arrived(100);
  await until(async () => (await health(id)).paused_reason === null, "the end of the pause");
  await listener.arrived(2);
  const told = listener.received
    .map(({ body }) => JSON.parse(body))
    .sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
  expect(told.map(({ type }) => type)).toEqual(["endpoint.paused", "endpoint.resumed"]);
  expect(told[0].data).toEqual({
    endpoint: { id: publicId("endpoint", id), name: "Test", url: receiver.url },
    reason: "failing",
  });
});

test("the probe is the oldest delivery owed", async () => {
  const { state, receiver, id } = await breakable();
  await flow.database.sql`
    update deltahook.endpoint_health set paused_reason = 'failing', paused_since = now(), probe_at = now() + interval '1 hour'
    where endpoint_id = ${id}`;
  const engine = flow.engine();
  const [first] = await flow.publish(engine, 20);
  state.status = 500;
  await probeNow();
  await until(() => receiver.received.length === 1, "the probe");
  expect(receiver.received[0]?.id).toBe(publicId("event", first ?? ""));
});

test("an endpoint that must not be paused goes on being tried", async () => {
  const { receiver, id } = await breakable({ autoPause: false });
  await flow.publish(flow.engine(), 20);
  await until(() => receiver.received.length >= 60, "three rounds of tries");
  expect((await health(id)).paused_reason).toBeNull();
});

test("a busy endpoint with few failures is not taken for a failing one", async () => {
  const receiver = flow.receiver((_, nth) => new Response(null, { status: nth % 10 === 0 ? 500 : 200 }));
  const { id } = await flow.endpoint({ url: receiver.url, maxInFlight: 256, retry: [100, 100, 100, 100, 100] });
  const engine = flow.engine();
  await flow.publish(engine, 1_500);
  await receiver.arrived(1_500);
  await until(async () => (await states(flow)).delivered === 1_500);
  expect((await health(id)).paused_reason).toBeNull();
});

describe("410", () => {
  test("pauses the endpoint for good: nothing more is tried, nothing owed is lost", async () => {
    const receiver = flow.receiver(() => new Response(null, { status: 410 }));
    const { id } = await flow.endpoint({ url: receiver.url, maxInFlight: 1 });
    const engine = flow.engine();
    await flow.publish(engine, 1);
    await until(async () => (await health(id)).paused_reason === "gone", "the pause");
    await flow.publish(engine, 30);
    expect(await states(flow)).toEqual({ dead: 1, parked: 30 });
    await Bun.sleep(1_200);
    expect(receiver.received).toHaveLength(1);
    const letters = await flow.database.sql`select reason, attempts, last_status from deltahook.dead_letters`;
    expect(letters).toEqual([{ reason: "gone", attempts: 1, last_status: 410 }] as never);
    expect((await health(id)).probe_in_s).toBeNull();
  });
});
