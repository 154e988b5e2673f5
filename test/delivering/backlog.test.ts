import { afterEach, beforeEach, expect, test } from "bun:test";
import { type Flow, jobsLeft, openFlow, states, until } from "../support/flow.ts";

const OWED = 5_000;
const CAP = 8;

let flow: Flow;
beforeEach(async () => {
  flow = await openFlow();
});
afterEach(() => flow.end());

/** Answers after a few milliseconds, and knows how many requests it had open at once. */
function countingReceiver() {
  const load = { now: 0, most: 0 };
  const receiver = flow.receiver(async () => {
    load.most = Math.max(load.most, ++load.now);
    await Bun.sleep(4);
    load.now--;
    return new Response("ok");
  });
  return { receiver, load };
}

test("a paused endpoint owed 5,000 is drained at its cap after it resumes, in its order of age, and harms no other", async () => {
  const { receiver, load } = countingReceiver();
  const { id } = await flow.endpoint({ url: receiver.url, eventTypes: ["owed"], maxInFlight: CAP });
  const other = flow.receiver();
  await flow.endpoint({ url: other.url, eventTypes: ["other"] });
  const { sql } = flow.database;
  await sql`update deltahook.endpoint_health set paused_reason = 'manual', paused_since = now() where endpoint_id = ${id}`;
  const engine = flow.engine();
  await flow.publish(engine, OWED, "owed");
  expect(await states(flow)).toEqual({ parked: OWED });

  await sql`update deltahook.endpoint_health set paused_reason = null, paused_since = null where endpoint_id = ${id}`;
  await until(() => receiver.received.length > 0, "the first of the backlog");
  const latencies: number[] = [];
  for (let n = 1; receiver.received.length < OWED; n++) {
    const startedAt = performance.now();
    await flow.publish(engine, 1, "other");
    await other.arrived(n);
    latencies.push(performance.now() - startedAt);
    await Bun.sleep(20);
  }
  await until(async () => (await states(flow)).delivered === OWED + latencies.length);

  expect(load.most).toBe(CAP);
  expect(receiver.received).toHaveLength(OWED);
  const numbers = receiver.received.map(({ body }) => JSON.parse(body).data.n as number);
  // Several are out at once, and jobs overtake each other a little: nobody is left behind for long.
  expect(Math.max(...numbers.map((n, place) => Math.abs(n - place)))).toBeLessThan(OWED / 4);
  expect(latencies.length).toBeGreaterThan(10);
  expect(latencies.sort((a, b) => a - b)[Math.floor(latencies.length * 0.95)]).toBeLessThan(2_000);
  await until(async () => (await jobsLeft(flow)).jobs === 0, "an empty queue");
  const [health] = await sql<
    { has_parked: boolean }[]
  >`select bool_or(has_parked) as has_parked from deltahook.endpoint_health`;
  await until(
    async () =>
      health?.has_parked === false || (await sql`select from deltahook.endpoint_health where has_parked`).length === 0,
  );
});

test("what is published while the backlog drains waits its turn behind it", async () => {
  const { receiver, load } = countingReceiver();
  const { id } = await flow.endpoint({ url: receiver.url, maxInFlight: CAP });
  const { sql } = flow.database;
  await sql`update deltahook.endpoint_health set paused_reason = 'manual', paused_since = now() where endpoint_id = ${id}`;
  const engine = flow.engine();
  await flow.publish(engine, 1_000);
  await sql`update deltahook.endpoint_health set paused_reason = null, paused_since = null where endpoint_id = ${id}`;
  await until(() => receiver.received.length >= 50, "the first of the backlog");
  const late = await flow.publish(engine, 10, "late");
  await receiver.arrived(1_010);
  const types = receiver.received.map(({ body }) => JSON.parse(body).type as string);
  expect(types.indexOf("late")).toBeGreaterThan(500);
  expect(late).toHaveLength(10);
  expect(load.most).toBe(CAP);
});
