import { z } from "zod";
import { type Figures, FiguresPart, OverviewPage } from "../../../views/overview.tsx";
import { COUNTED_TO, readQueueDepth } from "../../delivering/queue_depth.ts";
import type { Resources } from "../../delivering/resources.ts";
import type { Database } from "../../platform/database.ts";
import { type Metric, percentileMs, readWindow, type Totals } from "../../platform/rollups.ts";
import type { Watching } from "../../watching/watching.ts";
import { readAttention } from "../attention.ts";
import type { Route } from "../route.ts";
import { readSeries, WINDOWS, type Window } from "../series.ts";
import { fragment, page } from "./page.ts";

const HOUR_MS = 3_600_000;
const RATE_MS = 5 * 60_000;

const windowName = z.enum(Object.keys(WINDOWS) as [Window, ...Window[]]).default("1h");

/** How everything is doing, and what needs a person. */
export function overviewRoutes(deps: {
  database: Database;
  resources: Pick<Resources, "endpoints">;
  watching: Pick<Watching, "watches">;
}): Route[] {
  const { sql } = deps.database;

  /** Rates from the last minutes, everything else from the last hour; all nodes together. */
  async function readFigures(now: number): Promise<Figures> {
    const [hour, lately, depth, attention] = await Promise.all([
      readWindow(sql, new Date(now - HOUR_MS)),
      readWindow(sql, new Date(now - RATE_MS)),
      readQueueDepth(sql),
      readAttention(sql),
    ]);
    const delivered = countOf(hour, "deliveries_delivered");
    const failed = countOf(hour, "deliveries_failed");
    return {
      deliveriesPerMinute: countOf(lately, "deliveries_delivered") / (RATE_MS / 60_000),
      pollsPerMinute:
        countOf(lately, "polls_unchanged", "polls_changed", "polls_failed", "polls_held") / (RATE_MS / 60_000),
      successShare: delivered + failed === 0 ? null : delivered / (delivered + failed),
      failedPolls: countOf(hour, "polls_failed"),
      dead: countOf(hour, "deliveries_dead"),
      latency: percentiles(hour, "delivery_latency_ms"),
      lag: percentiles(hour, "poll_lag_ms"),
      queue: { ...depth, owed: depth.waiting + depth.parked, countedTo: COUNTED_TO },
      attention,
    };
  }

  return [
    page({
      path: "/",
      access: "viewer",
      query: { window: windowName },
      async show({ query }, frame) {
        const [figures, endpoints, watches] = await Promise.all([
          readFigures(frame.now),
          deps.resources.endpoints.list({ limit: 1, cursor: null }),
          deps.watching.watches.list({ filter: {}, cursor: null, limit: 1 }),
        ]);
        const hasNothing = endpoints.data.length === 0 && watches.data.length === 0;
        return OverviewPage({ frame, figures, window: query.window as Window, hasNothing });
      },
    }),

    page({
      path: "/overview/figures",
      access: "viewer",
      show: async (_request, frame) => fragment(FiguresPart({ frame, figures: await readFigures(frame.now) })),
    }),

    page({
      path: "/overview/series",
      access: "viewer",
      query: { window: windowName },
      show: async ({ query }, { now }) => Response.json(await readSeries(sql, query.window as Window, new Date(now))),
    }),
  ];
}

function countOf(totals: Map<Metric, Totals>, ...metrics: Metric[]): number {
  return metrics.reduce((sum, metric) => sum + (totals.get(metric)?.count ?? 0), 0);
}

function percentiles(totals: Map<Metric, Totals>, metric: Metric): { p50: number | null; p95: number | null } {
  const buckets = totals.get(metric)?.buckets ?? [];
  return { p50: percentileMs(buckets, 0.5), p95: percentileMs(buckets, 0.95) };
}
