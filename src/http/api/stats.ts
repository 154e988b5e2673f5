import { z } from "zod";
import { COUNTED_TO, type QueueDepth, readQueueDepth } from "../../delivering/queue_depth.ts";
import type { Database } from "../../platform/database.ts";
import { formatDuration, parseDuration } from "../../platform/durations.ts";
import { type Metric, percentileMs, readWindow, type Totals } from "../../platform/rollups.ts";
import { type Route, route } from "../route.ts";

const SHORTEST_MS = 60_000;
const LONGEST_MS = 7 * 86_400_000;

const statsQuery = z.strictObject({
  window: z
    .string()
    .default("1h")
    .transform((text, context) => {
      const ms = parseDuration(text);
      if (ms !== null && ms >= SHORTEST_MS && ms <= LONGEST_MS) return ms;
      context.addIssue({ code: "custom", message: "must be a duration from 1m to 7d, such as 1h" });
      return z.NEVER;
    }),
});

const EXAMPLE = {
  window: "1h",
  since: "2026-11-21T20:00:00.000Z",
  events: { count: 7200, per_second: 2 },
  deliveries: {
    delivered: 7190,
    failed: 12,
    dead: 1,
    per_second: 2,
    latency_ms: { p50: 21, p95: 80, p99: 240 },
    attempt_ms: { p50: 12, p95: 60, p99: 200 },
  },
  polls: {
    unchanged: 35_000,
    changed: 900,
    failed: 3,
    held: 0,
    per_second: 9.97,
    lag_ms: { p50: 4, p95: 30, p99: 110 },
    ms: { p50: 45, p95: 180, p99: 420 },
  },
  queue: { jobs: 3, waiting: 12, parked: 0, oldest_ms: 8, counted_to: COUNTED_TO },
};

/** What happened lately on all nodes, from the rollups; nothing here counts rows of the log. */
export function statsRoutes({ database, now = () => new Date() }: { database: Database; now?: () => Date }): Route[] {
  return [
    route({
      method: "GET",
      path: "/v1/stats",
      summary: "Counts, rates, percentiles and the queue, over a window that ends now",
      tag: "Operation",
      access: "viewer",
      query: statsQuery,
      answers: [
        {
          status: 200,
          description: "The window's figures; a percentile without observations is null",
          example: EXAMPLE,
        },
      ],
      async handle({ query }) {
        const since = new Date(now().getTime() - query.window);
        const [totals, depth] = await Promise.all([readWindow(database.sql, since), readQueueDepth(database.sql)]);
        return { status: 200, body: showStats(totals, depth, query.window, since) };
      },
    }),
  ];
}

function showStats(totals: Map<Metric, Totals>, depth: QueueDepth, windowMs: number, since: Date) {
  const count = (metric: Metric) => totals.get(metric)?.count ?? 0;
  const perSecond = (...metrics: Metric[]) => {
    const sum = metrics.reduce((all, metric) => all + count(metric), 0);
    return Number((sum / (windowMs / 1000)).toPrecision(4));
  };
  const percentiles = (metric: Metric) => {
    const buckets = totals.get(metric)?.buckets ?? [];
    const at = (share: number) => {
      const ms = percentileMs(buckets, share);
      return ms === null ? null : Number(ms.toPrecision(3));
    };
    return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
  };
  return {
    window: formatDuration(windowMs),
    since: since.toISOString(),
    events: { count: count("events"), per_second: perSecond("events") },
    deliveries: {
      delivered: count("deliveries_delivered"),
      failed: count("deliveries_failed"),
      dead: count("deliveries_dead"),
      per_second: perSecond("deliveries_delivered"),
      latency_ms: percentiles("delivery_latency_ms"),
      attempt_ms: percentiles("attempt_ms"),
    },
    polls: {
      unchanged: count("polls_unchanged"),
      changed: count("polls_changed"),
      failed: count("polls_failed"),
      held: count("polls_held"),
      per_second: perSecond("polls_unchanged", "polls_changed", "polls_failed", "polls_held"),
      lag_ms: percentiles("poll_lag_ms"),
      ms: percentiles("poll_ms"),
    },
    queue: {
      jobs: depth.jobs,
      waiting: depth.waiting,
      parked: depth.parked,
      oldest_ms: Math.round(depth.oldestMs),
      counted_to: COUNTED_TO,
    },
  };
}
