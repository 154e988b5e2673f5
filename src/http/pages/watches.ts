import { z } from "zod";
import { WatchPage } from "../../../views/watch.tsx";
import { EditWatchPage } from "../../../views/watch_form.tsx";
import { WatchesPage } from "../../../views/watches.tsx";
import type { Resources } from "../../delivering/resources.ts";
import type { Database } from "../../platform/database.ts";
import { invalid } from "../../platform/errors.ts";
import { parseId } from "../../platform/ids.ts";
import { JsonError, parseJson } from "../../platform/json.ts";
import type { ShownWatch } from "../../watching/shown.ts";
import { watchInput } from "../../watching/watch.ts";
import type { Watching } from "../../watching/watching.ts";
import { createRecorder } from "../api/recorder.ts";
import type { Route, RouteRequest } from "../route.ts";
import { validate } from "../validation.ts";
import { beforeQuery, PAGE_ROWS, pagerOf } from "./list.ts";
import { patchBetween } from "./merge.ts";
import { type NoticeCode, withNotice } from "./notices.ts";
import { action, faultsOf, htmlAnswer, page } from "./page.ts";
import { valueHistory } from "./value_history.ts";

const DEFINITION_BYTES = 4 * 1024 * 1024;

/** Standing orders to poll: list, detail with values and poll log, and what can be done with one. */
export function watchPages(deps: {
  database: Database;
  watching: Pick<Watching, "watches" | "runs">;
  resources: Pick<Resources, "events">;
}): Route[] {
  const { watches, runs } = deps.watching;
  const record = createRecorder(deps.database, "watch");

  /** A button that does one thing to a watch and comes back to it. */
  function verb(
    name: string,
    audited: string | null,
    notice: NoticeCode,
    perform: (id: string, request: Pick<RouteRequest<undefined, Record<string, string>>, "signal">) => Promise<unknown>,
  ): Route {
    return action({
      path: `/watches/:id/${name}`,
      access: "editor",
      async perform(request) {
        await perform(request.id, request);
        if (audited !== null) await record(request, audited, request.id);
        return withNotice(`/watches/${request.id}`, notice);
      },
    });
  }

  return [
    page({
      path: "/watches",
      access: "viewer",
      query: {
        before: beforeQuery("watch"),
        name: z.string().max(200).optional(),
        host: z.string().max(300).optional(),
        paused: z.enum(["true", "false"]).optional(),
      },
      async show({ query: { before, name, host, paused } }, frame) {
        const filter = { name, host, paused: paused === undefined ? undefined : paused === "true" };
        const { data, next } = await watches.list({ filter, cursor: before, limit: PAGE_ROWS });
        const query = { ...(name ? { name } : {}), ...(host ? { host } : {}), ...(paused ? { paused } : {}) };
        return WatchesPage({ frame, watches: data, query, pager: pagerOf("/watches", query, { before, next }) });
      },
    }),

    page({
      path: "/watches/:id",
      access: "viewer",
      query: { before: beforeQuery("poll") },
      async show({ id, query: { before } }, frame) {
        const uuid = parseId("watch", id);
        const [watch, state, { rows, show }, histories] = await Promise.all([
          watches.get(id),
          runs.state(id),
          runs.polls(id, { cursor: before, limit: PAGE_ROWS }),
          uuid === null ? [] : valueHistory(deps.resources.events, uuid),
        ]);
        const polls = rows.slice(0, PAGE_ROWS).map(show);
        const next = rows.length > PAGE_ROWS ? (polls.at(-1)?.id ?? null) : null;
        const pager = pagerOf(`/watches/${id}`, {}, { before, next });
        return WatchPage({ frame, watch, state, histories, polls, pager });
      },
    }),

    verb("poll", null, "polled", (id, { signal }) => runs.pollNow(id, signal)),
    verb("pause", "pause", "watch_paused", (id) => watches.pause(id)),
    verb("resume", "resume", "watch_resumed", (id) => watches.resume(id)),
    verb("held/confirm", "confirm_held", "confirmed", (id) => runs.confirmHeld(id)),
    verb("held/discard", "discard_held", "held_discarded", (id) => runs.discardHeld(id)),

    action({
      path: "/watches/:id/delete",
      access: "editor",
      async perform(request) {
        await watches.remove(request.id);
        await record(request, "delete", request.id);
        return withNotice("/watches", "deleted");
      },
    }),

    page({
      path: "/watches/:id/edit",
      access: "editor",
      async show({ id }, frame) {
        const watch = await watches.get(id);
        return EditWatchPage({ frame, watch, text: JSON.stringify(definitionOf(watch), null, 2), faults: {} });
      },
    }),

    action({
      path: "/watches/:id/edit",
      access: "editor",
      maxBodyBytes: DEFINITION_BYTES,
      async perform(request, frame) {
        const watch = await watches.get(request.id);
        const text = request.body.definition ?? "";
        try {
          const patch = patchBetween(definitionOf(watch), parseDefinition(text)) as object;
          await watches.patch(request.id, patch, (merged) => validate(watchInput, merged, "form"));
          await record(request, "update", request.id, { changed: Object.keys(patch) });
          return withNotice(`/watches/${request.id}`, "saved");
        } catch (error) {
          return htmlAnswer(422, EditWatchPage({ frame, watch, text, faults: faultsOf(error) }));
        }
      },
    }),
  ];
}

/** What people decide about a watch, without how it is doing. */
function definitionOf(watch: ShownWatch): Record<string, unknown> {
  const { id, paused, next_poll_at, last_poll, health, warning, created_at, updated_at, ...definition } = watch;
  return definition;
}

function parseDefinition(text: string): unknown {
  try {
    const parsed = parseJson(text);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw invalid("/definition", `This is not JSON: ${error.message}.`);
  }
  throw invalid("/definition", "Write a JSON object.");
}
