import { afterAll, beforeAll, expect, test } from "bun:test";
import { readSeries, WINDOWS, type Window } from "../../src/http/series.ts";
import { testDatabase } from "../support/database.ts";

let at: Awaited<ReturnType<typeof testDatabase>>;
beforeAll(async () => {
  at = await testDatabase();
});
afterAll(() => at.drop());

// A minute that a sample of every third minute, or of every second hour, would leave out.
const now = new Date("2026-11-21T21:20:30.000Z");
const MINUTE = new Date("2026-11-21T21:19:00.000Z");

test.each(Object.keys(WINDOWS) as Window[])("a single minute of deliveries is a point over %s", async (window) => {
  await at.database.sql`
    insert into deltahook.rollups (minute, node_id, metric, count, buckets)
    values (${MINUTE}, 'n', 'deliveries_delivered', 3, null), (${MINUTE}, 'n', 'delivery_latency_ms', 3, array[0, 0, 0, 3])
    on conflict do nothing`;
  const series = await readSeries(at.database.sql, window, now);
  const points = (values: (number | null)[]) => values.filter((value) => value !== null && value > 0).length;
  expect([points(series.delivered), points(series.latencyP50), points(series.latencyP95)]).toEqual([1, 1, 1]);
  expect(points(series.lagP50)).toBe(0);
});
