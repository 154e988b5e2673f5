import type { Sql } from "../platform/database.ts";
import { percentileMs, rowsSince } from "../platform/rollups.ts";

const HOUR_MS = 3_600_000;

/** How far back a plot looks, how wide its steps are, and of every how many minutes its percentiles show one. */
export const WINDOWS = {
  "1h": { ms: HOUR_MS, stepMs: 60_000, sampleMinutes: 1 },
  "24h": { ms: 24 * HOUR_MS, stepMs: 900_000, sampleMinutes: 3 },
  // Read from whole hours.
  "7d": { ms: 7 * 24 * HOUR_MS, stepMs: 2 * HOUR_MS, sampleMinutes: 1 },
  "30d": { ms: 30 * 24 * HOUR_MS, stepMs: 8 * HOUR_MS, sampleMinutes: 120 },
} as const;
export type Window = keyof typeof WINDOWS;

/** One value per step, the oldest first; `at` are seconds since 1970. Rates are per minute, percentiles milliseconds. */
export type Series = {
  at: number[];
  delivered: number[];
  failed: number[];
  polls: number[];
  failedPolls: number[];
  latencyP50: (number | null)[];
  latencyP95: (number | null)[];
  lagP50: (number | null)[];
  lagP95: (number | null)[];
};

const POLLS = ["polls_unchanged", "polls_changed", "polls_failed", "polls_held"];

/** What all nodes counted, step by step. Over a day or 30 the percentiles of a busy time come from a sample. */
export async function readSeries(sql: Sql, window: Window, now: Date): Promise<Series> {
  const { ms, stepMs, sampleMinutes } = WINDOWS[window];
  const last = Math.floor(now.getTime() / stepMs) * stepMs;
  const first = last - ms + stepMs;
  const steps = Array.from({ length: ms / stepMs }, (_, step) => first + step * stepMs);
  const [counts, sampled] = await Promise.all([
    countsOf(sql, first, stepMs),
    bucketsOf(sql, first, stepMs, sampleMinutes),
  ]);
  // Where little happens a sample would miss most of it, and all of it is quickly read.
  const isSparse = sampleMinutes > 1 && sampled.size < steps.length;
  const buckets = isSparse ? await bucketsOf(sql, first, stepMs, 1) : sampled;
  const rate = (at: number, ...metrics: string[]) => {
    const sum = metrics.reduce((all, metric) => all + (counts.get(`${at} ${metric}`) ?? 0), 0);
    const minutes = Math.max(1, Math.min(stepMs, now.getTime() - at) / 60_000);
    return Number((sum / minutes).toPrecision(4));
  };
  const percentile = (at: number, metric: string, share: number) => {
    const ms = percentileMs(buckets.get(`${at} ${metric}`) ?? [], share);
    return ms === null ? null : Number(ms.toPrecision(3));
  };
  return {
    at: steps.map((at) => at / 1_000),
    delivered: steps.map((at) => rate(at, "deliveries_delivered")),
    failed: steps.map((at) => rate(at, "deliveries_failed")),
    polls: steps.map((at) => rate(at, ...POLLS)),
    failedPolls: steps.map((at) => rate(at, "polls_failed")),
    latencyP50: steps.map((at) => percentile(at, "delivery_latency_ms", 0.5)),
    latencyP95: steps.map((at) => percentile(at, "delivery_latency_ms", 0.95)),
    lagP50: steps.map((at) => percentile(at, "poll_lag_ms", 0.5)),
    lagP95: steps.map((at) => percentile(at, "poll_lag_ms", 0.95)),
  };
}

async function countsOf(sql: Sql, first: number, stepMs: number): Promise<Map<string, number>> {
  const rows = await sql<{ at: number; metric: string; count: number }[]>`
    select (floor(extract(epoch from minute) * 1000 / ${stepMs}::float8) * ${stepMs}::float8)::float8 as at, metric,
      sum(count)::bigint as count
    from (${rowsOf(sql, first, stepMs)}) as counted
    where buckets is null
    group by 1, 2`;
  return new Map(rows.map(({ at, metric, count }) => [`${at} ${metric}`, count]));
}

/** Added up here: in Postgres, taking the arrays apart and sorting their numbers costs several times as much. */
async function bucketsOf(
  sql: Sql,
  first: number,
  stepMs: number,
  sampleMinutes: number,
): Promise<Map<string, number[]>> {
  const rows = await sql<{ at: number; metric: string; buckets: string }[]>`
    select (extract(epoch from minute) * 1000)::float8 as at, metric, array_to_string(buckets, ',') as buckets
    from (${rowsOf(sql, first, stepMs)}) as counted
    where metric in ('delivery_latency_ms', 'poll_lag_ms') and buckets is not null
      and (extract(epoch from minute) / 60)::bigint % ${sampleMinutes}::int = 0`;
  const found = new Map<string, number[]>();
  for (const { at, metric, buckets } of rows) {
    const key = `${Math.floor(at / stepMs) * stepMs} ${metric}`;
    const sums = found.get(key) ?? [];
    for (const [bucket, count] of buckets.split(",").entries()) sums[bucket] = (sums[bucket] ?? 0) + Number(count);
    found.set(key, sums);
  }
  return found;
}

/** An hour's row cannot be told apart into finer steps. */
function rowsOf(sql: Sql, first: number, stepMs: number) {
  if (stepMs >= HOUR_MS) return rowsSince(sql, new Date(first));
  return sql`select minute, metric, count, buckets from deltahook.rollups where minute >= ${new Date(first)}`;
}
