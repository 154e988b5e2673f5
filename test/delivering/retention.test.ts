import { afterAll, beforeAll, expect, test } from "bun:test";
import { applyRetention, startRetention, type Terms } from "../../src/delivering/retention.ts";
import { createClock } from "../../src/platform/clock.ts";
import type { Database } from "../../src/platform/database.ts";
import { uuidFloor } from "../../src/platform/ids.ts";
import { silentLog } from "../../src/platform/log.ts";
import { listPartitions } from "../../src/platform/partitions.ts";
import { testDatabase } from "../support/database.ts";
import { addEndpoint } from "../support/engine.ts";

let database: Database;
let drop: () => Promise<void>;
let endpoint: string;
beforeAll(async () => {
  ({ database, drop } = await testDatabase());
  endpoint = (await addEndpoint(database, { url: "http://127.0.0.1/" })).id;
});
afterAll(() => drop());

const DAY = 86_400_000;
const TERMS: Terms = { pollsMs: 7 * DAY, eventsMs: 30 * DAY, deadLettersMs: 90 * DAY, pollLogBytes: 2 ** 31 };
const clock = createClock();
const apply = (terms: Partial<Terms> = {}) =>
  applyRetention({ database, clock, log: silentLog, terms: { ...TERMS, ...terms } });
const daysAgo = (days: number) => new Date(Date.now() - days * DAY);
let made = 0;
const idOf = (days: number) => `${uuidFloor(Date.now() - days * DAY).slice(0, 24)}${String(++made).padStart(12, "0")}`;

async function partitionsFrom(days: number) {
  await database.sql`select deltahook.ensure_partitions(${daysAgo(days)})`;
}
async function event(days: number, data = "1.0") {
  const id = idOf(days);
  await database.sql`
    insert into deltahook.events (id, type, data, origin) values (${id}, 'old', ${data}::text::json, 'api')`;
  return id;
}
async function delivery(days: number, eventId: string, state: "pending" | "delivered", parked = false) {
  const id = idOf(days);
  await database.sql`
    insert into deltahook.deliveries (id, event_id, endpoint_id, state, due_at, finished_at, parked)
    values (${id}, ${eventId}, ${endpoint}, ${state}, now(), ${state === "pending" ? null : daysAgo(days)}, ${parked})`;
  return id;
}
const oldest = async (parent: string) => (await listPartitions(database.sql, parent))[0];
const letterOf = async (deliveryId: string) => {
  const [letter] = await database.sql<{ reason: string; data: string; last_error: string }[]>`
    select reason, data::text as data, last_error from deltahook.dead_letters where delivery_id = ${deliveryId}`;
  return letter;
};

test("what is older than its term is dropped, day by day, and the rest stays", async () => {
  await partitionsFrom(40);
  await partitionsFrom(31);
  const old = await event(40);
  await delivery(40, old, "delivered");
  const kept = await event(29);
  const dropped = await apply();
  expect(dropped?.length).toBeGreaterThan(10);
  for (const parent of ["events", "deliveries", "attempts"]) {
    const first = await oldest(parent);
    expect(first?.endsAt).toBeGreaterThan(Date.now() - 31 * DAY);
    expect(first?.endsAt).toBeLessThan(Date.now() - 28 * DAY);
  }
  expect((await oldest("polls"))?.endsAt).toBeGreaterThan(Date.now() - 8 * DAY);
  expect(await database.sql`select from deltahook.events where id = ${kept}`).toHaveLength(1);
  expect(await apply()).toEqual([]);
});

test("what is still owed becomes a dead letter first, reason expired, with its bytes", async () => {
  await partitionsFrom(45);
  const stated = await event(45, '{"a":1.0, "a":2}');
  const parked = await delivery(45, stated, "pending", true);
  await apply();
  expect(await letterOf(parked)).toMatchObject({ reason: "expired", data: '{"a":1.0, "a":2}' });
  expect((await oldest("deliveries"))?.endsAt).toBeGreaterThan(Date.now() - 31 * DAY);
});

test("an event stays for as long as anybody is owed it", async () => {
  await partitionsFrom(45);
  const stated = await event(45);
  const replayed = await delivery(1, stated, "pending");
  await apply();
  expect(await database.sql`select from deltahook.events where id = ${stated}`).toHaveLength(1);
  await database.sql`
    update deltahook.deliveries set state = 'delivered', finished_at = now(), due_at = null where id = ${replayed}`;
  await apply();
  expect(await database.sql`select from deltahook.events where id = ${stated}`).toHaveLength(0);
});

test("a drop that was interrupted goes on, and saves what was owed", async () => {
  await partitionsFrom(50);
  const stated = await event(50);
  const owed = await delivery(50, stated, "pending");
  const partition = (await listPartitions(database.sql, "deliveries")).find(({ to }) => to > owed);
  if (!partition) throw new Error("the partition was not made");
  await database.sql.unsafe(`alter table deltahook.deliveries detach partition deltahook.${partition.name}`);
  expect(await letterOf(owed)).toBeUndefined();
  expect(await apply()).toContain(partition.name);
  expect(await letterOf(owed)).toMatchObject({ reason: "expired" });
});

test("a reader that holds on to a partition delays its drop, and blocks nobody else", async () => {
  await partitionsFrom(50);
  const old = await event(50);
  const { promise: reading, resolve: began } = Promise.withResolvers<void>();
  const { promise: asked, resolve: letGo } = Promise.withResolvers<void>();
  const reader = database.sql.begin(async (tx) => {
    await tx`select from deltahook.events where id = ${old}`;
    began();
    await asked;
  });
  await reading;
  const applying = apply();
  for (let i = 0; i < 20; i++) {
    await event(0);
    await Bun.sleep(5);
  }
  letGo();
  await reader;
  expect(await applying).not.toBeNull();
  await apply();
  expect(await database.sql`select from deltahook.events where id = ${old}`).toHaveLength(0);
});

test("a stop does not wait for a reader that holds a drop up, and the drop is finished later", async () => {
  await partitionsFrom(50);
  const old = await event(50);
  const reader = await database.sql.reserve();
  await reader`begin`;
  await reader`select from deltahook.events where id = ${old}`;
  const retention = startRetention({ database, clock, log: silentLog, terms: TERMS });
  for (let held = false; !held; await Bun.sleep(10)) {
    const waiting = await database.sql`
      select from pg_stat_activity where datname = current_database() and query like '%detach%concurrently%'
        and wait_event_type = 'Lock'`;
    held = waiting.length > 0;
  }
  const startedAt = performance.now();
  await retention.stop();
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  await reader`commit`;
  reader.release();
  await apply();
  expect(await database.sql`select from deltahook.events where id = ${old}`).toHaveLength(0);
  expect((await listPartitions(database.sql, "events")).every(({ attached }) => attached === "yes")).toBe(true);
});

test("one node tidies up at a time", async () => {
  const results = await Promise.all([apply(), apply(), apply()]);
  expect(results.filter((result) => result !== null).length).toBeGreaterThanOrEqual(1);
  const { sql } = database;
  const holder = await sql.reserve();
  const lock = 0x726574656e74;
  await holder`select pg_advisory_lock(${lock})`;
  expect(await apply()).toBeNull();
  await holder`select pg_advisory_unlock(${lock})`;
  holder.release();
  expect(await apply()).toEqual([]);
});

test("the log of unchanged polls stays below its cap, and below a day", async () => {
  await database.sql`select deltahook.ensure_partitions(${daysAgo(0.5)})`;
  const filled = idOf(0.4);
  await database.sql`
    insert into deltahook.polls_unchanged (id, watch_id, ms, lag_ms, bytes, outcome)
    select ${filled}, deltahook.uuid7(), 1, 1, 1, 'unchanged' from generate_series(1, 20000)`;
  await apply();
  const present = await database.sql<{ count: number }[]>`select count(*)::int as count from deltahook.polls_unchanged`;
  expect(present[0]?.count).toBe(20_000);
  await apply({ pollLogBytes: 1_000_000 });
  const left = await database.sql<{ count: number }[]>`select count(*)::int as count from deltahook.polls_unchanged`;
  expect(left[0]?.count).toBe(0);
  const partitions = await listPartitions(database.sql, "polls_unchanged");
  expect(partitions.some(({ endsAt }) => endsAt > Date.now())).toBe(true);
});

test("dead letters, idempotency keys and counters go by their own terms", async () => {
  const letter = (days: number) => database.sql`
    insert into deltahook.dead_letters (delivery_id, event_id, endpoint_id, type, data, reason, attempts, died_at)
    values (${idOf(days)}, ${idOf(days)}, ${endpoint}, 'old', '1', 'gone', 1, ${daysAgo(days)})`;
  await Promise.all([letter(91), letter(89)]);
  for (const hours of [23, 25]) {
    await database.sql`
      insert into deltahook.idempotency_keys (key, request_hash, event_id, deliveries, created_at)
      values (${`key-${hours}`}, '', ${idOf(0)}, 0, ${daysAgo(hours / 24)})`;
  }
  for (const days of [7, 9]) {
    await database.sql`
      insert into deltahook.rollups (minute, node_id, metric, count) values (${daysAgo(days)}, 'n', 'events', 1)`;
  }
  await apply();
  expect(await database.sql`select from deltahook.dead_letters where reason = 'gone'`).toHaveLength(1);
  expect([...(await database.sql`select key from deltahook.idempotency_keys`)]).toEqual([{ key: "key-23" }]);
  expect(await database.sql`select from deltahook.rollups`).toHaveLength(1);
});

test("what is owed to an endpoint that was deleted meanwhile is cancelled", async () => {
  const stated = await event(0);
  const owed = await delivery(0, stated, "pending");
  await database.sql`update deltahook.deliveries set endpoint_id = ${idOf(0)} where id = ${owed}`;
  await apply();
  const [row] = await database.sql`select state from deltahook.deliveries where id = ${owed}`;
  expect(row?.state).toBe("cancelled");
});
