import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { enqueueDue, enqueueLostFanOuts, freeLost } from "../../src/delivering/store.ts";
import { persist } from "../../src/platform/database.ts";
import { type Flow, jobsLeft, openFlow, states, until } from "../support/flow.ts";

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow();
});
afterEach(() => flow.reset());
afterAll(() => flow.end());

describe("a delivery that fails", () => {
  test("is tried again on schedule, signed anew, until it is delivered", async () => {
    const receiver = flow.receiver((_, nth) => new Response(null, { status: nth < 3 ? 500 : 200 }));
    const { secret } = await flow.endpoint({ url: receiver.url, retry: [150, 300, 600] });
    await flow.publish(flow.engine(), 1);
    await receiver.arrived(1);
    await until(async () => (await states(flow)).delivered === 1);

    const tries = await flow.database.sql<{ number: number; outcome: string; status: number; gap_ms: number }[]>`
      select number, outcome, status, (extract(epoch from deltahook.uuid7_time(id) - lag(deltahook.uuid7_time(id)) over (order by number))
                                       * 1000)::float8 as gap_ms
      from deltahook.attempts order by number`;
    expect(tries.map(({ number, outcome, status }) => [number, outcome, status])).toEqual([
      [1, "failed", 500],
      [2, "failed", 500],
      [3, "delivered", 200],
    ]);
    expect(tries[1]?.gap_ms).toBeGreaterThanOrEqual(150);
    expect(tries[2]?.gap_ms).toBeGreaterThanOrEqual(300);
    expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(1);
    for (const { body, headers } of receiver.received) new Webhook(secret).verify(body, headers);
  });

  test("becomes a dead letter with a copy of its own when its schedule is used up", async () => {
    const receiver = flow.receiver(() => new Response("no thanks", { status: 500 }));
    const { id } = await flow.endpoint({ url: receiver.url, retry: [20, 20] });
    await flow.publish(flow.engine(), 1);
    await until(async () => (await states(flow)).dead === 1);

    const letters = await flow.database.sql`
      select endpoint_id, type, data::text as data, reason, attempts, last_status, last_error from deltahook.dead_letters`;
    expect(letters).toEqual([
      {
        endpoint_id: id,
        type: "order.paid",
        data: '{"n":0}',
        reason: "exhausted",
        attempts: 3,
        last_status: 500,
        last_error: "The endpoint answered 500.",
      },
    ] as never);
    const bodies = await flow.database.sql`select response_body as body from deltahook.attempts`;
    expect(bodies.map(({ body }) => body)).toEqual(["no thanks", "no thanks", "no thanks"]);
    expect(receiver.received).toHaveLength(3);
    await until(async () => (await jobsLeft(flow)).jobs === 0);
  });
});

describe("what is due", () => {
  test("gets a job, whoever asks first, and what is not yet due tells when", async () => {
    await flow.endpoint({ url: "http://127.0.0.1:9/hook" });
    await flow.publish(flow.engine({ work: false }), 100);
    const { sql } = flow.database;
    await sql`delete from deltahook_queue._private_jobs`;
    await sql`update deltahook.deliveries set job = null`;
    await sql`update deltahook.deliveries set due_at = now() + interval '1 hour'
              where id in (select id from deltahook.deliveries order by id limit 10)`;
    const [one, other] = await Promise.all([enqueueDue(sql, 1_000, 32), enqueueDue(sql, 1_000, 32)]);
    expect(one.taken + other.taken).toBe(90);
    expect(Math.abs((one.nextDueAt ?? 0) - Date.now() - 3_600_000)).toBeLessThan(60_000);
    const [row] = await sql`
      select count(*) as n, count(distinct job) as jobs from deltahook.deliveries
      where job::text in (select key from deltahook.job_keys)`;
    expect(row?.n).toBe(90);
    expect((await jobsLeft(flow)).jobs).toBe(row?.jobs as number);
  });

  test("is taken oldest first, no more than the batch", async () => {
    await flow.endpoint({ url: "http://127.0.0.1:9/hook" });
    const { sql } = flow.database;
    await flow.publish(flow.engine({ work: false }), 3);
    await sql`update deltahook.deliveries set job = null, due_at = now() - interval '1 minute' * (select count(*) from deltahook.events
              where events.id <= deliveries.event_id)`;
    expect((await enqueueDue(sql, 2, 32)).taken).toBe(2);
    const [left] = await sql`
      select data::text as data from deltahook.deliveries join deltahook.events on events.id = event_id where job is null`;
    expect(left?.data).toBe('{"n":0}');
  });
});

describe("a lost job", () => {
  test("strands no delivery: all are delivered after every job was deleted by hand", async () => {
    const receiver = flow.receiver();
    await flow.endpoint({ url: receiver.url, maxInFlight: 200 });
    const engine = flow.engine({ concurrency: 16 });
    const publishing = flow.publish(engine, 2_000);
    await receiver.arrived(100);
    const { sql } = flow.database;
    await publishing;
    await sql`delete from deltahook_queue._private_jobs`;
    // Nobody waits a minute here: what is past its time is looked for now.
    await until(async () => {
      // The engine locks the same rows meanwhile, in an order of its own: of two that wait for each other one begins again.
      await persist(
        () =>
          sql`update deltahook.deliveries set due_at = due_at - interval '1 minute' where state = 'pending' and job is not null`,
        new AbortController().signal,
      );
      await persist(() => freeLost(sql, 15), new AbortController().signal);
      return (await states(flow)).delivered === 2_000;
    }, "the last of 2,000 deliveries");
    expect(receiver.ids().size).toBe(2_000);
  });

  test("is only one that is past its time and whose job is really gone", async () => {
    await flow.endpoint({ url: "http://127.0.0.1:9/hook" });
    const { sql } = flow.database;
    await flow.publish(flow.engine({ work: false }), 3);
    const ids = (await sql<{ id: string }[]>`select id from deltahook.deliveries order by id`).map(({ id }) => id);
    expect(await freeLost(sql, 15)).toBe(0);
    await sql`update deltahook.deliveries set due_at = now() - interval '1 minute' where id <> ${ids[0] as string}`;
    expect(await freeLost(sql, 15)).toBe(0);
    await sql`update deltahook.deliveries set job = ${crypto.randomUUID()} where id <> ${ids[1] as string}`;
    expect(await freeLost(sql, 15)).toBe(1);
    expect(await sql`select id from deltahook.deliveries where job is null`).toEqual([{ id: ids[2] }] as never);
  });

  test("of a fan-out that SQL asked for is made anew, once", async () => {
    const { sql } = flow.database;
    await sql`insert into deltahook.events (id, type, data, origin, awaits_fan_out)
              select ('01' || substr(deltahook.uuid7_floor(now() - interval '1 minute')::text, 3))::uuid, 'order.paid', '{}', 'sql', true`;
    expect(await enqueueLostFanOuts(sql, 15)).toBe(1);
    expect(await enqueueLostFanOuts(sql, 15)).toBe(0);
    expect((await jobsLeft(flow)).jobs).toBe(1);
  });
});
