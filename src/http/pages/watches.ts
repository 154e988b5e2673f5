import { z } from "zod";
import { WatchPage } from "../../../views/watch.tsx";
import { WatchesPage } from "../../../views/watches.tsx";
import type { Resources } from "../../delivering/resources.ts";
import type { Database } from "../../platform/database.ts";
import { parseId } from "../../platform/ids.ts";
import type { SettledPoll } from "../../watching/runs.ts";
import type { Watching } from "../../watching/watching.ts";
import { createWitness } from "../api/recorder.ts";
import { readNames } from "../names_store.ts";
import type { Route, RouteRequest } from "../route.ts";
import { beforeQuery, PAGE_ROWS, pagerOf } from "./list.ts";
import { type NoticeCode, withNotice } from "./notices.ts";
import { action, page } from "./page.ts";
import { valueHistory } from "./value_history.ts";

type Posted = RouteRequest<undefined, Record<string, string>>;

/** Standing orders to poll: list, detail with values and poll log, and what can be done with one. */
export function watchPages(deps: {
  database: Database;
  watching: Pick<Watching, "watches" | "runs">;
  resources: Pick<Resources, "events">;
}): Route[] {
  const { watches, runs } = deps.watching;
  const witness = createWitness("watch");

  /** A button that does one thing to a watch and comes back to it. */
  function verb(name: string, notice: NoticeCode, perform: (request: Posted) => Promise<unknown>): Route {
    return action({
      path: `/watches/:id/${name}`,
      access: "editor",
      async perform(request) {
        await perform(request);
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
        const names = await readNames(deps.database.sql, [watch.secret_id, ...watch.endpoint_ids]);
        return WatchPage({ frame, watch, names, state, histories, polls, pager });
      },
    }),

    verb("poll", "polled", ({ id, signal }) => runs.pollNow(id, signal)),
    verb("pause", "watch_paused", (request) => watches.pause(request.id, witness(request, "pause"))),
    verb("resume", "watch_resumed", (request) => watches.resume(request.id, witness(request, "resume"))),
    verb("held/confirm", "confirmed", (request) => {
      const tell = ({ events }: SettledPoll) => ({ events });
      return runs.confirmHeld(request.id, witness(request, "confirm_held", tell));
    }),
    verb("held/discard", "held_discarded", (request) => runs.discardHeld(request.id, witness(request, "discard_held"))),

    action({
      path: "/watches/:id/delete",
      access: "editor",
      async perform(request) {
        await watches.remove(request.id, witness(request, "delete"));
        return withNotice("/watches", "deleted");
      },
    }),
  ];
}
