import { z } from "zod";
import type { Database } from "../platform/database.ts";
import { publicId, uuidTime } from "../platform/ids.ts";
import { idFilter } from "./api/filters.ts";
import { frame, type LiveBatch, liveResponse } from "./live.ts";
import type { LiveRow } from "./live_store.ts";
import { type Route, route } from "./route.ts";

/** What a reader of the live log may ask for. */
export const liveQuery = {
  show: z.enum(["all", "polls", "deliveries", "failed"]).default("all"),
  watch: idFilter("watch"),
  endpoint: idFilter("endpoint"),
  /** The `id` of the last frame that was read. */
  after: z.string().max(2_000).optional(),
};

/** `GET /v1/stream`: polls and tries of deliveries as they happen. */
export function streamRoutes({ database }: { database: Database }): Route[] {
  return [
    route({
      method: "GET",
      path: "/v1/stream",
      summary: "Polls and attempts as they happen, as server-sent events; Last-Event-ID or `after` resumes",
      tag: "Operation",
      access: "viewer",
      query: z.strictObject(liveQuery),
      answers: [
        {
          status: 200,
          description: "Events `poll`, `attempt`, and `skipped` when there are more than 200 rows a second",
          type: "text/event-stream",
          example: 'event: poll\ndata: {"watch_id":"watch_…","outcome":"unchanged","status":200,"ms":45}\n\n',
        },
      ],
      handle({ query: { after, ...filter }, headers, signal }) {
        const cursor = headers.get("last-event-id") ?? after ?? null;
        return liveResponse(database, { filter, after: cursor, signal, render: renderJson });
      },
    }),
  ];
}

function renderJson({ cursor, rows, skipped }: LiveBatch): string {
  const shown = rows.toReversed().map((row) => frame({ event: row.kind, data: JSON.stringify(showRow(row)) }));
  if (skipped > 0) shown.push(frame({ event: "skipped", data: JSON.stringify({ skipped }) }));
  return `${shown.join("")}id: ${cursor}\n\n`;
}

function showRow(row: LiveRow) {
  const at = new Date(uuidTime(row.id)).toISOString();
  const { outcome, status, ms, changes, problem, name } = row;
  if (row.kind === "poll") {
    const id = publicId("poll", row.id);
    return {
      id,
      at,
      watch_id: publicId("watch", row.subject),
      watch_name: name,
      outcome,
      status,
      ms,
      changes,
      problem,
    };
  }
  return {
    at,
    delivery_id: publicId("delivery", row.subject),
    endpoint_id: row.endpoint && publicId("endpoint", row.endpoint),
    endpoint_name: name,
    event_type: row.type,
    number: row.number,
    outcome,
    status,
    ms,
    error: problem,
  };
}
