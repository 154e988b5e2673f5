import { z } from "zod";
import { DeadLetterPage, DeadLettersPage, type LetterQuery } from "../../../views/dead_letters.tsx";
import { href } from "../../../views/pieces.tsx";
import { SurePage } from "../../../views/sure.tsx";
import { DEATHS } from "../../delivering/dead_letter_store.ts";
import type { ShownOperation } from "../../delivering/operations.ts";
import type { Resources } from "../../delivering/resources.ts";
import type { Database } from "../../platform/database.ts";
import { invalid } from "../../platform/errors.ts";
import { parseId, publicId } from "../../platform/ids.ts";
import { idFilter } from "../api/filters.ts";
import { createWitness } from "../api/recorder.ts";
import { listEndpointNames } from "../names_store.ts";
import type { Route } from "../route.ts";
import { validate } from "../validation.ts";
import { beforeQuery, PAGE_ROWS, pagerOf } from "./list.ts";
import { withNotice } from "./notices.ts";
import { action, nameOf, page } from "./page.ts";

const filters = {
  endpoint: idFilter("endpoint"),
  event: idFilter("event"),
  watch: idFilter("watch"),
  type: z.string().max(200).optional(),
  reason: z.enum(DEATHS).optional(),
};
const filterBody = z.strictObject(filters);
type Filter = z.output<typeof filterBody>;

/** Deliveries whose tries are used up: one by one, the chosen, or all of a filter. */
export function deadLetterPages({ database, resources }: { database: Database; resources: Resources }): Route[] {
  const { deadLetters, operations } = resources;
  const witness = createWitness("dead_letter");

  return [
    page({
      path: "/dead-letters",
      access: "viewer",
      query: { before: beforeQuery("delivery"), ...filters },
      async show({ query: { before, ...filter } }, frame) {
        const [{ data, next }, endpoints] = await Promise.all([
          deadLetters.list(filter, { cursor: before, limit: PAGE_ROWS }),
          listEndpointNames(database.sql, filter.endpoint),
        ]);
        const query = queryOf(filter);
        const pager = pagerOf("/dead-letters", query, { before, next });
        return DeadLettersPage({ frame, letters: data, query, endpoints, pager });
      },
    }),

    page({
      path: "/dead-letters/requeue",
      access: "editor",
      query: filters,
      async show({ query: filter, principal }, frame) {
        const counted = await operations.requeue(filter, { dryRun: true, by: nameOf(principal) });
        return SurePage({
          frame,
          title: "Send dead letters again",
          section: "/dead-letters",
          back: { href: href("/dead-letters", queryOf(filter)), text: "Dead letters" },
          total: counted.total ?? 0,
          what: whatOf(filter),
          to: "/dead-letters/requeue",
          fields: queryOf(filter),
        });
      },
    }),

    page({
      path: "/dead-letters/discard",
      access: "editor",
      query: filters,
      async show({ query: filter, principal }, frame) {
        const counted = await operations.discard(filter, { dryRun: true, by: nameOf(principal) });
        return SurePage({
          frame,
          title: "Discard dead letters",
          section: "/dead-letters",
          back: { href: href("/dead-letters", queryOf(filter)), text: "Dead letters" },
          total: counted.total ?? 0,
          what: whatOf(filter),
          verb: "discard",
          to: "/dead-letters/discard",
          fields: queryOf(filter),
        });
      },
    }),

    action({
      path: "/dead-letters/discard",
      access: "editor",
      async perform(request) {
        const filter = validate(filterBody, request.body, "form");
        const asked = { dryRun: false, by: nameOf(request.principal) };
        const started = await operations.discard(filter, asked, witness(request, "discard", tellStarted, null));
        return "dry_run" in started ? "/dead-letters" : `/operations/${started.id}`;
      },
    }),

    action({
      path: "/dead-letters/requeue",
      access: "editor",
      async perform(request) {
        const filter = validate(filterBody, request.body, "form");
        const asked = { dryRun: false, by: nameOf(request.principal) };
        const started = await operations.requeue(filter, asked, witness(request, "requeue", tellStarted, null));
        return "dry_run" in started ? "/dead-letters" : `/operations/${started.id}`;
      },
    }),

    action({
      path: "/dead-letters/chosen",
      access: "editor",
      async perform(request) {
        const { do: verb, ...chosen } = request.body;
        const ids = Object.keys(chosen).filter((id) => parseId("delivery", id) !== null);
        if (ids.length === 0) throw invalid("/chosen", "No dead letter was chosen: go back and tick some.");
        for (const id of ids) {
          if (verb === "discard") await deadLetters.discard(id, witness(request, "discard"));
          else await deadLetters.requeue(id, witness(request, "requeue", tellDelivery, id));
        }
        return withNotice("/dead-letters", verb === "discard" ? "discarded" : "requeued");
      },
    }),

    page({
      path: "/dead-letters/:id",
      access: "viewer",
      show: async ({ id }, frame) => DeadLetterPage({ frame, ...(await deadLetters.get(id)) }),
    }),

    action({
      path: "/dead-letters/:id/requeue",
      access: "editor",
      async perform(request) {
        const witnessed = witness(request, "requeue", tellDelivery, request.id);
        const delivery = await deadLetters.requeue(request.id, witnessed);
        return withNotice(`/deliveries/${delivery}`, "requeued");
      },
    }),

    action({
      path: "/dead-letters/:id/discard",
      access: "editor",
      async perform(request) {
        await deadLetters.discard(request.id, witness(request, "discard"));
        return withNotice("/dead-letters", "discarded");
      },
    }),
  ];
}

/** A letter goes by its first delivery's id; a new delivery may be what is owed. */
function tellDelivery({ id }: { id: string }) {
  return { delivery: id };
}

function tellStarted({ id, request }: ShownOperation) {
  return { operation: id, filter: request };
}

function whatOf(filter: Filter): string {
  return Object.keys(queryOf(filter)).length > 0 ? "fit the filters." : "are dead letters.";
}

/** The filters as they stand in an address. */
function queryOf({ endpoint, event, watch, type, reason }: Filter): LetterQuery & Record<string, string> {
  return {
    ...(endpoint ? { endpoint: publicId("endpoint", endpoint) } : {}),
    ...(event ? { event: publicId("event", event) } : {}),
    ...(watch ? { watch: publicId("watch", watch) } : {}),
    ...(type ? { type } : {}),
    ...(reason ? { reason } : {}),
  };
}
