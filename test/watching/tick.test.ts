import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { silentLog } from "../../src/platform/log.ts";
import { loadDue } from "../../src/watching/store.ts";
import { startTick } from "../../src/watching/tick.ts";
import { CHUNK, claimDue } from "../../src/watching/tick_store.ts";
import { testDatabase } from "../support/database.ts";
import { pollLog, startNode, startSource, until } from "./support.ts";

const CLAIM = { limit: 8_192, slowLimit: 8, leaseMs: 50_000 };

let place: Awaited<ReturnType<typeof testDatabase>>;
beforeAll(async () => {
  place = await testDatabase();
});
afterAll(() => place.drop());
afterEach(async () => {
  await place.database.sql`delete from deltahook.watches`;
  await place.database.sql`delete from deltahook_queue._private_jobs`;
});

type Schedule = {
  ago?: string;
  intervalMs?: number;
  slow?: boolean;
  busyFor?: string | null;
  paused?: boolean;
  phaseMs?: number | null;
};

/** Watches with nothing but a schedule, due `ago`. */
async function schedule(count: number, each: Schedule = {}): Promise<void> {
  const { ago = "0 s", intervalMs = 60_000, slow = false, busyFor = null, paused = false, phaseMs = 17 } = each;
  await place.database.sql`
    with made as (
      insert into deltahook.watches (name, definition, host) select 'w', '{}', 'h' from generate_series(1, ${count}) returning id
    ), status as (insert into deltahook.watch_status (watch_id) select id from made)
    insert into deltahook.watch_schedule (watch_id, next_poll_at, interval_ms, phase_ms, slow, busy_until)
    select id, case when not ${paused}::boolean then now() - ${ago}::interval end, ${intervalMs}, ${phaseMs}, ${slow},
           now() + ${busyFor}::interval
    from made`;
}

async function jobs(): Promise<{ task: string; payload: { job: string; watches: string[] } }[]> {
  return place.database.sql`
    select task.identifier as task, job.payload from deltahook_queue._private_jobs job
    join deltahook_queue._private_tasks task on task.id = job.task_id order by job.id`;
}

test("what is due is claimed in chunks, and each chunk has a job of its own", async () => {
  await schedule(CHUNK * 2 + 1);
  expect(await claimDue(place.database.sql, CLAIM)).toMatchObject({ watches: CHUNK * 2 + 1, slow: 0 });
  const made = await jobs();
  expect(made.map(({ payload }) => payload.watches.length).sort((a, b) => a - b)).toEqual([1, CHUNK, CHUNK]);
  expect(new Set(made.flatMap(({ payload }) => payload.watches)).size).toBe(CHUNK * 2 + 1);
  expect(await claimDue(place.database.sql, CLAIM)).toMatchObject({ watches: 0 });
});

test("nodes that claim at once never take the same watch", async () => {
  await schedule(2_000);
  const claims = await Promise.all(
    Array.from({ length: 8 }, () => claimDue(place.database.sql, { ...CLAIM, limit: 400 })),
  );
  const claimed = claims.reduce((sum, { watches }) => sum + watches, 0);
  const watches = (await jobs()).flatMap(({ payload }) => payload.watches);
  expect(watches).toHaveLength(claimed);
  expect(new Set(watches).size).toBe(claimed);
});

test("after a downtime a watch is polled once, and goes on in its own slots", async () => {
  await schedule(1, { ago: "10 minutes" });
  expect(await claimDue(place.database.sql, CLAIM)).toMatchObject({ watches: 1 });
  const [row] = await place.database.sql<{ inMs: number; slot: number }[]>`
    select (extract(epoch from next_poll_at - now()) * 1000)::float8 as "inMs",
           mod((extract(epoch from next_poll_at) * 1000)::bigint, interval_ms) as slot
    from deltahook.watch_schedule`;
  expect(row?.slot).toBe(17);
  expect(row?.inMs).toBeGreaterThan(-1_000);
  expect(row?.inMs).toBeLessThanOrEqual(60_000);
});

test("an interval of 30 days has its next slot within 30 days", async () => {
  await schedule(1, { intervalMs: 30 * 86_400_000 });
  await claimDue(place.database.sql, CLAIM);
  const [row] = await place.database.sql<{ good: boolean }[]>`
    select next_poll_at > now() and next_poll_at <= now() + interval '30 days' as good from deltahook.watch_schedule`;
  expect(row?.good).toBe(true);
});

test("a watch whose polls decide the next time comes due again when its claim ends, should the poll get lost", async () => {
  await schedule(1, { phaseMs: null, intervalMs: 86_400_000 });
  await claimDue(place.database.sql, CLAIM);
  const [row] = await place.database.sql<
    { same: boolean }[]
  >`select next_poll_at = busy_until as same from deltahook.watch_schedule`;
  expect(row?.same).toBe(true);
});

test.each<[string, Schedule, number]>([
  ["in flight", { busyFor: "10 s" }, 0],
  ["whose poll was lost", { busyFor: "-1 s" }, 1],
  ["paused", { paused: true }, 0],
  ["not yet due", { ago: "-5 s" }, 0],
])("a watch %s", async (_, each, claimed) => {
  await schedule(1, each);
  expect(await claimDue(place.database.sql, CLAIM)).toMatchObject({ watches: claimed });
});

test("slow watches go alone, and only as many as there is room for", async () => {
  await schedule(20, { slow: true });
  await schedule(5);
  expect(await claimDue(place.database.sql, CLAIM)).toMatchObject({ watches: 5, slow: 8 });
  const made = await jobs();
  expect(made.filter(({ task }) => task === "poll_slow").map(({ payload }) => payload.watches.length)).toEqual(
    Array(8).fill(1),
  );
  expect(made.filter(({ task }) => task === "poll").map(({ payload }) => payload.watches.length)).toEqual([5]);
});

test("a job that was claimed anew meanwhile finds nothing left to do", async () => {
  await schedule(3);
  await claimDue(place.database.sql, CLAIM);
  const [first] = await jobs();
  const known = (first?.payload.watches ?? []).map((id) => ({ id, revision: -1, stateVersion: -1 }));
  expect(await loadDue(place.database.sql, first?.payload.job ?? "", known)).toHaveLength(3);
  await place.database.sql`update deltahook.watch_schedule set next_poll_at = now(), busy_until = now()`;
  await claimDue(place.database.sql, CLAIM);
  expect(await loadDue(place.database.sql, first?.payload.job ?? "", known)).toEqual([]);
});

test("while polls wait too long in the queue nothing more is claimed", async () => {
  await schedule(1);
  let backlog = 60_000;
  const tick = startTick({
    sql: place.database.sql,
    log: silentLog,
    leaseMs: 1,
    backlogMs: () => backlog,
    slowRoom: () => 0,
  });
  await Bun.sleep(300);
  expect(await jobs()).toEqual([]);
  backlog = 0;
  await until("it is claimed", async () => (await jobs()).length === 1);
  await tick.stop();
});

test("a new watch is polled at once, not at the next look", async () => {
  const source = startSource(() => Response.json({ status: "new" }));
  const node = startNode(place);
  await node.create({ request: { url: source.url }, fields: { status: "$.status" }, schedule: { every: "1h" } });
  await until("the pool of jobs is there", async () => source.requests.length > 0);
  const startedAt = performance.now();
  const watch = await node.create({
    request: { url: source.url },
    fields: { status: "$.status" },
    schedule: { every: "1h" },
  });
  await until("it is polled", async () => (await pollLog(node, watch.id)).length === 1);
  expect(performance.now() - startedAt).toBeLessThan(900);
  await node.stop();
  source.stop();
});
