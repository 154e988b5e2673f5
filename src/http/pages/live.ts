import { renderToString } from "preact-render-to-string";
import { LiveLines, LivePage } from "../../../views/live.tsx";
import type { Database } from "../../platform/database.ts";
import { publicId, uuidTime } from "../../platform/ids.ts";
import { frame, type LiveBatch, liveResponse } from "../live.ts";
import type { LiveRow } from "../live_store.ts";
import type { Route } from "../route.ts";
import { liveQuery } from "../stream.ts";
import { page } from "./page.ts";

/** Every poll and every webhook as it happens. */
export function liveRoutes({ database }: { database: Database }): Route[] {
  return [
    page({
      path: "/live",
      access: "viewer",
      query: { show: liveQuery.show },
      show: ({ query: { show } }, shown) => LivePage({ frame: shown, show, stream: `/live/stream?show=${show}` }),
    }),

    page({
      path: "/live/stream",
      access: "viewer",
      query: liveQuery,
      show({ query: { after, ...filter }, headers, signal }) {
        const cursor = headers.get("last-event-id") ?? after ?? null;
        return liveResponse(database, { filter, after: cursor, signal, render: renderLines });
      },
    }),
  ];
}

/** One frame a batch: the browser draws once, however many rows there are. */
function renderLines({ cursor, rows, skipped }: LiveBatch): string {
  return frame({ id: cursor, data: renderToString(LiveLines({ lines: rows.map(lineOf), skipped })) });
}

function lineOf(row: LiveRow) {
  return {
    ...row,
    at: new Date(uuidTime(row.id)).toISOString(),
    subjectId: publicId(row.kind === "poll" ? "watch" : "delivery", row.subject),
    endpointId: row.endpoint && publicId("endpoint", row.endpoint),
  };
}
