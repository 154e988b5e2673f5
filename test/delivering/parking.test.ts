import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { cancelOwed, deleteEndpoint } from "../../src/delivering/endpoint_store.ts";
import { clearBacklogMark, unpark } from "../../src/delivering/store.ts";
import { type Flow, jobsLeft, openFlow, states, until } from "../support/flow.ts";

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow();
});
afterEach(() => flow.reset());
afterAll(() => flow.end());

/** A receiver that answers slowly, and knows how much it had in hand at most. */
function busyReceiver(answerMs: number) {
  const load = { now: 0, most: 0 };
  const receiver = flow.receiver(async () => {
    load.now++;
    load.most = Math.max(load.most, load.now);
    await Bun.sleep(answerMs);
    load.now--;
    return new Response("ok");
  });
  return { receiver, load };
}

async function hasParked(): Promise<boolean> {
  const [row] = await flow.database.sql<
    { parked: boolean }[]
  >`select bool_or(has_parked) as parked from deltahook.endpoint_health`;
  return row?.parked ?? false;
}

test("a paused endpoint's deliveries wait untried, and all arrive after it resumes", async () => {
  const receiver = flow.receiver();
  const { id } = await flow.endpoint({ url: receiver.url });
  const { sql } = flow.database;
  await sql`update deltahook.endpoint_health set paused_reason = 'manual', paused_since = now() where endpoint_id = ${id}`;
  const engine = flow.engine();
  await flow.publish(engine, 500);
  expect(await states(flow)).toEqual({ parked: 500 });
  await Bun.sleep(1_500);
  expect(receiver.received).toHaveLength(0);
  expect(await jobsLeft(flow)).toEqual({ jobs: 0, locked: 0 });

  await sql`update deltahook.endpoint_health set paused_reason = null, paused_since = null where endpoint_id = ${id}`;
  await receiver.arrived(500);
  await until(async () => (await states(flow)).delivered === 500);
  expect(receiver.received).toHaveLength(500);
  await until(async () => !(await hasParked()), "the end of the backlog");
});

test("a pause catches what is already queued, without using a try", async () => {
  const receiver = flow.receiver();
  const { id } = await flow.endpoint({ url: receiver.url });
  const { sql } = flow.database;
  await flow.publish(flow.engine({ work: false }), 50);
  await sql`update deltahook.endpoint_health set paused_reason = 'manual', paused_since = now() where endpoint_id = ${id}`;
  flow.engine();
  await until(async () => (await states(flow)).parked === 50);
  expect(await sql`select from deltahook.deliveries where tries > 0 or attempt > 1`).toHaveLength(0);
  expect(receiver.received).toHaveLength(0);
});

test("an endpoint over its cap parks and drains, losing none, and never has more in hand than the cap", async () => {
  const { receiver, load } = busyReceiver(30);
  await flow.endpoint({ url: receiver.url, maxInFlight: 4 });
  const engine = flow.engine();
  await flow.publish(engine, 400);
  await until(async () => ((await states(flow)).parked ?? 0) > 0, "a parked delivery");
  await receiver.arrived(400, 50_000);
  await until(async () => (await states(flow)).delivered === 400);
  expect(receiver.received).toHaveLength(400);
  expect(load.most).toBe(4);
});

test("a hanging endpoint that is owed 1,000 leaves another's deliveries flowing", async () => {
  const hanging = flow.receiver(() => new Promise<Response>(() => {}));
  const healthy = flow.receiver();
  await flow.endpoint({ url: hanging.url, eventTypes: ["hanging"], maxInFlight: 32 });
  await flow.endpoint({ url: healthy.url, eventTypes: ["healthy"], maxInFlight: 32 });
  const engine = flow.engine({ concurrency: 64, timeoutMs: 60_000 });
  await flow.publish(engine, 1_000, "hanging");
  await until(() => hanging.received.length === 32, "the hanging endpoint's first tries");
  const startedAt = performance.now();
  await flow.publish(engine, 500, "healthy");
  await healthy.arrived(500, 20_000);
  expect(performance.now() - startedAt).toBeLessThan(20_000);
  await until(async () => (await states(flow)).parked === 968, "the rest being set aside");
  expect(hanging.received).toHaveLength(32);
});

test("Retry-After holds the endpoint: what is owed waits, and goes on by itself", async () => {
  let held = true;
  const receiver = flow.receiver((_, nth) =>
    held && nth === 1 ? new Response(null, { status: 429, headers: { "retry-after": "3600" } }) : new Response("ok"),
  );
  const { id } = await flow.endpoint({ url: receiver.url, maxInFlight: 1 });
  const { sql } = flow.database;
  const engine = flow.engine();
  await flow.publish(engine, 1);
  await until(
    async () => (await sql`select from deltahook.endpoint_health where hold_until > now()`).length === 1,
    "the hold",
  );
  await flow.publish(engine, 20);
  await until(async () => (await states(flow)).parked === 20);
  expect(receiver.received).toHaveLength(1);
  expect(
    await sql`select from deltahook.endpoint_health where window_tries > 0 or failing_since is not null`,
  ).toHaveLength(0);

  held = false;
  await sql`update deltahook.endpoint_health set hold_until = now() where endpoint_id = ${id}`;
  await sql`update deltahook.deliveries set due_at = now() where not parked and state = 'pending'`;
  await receiver.arrived(21);
  await until(async () => (await states(flow)).delivered === 21);
});

describe("the backlog", () => {
  test("of a paused endpoint gives nothing, however it is asked", async () => {
    const { id } = await flow.endpoint({ url: "http://127.0.0.1:9/hook" });
    const { sql } = flow.database;
    await sql`update deltahook.endpoint_health set paused_reason = 'gone', paused_since = now()`;
    await flow.publish(flow.engine({ work: false }), 10);
    expect(await unpark(sql, id, 5, 32)).toBe(0);
    expect(await states(flow)).toEqual({ parked: 10 });
  });

  test("is given oldest first, to each who asks something else", async () => {
    const { id } = await flow.endpoint({ url: "http://127.0.0.1:9/hook" });
    const { sql } = flow.database;
    await sql`update deltahook.endpoint_health set paused_reason = 'manual', paused_since = now()`;
    await flow.publish(flow.engine({ work: false }), 100);
    await sql`update deltahook.endpoint_health set paused_reason = null, paused_since = null`;
    expect(await unpark(sql, id, 10, 4)).toBe(10);
    const taken = await sql<{ data: string }[]>`
      select data::text as data from deltahook.deliveries join deltahook.events on events.id = event_id
      where not parked order by deliveries.id`;
    expect(taken.map(({ data }) => JSON.parse(data).n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect((await jobsLeft(flow)).jobs).toBe(3);
    await Promise.all(Array.from({ length: 8 }, () => unpark(sql, id, 10, 4)));
    expect(await states(flow)).toEqual({ pending: 90, parked: 10 });
  });

  test("of a deleted endpoint is cancelled without what publishers wait for, and no other's is", async () => {
    const [gone, kept] = [
      await flow.endpoint({ url: "http://127.0.0.1:9/" }),
      await flow.endpoint({ url: "http://127.0.0.1:9/" }),
    ];
    const { sql } = flow.database;
    await sql`update deltahook.endpoint_health set paused_reason = 'manual', paused_since = now()`;
    await flow.publish(flow.engine({ work: false }), 6_000);
    await sql.begin((tx) => deleteEndpoint(tx, gone.id));
    await sql.begin(async (publisher) => {
      await publisher`select from deltahook.endpoint_health where endpoint_id = ${kept.id} for update`;
      await cancelOwed(sql, gone.id);
    });
    const left = await sql`select distinct endpoint_id as id from deltahook.deliveries where parked`;
    expect(left).toEqual([{ id: kept.id }] as never);
    expect(await states(flow)).toEqual({ parked: 6_000, cancelled: 6_000 });
  });

  test("never ends up unmarked while somebody joins it", async () => {
    const { id } = await flow.endpoint({ url: "http://127.0.0.1:9/hook" });
    const { sql } = flow.database;
    const { delivering } = flow.engine({ work: false });
    for (let round = 0; round < 25; round++) {
      await sql`update deltahook.endpoint_health set has_parked = true`;
      await Promise.all([
        clearBacklogMark(sql, id),
        delivering.publish(sql, [{ type: "order.paid", data: "{}", origin: "api" }]),
        clearBacklogMark(sql, id),
      ]);
      const [row] = await sql`
        select has_parked, (select count(*) from deltahook.deliveries where parked) as parked from deltahook.endpoint_health`;
      expect({ round, ...row }).toMatchObject({ round, has_parked: Number(row?.parked) > 0 });
      await sql`update deltahook.deliveries set parked = false`;
    }
  });
});
