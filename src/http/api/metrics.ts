import { type QueueDepth, readQueueDepth } from "../../delivering/queue_depth.ts";
import { type Database, isAway } from "../../platform/database.ts";
import { bucketEndMs, COUNTERS, HISTOGRAMS, type Metric, type Rollups } from "../../platform/rollups.ts";
import { VERSION } from "../../platform/version.ts";
import { type Route, route } from "../route.ts";

/** Of the buckets every doubling is shown, up to about a day; finer steps would only cost the scraper. */
const SHOWN_BOUNDS = Array.from({ length: 28 }, (_, power) => 2 ** power);

export type MetricsOptions = { database: Database; rollups: Rollups; isPublic: boolean };

/** This node's own figures since its start, and the queue that all nodes share. */
export function metricsRoutes({ database, rollups, isPublic }: MetricsOptions): Route[] {
  return [
    route({
      method: "GET",
      path: "/metrics",
      summary: "This node's counters in the Prometheus text format",
      tag: "Operation",
      access: isPublic ? "open" : "viewer",
      answers: [
        {
          status: 200,
          description: "Prometheus text exposition format 0.0.4",
          type: "text/plain",
          example: "# TYPE deltahook_events_total counter\ndeltahook_events_total 7200\n",
        },
      ],
      async handle() {
        const depth = await depthIfThere(database);
        return new Response(renderMetrics(rollups, depth), {
          headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
        });
      },
    }),
  ];
}

/** The counters are wanted most when the database is away. */
async function depthIfThere(database: Database): Promise<QueueDepth | null> {
  try {
    return await readQueueDepth(database.sql);
  } catch (error) {
    if (isAway(error)) return null;
    throw error;
  }
}

function renderMetrics(rollups: Rollups, depth: QueueDepth | null): string {
  const memory = process.memoryUsage.rss();
  return [
    ...COUNTERS.flatMap((metric) => sample("counter", `deltahook_${metric}_total`, rollups.totals(metric).count)),
    ...HISTOGRAMS.flatMap((metric) => histogram(metric, rollups)),
    ...sample("gauge", "deltahook_database_up", depth ? 1 : 0),
    ...(depth
      ? [
          ...sample("gauge", "deltahook_queue_jobs", depth.jobs),
          ...sample("gauge", "deltahook_deliveries_waiting", depth.waiting),
          ...sample("gauge", "deltahook_deliveries_parked", depth.parked),
          ...sample("gauge", "deltahook_queue_oldest_seconds", depth.oldestMs / 1000),
        ]
      : []),
    ...sample("gauge", "process_resident_memory_bytes", memory),
    "# TYPE deltahook_info gauge",
    `deltahook_info{version="${VERSION}"} 1`,
    "",
  ].join("\n");
}

function sample(type: "counter" | "gauge", name: string, value: number): string[] {
  return [`# TYPE ${name} ${type}`, `${name} ${value}`];
}

/** In seconds, as Prometheus wants every time. */
function histogram(metric: Metric, rollups: Rollups): string[] {
  const name = `deltahook_${metric.replace(/_ms$/, "_seconds")}`;
  const { buckets, count, sumMs } = rollups.totals(metric);
  const lines = [`# TYPE ${name} histogram`];
  let below = 0;
  let bucket = 0;
  for (const boundMs of SHOWN_BOUNDS) {
    for (; bucket < buckets.length && bucketEndMs(bucket) <= boundMs; bucket++) below += buckets[bucket] ?? 0;
    lines.push(`${name}_bucket{le="${boundMs / 1000}"} ${below}`);
  }
  return [...lines, `${name}_bucket{le="+Inf"} ${count}`, `${name}_sum ${sumMs / 1000}`, `${name}_count ${count}`];
}
