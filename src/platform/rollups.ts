import type { Sql } from "./database.ts";

/** What is counted, and what is measured in milliseconds; a measured one counts its observations too. */
export const COUNTERS = [
  "events",
  "deliveries_delivered",
  "deliveries_failed",
  "deliveries_dead",
  "polls_unchanged",
  "polls_changed",
  "polls_failed",
  "polls_held",
] as const;
export const HISTOGRAMS = ["delivery_latency_ms", "attempt_ms", "poll_lag_ms", "poll_ms"] as const;

export type Counter = (typeof COUNTERS)[number];
export type Histogram = (typeof HISTOGRAMS)[number];
export type Metric = Counter | Histogram;

/** Sums of one metric. `buckets` (histograms only) are counts per logarithmic bucket, see {@link bucketEndMs}. */
export type Totals = { count: number; buckets: number[] };

export type Rollups = {
  count(metric: Counter, n?: number): void;
  observe(metric: Histogram, ms: number): void;
  /** Adds what came since the last flush to this minute's rows. What could not be written is kept for the next flush. */
  flush(sql: Sql): Promise<void>;
  /** Of this process since its start, for Prometheus; `sumMs` is the sum of all observations. */
  totals(metric: Metric): Totals & { sumMs: number };
};

/** Eight buckets to a doubling: a percentile is off by less than 10 %. The last bucket is open and begins at 24 days. */
const PER_DOUBLING = 8;
const BUCKETS = 250;
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const METRICS: readonly Metric[] = [...COUNTERS, ...HISTOGRAMS];
const PLACE = Object.fromEntries(METRICS.map((metric, place) => [metric, place])) as Record<Metric, number>;

/** Where a bucket ends, in milliseconds; it begins where the one before ends, the first at 0. */
export function bucketEndMs(bucket: number): number {
  return bucket === BUCKETS - 1 ? Number.POSITIVE_INFINITY : 2 ** (bucket / PER_DOUBLING);
}

/** Counters of one node, in memory between flushes: counting allocates nothing and reads no clock. */
export function createRollups(nodeId: string): Rollups {
  const counts = new Float64Array(METRICS.length);
  const sums = new Float64Array(METRICS.length);
  const buckets = new Float64Array(METRICS.length * BUCKETS);
  const writtenCounts = new Float64Array(METRICS.length);
  const writtenBuckets = new Float64Array(METRICS.length * BUCKETS);

  return {
    count(metric, n = 1) {
      counts[PLACE[metric]] = (counts[PLACE[metric]] ?? 0) + n;
    },

    observe(metric, ms) {
      const place = PLACE[metric];
      const bucket = place * BUCKETS + bucketOf(ms);
      counts[place] = (counts[place] ?? 0) + 1;
      sums[place] = (sums[place] ?? 0) + ms;
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    },

    async flush(sql) {
      const countsNow = counts.slice();
      const bucketsNow = buckets.slice();
      const changed = METRICS.filter((_, place) => countsNow[place] !== writtenCounts[place]);
      if (changed.length === 0) return;
      await addToMinute(
        sql,
        nodeId,
        changed.map((metric) => {
          const place = PLACE[metric];
          const from = place * BUCKETS;
          const added = bucketsNow.subarray(from, from + BUCKETS).map((n, i) => n - (writtenBuckets[from + i] ?? 0));
          return { metric, count: (countsNow[place] ?? 0) - (writtenCounts[place] ?? 0), buckets: trimmed(added) };
        }),
      );
      writtenCounts.set(countsNow);
      writtenBuckets.set(bucketsNow);
    },

    totals(metric) {
      const place = PLACE[metric];
      const own = buckets.subarray(place * BUCKETS, (place + 1) * BUCKETS);
      return { count: counts[place] ?? 0, sumMs: sums[place] ?? 0, buckets: [...own] };
    },
  };
}

/** What all nodes counted since a moment, whole minutes. */
export async function readWindow(sql: Sql, from: Date): Promise<Map<Metric, Totals>> {
  const window = new Map<Metric, Totals>(METRICS.map((metric) => [metric, { count: 0, buckets: [] }]));
  const [counted, measured] = await Promise.all([
    sql<{ metric: Metric; count: number }[]>`
      select metric, sum(count)::bigint as count from (${rowsSince(sql, from)}) as counted group by metric`,
    sql<{ metric: Metric; bucket: number; count: number }[]>`
      select metric, place::int - 1 as bucket, sum(n)::bigint as count
      from (${rowsSince(sql, from)}) as counted, unnest(buckets) with ordinality as bucket (n, place)
      where n > 0
      group by metric, place`,
  ]);
  for (const { metric, count } of counted) window.set(metric, { count, buckets: [] });
  for (const { metric, bucket, count } of measured) {
    const totals = window.get(metric);
    if (totals) totals.buckets[bucket] = count;
  }
  return window;
}

/**
 * A query of `minute`, `metric`, `count` and `buckets` since a moment: whole hours as one row of their first minute, as far
 * as they are summed, and the minutes before and after them.
 */
export function rowsSince(sql: Sql, from: Date) {
  const start = new Date(Math.floor(from.getTime() / MINUTE_MS) * MINUTE_MS);
  const firstHour = new Date(Math.ceil(start.getTime() / HOUR_MS) * HOUR_MS);
  const summed = sql`(select coalesce(max(hour) + interval '1 hour', '-infinity') from deltahook.rollup_hours)`;
  // Each part has two ends, by which the planner takes it for short whatever the parameters.
  return sql`
    select minute, metric, count, buckets from deltahook.rollups
    where minute >= ${start} and minute < ${firstHour} and minute < ${summed}
    union all
    select hour, metric, count, buckets from deltahook.rollup_hours where hour >= ${firstHour}
    union all
    select minute, metric, count, buckets from deltahook.rollups where minute >= ${start} and minute >= ${summed} and minute <= now()`;
}

/**
 * The value below which a share of the observations lies, interpolated inside its bucket; null without observations.
 * `share` is 0.5 for the median.
 */
export function percentileMs(buckets: readonly (number | undefined)[], share: number): number | null {
  const total = buckets.reduce<number>((sum, n) => sum + (n ?? 0), 0);
  if (total === 0) return null;
  let below = 0;
  for (let bucket = 0; bucket < buckets.length; bucket++) {
    const inside = buckets[bucket] ?? 0;
    if (inside === 0 || below + inside < share * total) {
      below += inside;
      continue;
    }
    const start = bucket === 0 ? 0 : bucketEndMs(bucket - 1);
    const end = Math.min(bucketEndMs(bucket), start * 2);
    return start + (bucket === 0 ? 1 : end - start) * ((share * total - below) / inside);
  }
  return null;
}

/** Bucket 0 takes what is below 1 ms; a negative or absurd value, from a clock that was set, goes to an end. */
function bucketOf(ms: number): number {
  if (!(ms >= 1)) return 0;
  return Math.min(BUCKETS - 1, Math.floor(Math.log2(ms) * PER_DOUBLING) + 1);
}

/** The minute is the database's, at the flush: what a few seconds before belongs to the last one does no harm. */
async function addToMinute(
  sql: Sql,
  nodeId: string,
  rows: { metric: Metric; count: number; buckets: number[] }[],
): Promise<void> {
  const metrics = rows.map((row) => row.metric);
  const counts = rows.map((row) => row.count);
  const buckets = rows.map((row) => (row.buckets.length === 0 ? null : `{${row.buckets.join(",")}}`));
  await sql`
    insert into deltahook.rollups as old (minute, node_id, metric, count, buckets)
    select date_trunc('minute', now()), ${nodeId}, metric, count, buckets::int[]
    from unnest(${metrics}::text[], ${counts}::bigint[], ${buckets}::text[]) as added (metric, count, buckets)
    on conflict (minute, node_id, metric) do update set
      count = old.count + excluded.count,
      buckets = case when excluded.buckets is null then old.buckets else (
        select array_agg(coalesce(a, 0) + coalesce(b, 0) order by place)
        from unnest(old.buckets, excluded.buckets) with ordinality as both_sides (a, b, place)) end`;
}

function trimmed(buckets: Float64Array): number[] {
  const last = buckets.findLastIndex((n) => n !== 0);
  return [...buckets.subarray(0, last + 1)];
}
