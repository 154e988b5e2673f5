import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { type Flow, jobsLeft, openFlow, states, until } from "../support/flow.ts";

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow();
});
afterEach(() => flow.reset());
afterAll(() => flow.end());

type Held = { answer(status: number): void };

/** A receiver that answers when the test says so. */
function heldReceiver() {
  const held: Held[] = [];
  const receiver = flow.receiver(
    () =>
      new Promise<Response>((resolve) => held.push({ answer: (status) => resolve(new Response(null, { status })) })),
  );
  return { receiver, held };
}

describe("stopping", () => {
  test("records what it interrupts, counts it for nothing, and leaves it due at once", async () => {
    const { receiver } = heldReceiver();
    const { id } = await flow.endpoint({ url: receiver.url });
    const engine = flow.engine({ timeoutMs: 60_000 });
    await flow.publish(engine, 10);
    await until(() => receiver.received.length === 10, "ten open requests");
    engine.delivering.beginStop();
    engine.delivering.abort();
    await engine.stop();

    const tries = await flow.database.sql`select distinct outcome, number, status, error from deltahook.attempts`;
    expect(tries).toEqual([
      { outcome: "interrupted", number: 1, status: null, error: "Interrupted by a shutdown; not counted." },
    ] as never);
    const owed = await flow.database.sql`
      select distinct state, parked, tries, attempt, job, due_at <= now() as due, last_error from deltahook.deliveries`;
    expect(owed).toEqual([
      { state: "pending", parked: false, tries: 0, attempt: 2, job: null, due: true, last_error: null },
    ] as never);
    expect(await jobsLeft(flow)).toEqual({ jobs: 0, locked: 0 });
    const [health] = await flow.database
      .sql`select failing_since, window_at from deltahook.endpoint_health where endpoint_id = ${id}`;
    expect(health).toEqual({ failing_since: null, window_at: null } as never);

    const next = flow.receiver();
    await flow.database.sql`update deltahook.endpoints set url = ${next.url}, revision = revision + 1`;
    flow.engine();
    await next.arrived(10);
    expect(next.ids()).toEqual(new Set(receiver.received.map((received) => received.id)));
  });

  test("under load leaves no lock, and no delivery without a job or a due time", async () => {
    const receiver = flow.receiver(async () => {
      await Bun.sleep(20);
      return new Response("ok");
    });
    await flow.endpoint({ url: receiver.url, maxInFlight: 64 });
    const first = flow.engine({ concurrency: 32 });
    await flow.publish(first, 1_500);
    await receiver.arrived(150);
    await first.stop();
    expect((await jobsLeft(flow)).locked).toBe(0);
    const lost = await flow.database.sql`
      select from deltahook.deliveries
      where state = 'pending' and not parked and job is not null
        and not exists (select from deltahook.job_keys where key = job::text)`;
    expect(lost).toHaveLength(0);
    expect(await flow.database.sql`select from deltahook.nodes`).toHaveLength(0);
    flow.engine();
    await receiver.arrived(1_500);
    await until(async () => (await states(flow)).delivered === 1_500);
    expect(receiver.received).toHaveLength(1_500);
  });
});

describe("a try whose delivery was moved meanwhile", () => {
  test.each([
    ["delivered", 200],
    ["failed for good", 410],
  ])("and that %s moves nothing, and buries nothing", async (_, status) => {
    const { receiver, held } = heldReceiver();
    await flow.endpoint({ url: receiver.url });
    await flow.publish(flow.engine(), 1);
    await until(() => held.length === 1, "the request");
    const { sql } = flow.database;
    await sql`update deltahook.deliveries set state = 'cancelled', finished_at = now(), job = null`;
    held[0]?.answer(status);
    await until(async () => (await sql`select from deltahook.attempts`).length === 1, "the attempt's row");
    expect(await states(flow)).toEqual({ cancelled: 1 });
    expect(await sql`select from deltahook.dead_letters`).toHaveLength(0);
  });

  test("by another job is left to that job", async () => {
    const { receiver, held } = heldReceiver();
    await flow.endpoint({ url: receiver.url });
    await flow.publish(flow.engine(), 1);
    await until(() => held.length === 1, "the request");
    const { sql } = flow.database;
    const other = crypto.randomUUID();
    await sql`update deltahook.deliveries set job = ${other}`;
    held[0]?.answer(200);
    await until(async () => (await sql`select from deltahook.attempts`).length === 1, "the attempt's row");
    expect(await sql`select state, attempt, job from deltahook.deliveries`).toEqual([
      { state: "pending", attempt: 1, job: other },
    ] as never);
  });
});

test("the jobs of a node that died are done by another", async () => {
  const receiver = flow.receiver();
  await flow.endpoint({ url: receiver.url });
  await flow.publish(flow.engine({ work: false }), 100);
  const { sql } = flow.database;
  await sql`insert into deltahook.nodes (pool_id, node_id, pool, version) values ('killed', 'killed', 'deliver', '0')`;
  await sql`update deltahook_queue._private_jobs set locked_by = 'killed', locked_at = now() - interval '10 seconds', attempts = 1`;
  flow.engine();
  await receiver.arrived(100, 40_000);
  expect(receiver.received).toHaveLength(100);
});

test("an endpoint whose secrets cannot be opened fails its tries with the reason, and no other's", async () => {
  const receiver = flow.receiver();
  await flow.endpoint({ url: receiver.url });
  const { id } = await flow.endpoint({ url: receiver.url, retry: [] });
  // Sealed for another endpoint: it cannot be opened.
  await flow.database
    .sql`update deltahook.endpoints set signing = (select signing from deltahook.endpoints where id <> ${id}) where id = ${id}`;
  await flow.publish(flow.engine(), 50);
  await receiver.arrived(50);
  await until(async () => (await states(flow)).delivered === 50);
  await until(async () => (await states(flow)).pending === undefined);
  const failures = await flow.database
    .sql`select distinct outcome, status, error from deltahook.attempts where outcome = 'failed'`;
  expect(failures).toHaveLength(1);
  expect(failures[0]).toMatchObject({
    outcome: "failed",
    status: null,
    error: expect.stringContaining("sealed for another place"),
  });
});

test("an answer whose header says \\u0000, as text, is recorded as it is", async () => {
  const receiver = flow.receiver(() => new Response("ok", { headers: { "x-path": "C:\\u0000" } }));
  await flow.endpoint({ url: receiver.url });
  await flow.publish(flow.engine(), 1);
  await until(async () => (await states(flow)).delivered === 1, "delivered");
  const [attempt] = await flow.database.sql`select response_headers->>'x-path' as path from deltahook.attempts`;
  expect(attempt?.path).toBe("C:\\u0000");
});

test("a try that Postgres refuses to write is no other's fault: those of its batch are recorded and sent once", async () => {
  const { sql } = flow.database;
  const receiver = flow.receiver();
  await flow.endpoint({ url: receiver.url });
  await flow.endpoint({ url: `${receiver.url}/refused` });
  await sql.unsafe("alter table deltahook.attempts add constraint refusing check (url not like '%/refused')");
  try {
    await flow.publish(flow.engine(), 50);
    await until(async () => (await states(flow)).delivered === 50, "the others");
    expect(receiver.received.filter(({ path }) => path === "/hook")).toHaveLength(50);
  } finally {
    await sql.unsafe("alter table deltahook.attempts drop constraint refusing");
  }
  await until(async () => (await states(flow)).delivered === 100, "all, once Postgres takes them");
});
