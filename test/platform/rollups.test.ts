import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Database } from "../../src/platform/database.ts";
import { bucketEndMs, createRollups, percentileMs, readWindow } from "../../src/platform/rollups.ts";
import { testDatabase } from "../support/database.ts";

let database: Database;
let drop: () => Promise<void>;
beforeAll(async () => {
  ({ database, drop } = await testDatabase());
});
afterAll(() => drop());

const long = new Date(Date.now() - 3_600_000);

test("several nodes and several flushes add up to one window", async () => {
  const a = createRollups("a");
  const b = createRollups("b");
  a.count("events");
  a.count("deliveries_delivered", 5);
  a.observe("poll_ms", 3);
  await a.flush(database.sql);
  a.count("deliveries_delivered");
  a.observe("poll_ms", 900);
  b.observe("poll_ms", 3);
  await Promise.all([a.flush(database.sql), b.flush(database.sql)]);
  await a.flush(database.sql); // nothing new: adds nothing

  const window = await readWindow(database.sql, long);
  expect(window.get("events")?.count).toBe(1);
  expect(window.get("deliveries_delivered")?.count).toBe(6);
  expect(window.get("deliveries_dead")?.count).toBe(0);
  expect(window.get("poll_ms")?.count).toBe(3);
  const buckets = window.get("poll_ms")?.buckets ?? [];
  expect(percentileMs(buckets, 0.5)).toBeWithin(2.7, 3.3);
  expect(percentileMs(buckets, 0.99)).toBeWithin(810, 990);
});

test("what could not be written is written by the next flush, once", async () => {
  const node = createRollups("away");
  node.count("polls_held", 7);
  const gone = await testDatabase();
  await gone.drop();
  await expect(node.flush(gone.database.sql)).rejects.toThrow();
  await node.flush(database.sql);
  await node.flush(database.sql);
  expect((await readWindow(database.sql, long)).get("polls_held")?.count).toBe(7);
});

test("whole hours are summed once, over all nodes, and a window reads each minute once", async () => {
  const { sql } = database;
  const hour = Math.floor(Date.now() / 3_600_000);
  const minute = (hours: number) => new Date((hour - hours) * 3_600_000);
  for (const [hours, node, buckets] of [
    [4, "a", "{0,2}"],
    [3, "a", "{1,1}"],
    [3, "b", "{0,0,3}"],
    [0, "a", "{5}"],
  ] as const) {
    await sql`
      insert into deltahook.rollups (minute, node_id, metric, count, buckets)
      values (${minute(hours)}, ${node}, 'attempt_ms', 10, ${buckets}::text::int[])`;
  }
  const since = (hours: number) => readWindow(sql, minute(hours)).then((window) => window.get("attempt_ms"));
  const before = [await since(4), await since(3)];
  expect(before).toEqual([
    { count: 40, buckets: [6, 3, 3] },
    { count: 30, buckets: [6, 1, 3] },
  ]);
  for (let time = 0; time < 2; time++) await sql`select deltahook.sum_rollup_hours()`;
  const hours = await sql`select count, buckets from deltahook.rollup_hours where metric = 'attempt_ms' order by hour`;
  expect([...hours]).toEqual([
    { count: 10, buckets: [0, 2] },
    { count: 20, buckets: [1, 1, 3] },
  ]);
  expect([await since(4), await since(3)]).toEqual(before);
});

test("the totals of a process do not depend on flushes", async () => {
  const node = createRollups("totals");
  node.observe("attempt_ms", 10);
  await node.flush(database.sql);
  node.observe("attempt_ms", 30);
  const { count, sumMs, buckets } = node.totals("attempt_ms");
  expect({ count, sumMs, observed: buckets.reduce((a, b) => a + b) }).toEqual({ count: 2, sumMs: 40, observed: 2 });
});

describe("a percentile is off by less than 10 %", () => {
  for (const [name, values] of [
    ["1 to 1000 ms", Array.from({ length: 1000 }, (_, i) => i + 1)],
    ["all the same", Array.from({ length: 100 }, () => 250)],
    ["two groups far apart", Array.from({ length: 1000 }, (_, i) => (i % 10 === 0 ? 3_600_000 : 40))],
  ] as const) {
    test(name, () => {
      const node = createRollups("exact");
      for (const value of values) node.observe("poll_lag_ms", value);
      const { buckets } = node.totals("poll_lag_ms");
      const sorted = values.toSorted((a, b) => a - b);
      for (const share of [0.5, 0.95, 0.99]) {
        const exact = sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
        expect(Math.abs((percentileMs(buckets, share) ?? 0) / exact - 1)).toBeLessThan(0.1);
      }
    });
  }

  test("and there is none without observations", () => {
    expect(percentileMs([], 0.5)).toBeNull();
    expect(percentileMs([0, 0], 0.5)).toBeNull();
  });
});

test("values at the bounds and out of all bounds find a bucket", () => {
  const node = createRollups("bounds");
  for (const ms of [-5, 0, 0.5, 1, 1.19, 2, 2 ** 31, 1e18, Number.NaN]) node.observe("poll_ms", ms);
  const { buckets, count } = node.totals("poll_ms");
  expect(buckets.reduce((a, b) => a + b)).toBe(count);
  expect(buckets[0]).toBe(4);
  expect(bucketEndMs(0)).toBe(1);
  expect(bucketEndMs(buckets.length - 1)).toBe(Number.POSITIVE_INFINITY);
});
