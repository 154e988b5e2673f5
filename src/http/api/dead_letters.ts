import { z } from "zod";
import { DEATHS } from "../../delivering/dead_letter_store.ts";
import type { DeadLetters, ShownLetter } from "../../delivering/dead_letters.ts";
import type { Deliveries } from "../../delivering/deliveries.ts";
import type { Operations, ShownOperation } from "../../delivering/operations.ts";
import { exampleId, listExample, listQuery, pageAnswer } from "../lists.ts";
import { type Route, type RouteRequest, route } from "../route.ts";
import { DELIVERY_EXAMPLE } from "./deliveries.ts";
import { idFilter, momentInput, typeFilter } from "./filters.ts";
import { OPERATION_EXAMPLE } from "./operations.ts";
import { withRawMember } from "./raw_member.ts";
import { createWitness } from "./recorder.ts";

const TAG = "Dead letters";

const EXAMPLE: ShownLetter = {
  id: exampleId("delivery"),
  event_id: exampleId("event"),
  webhook_id: exampleId("event"),
  type: "order.paid",
  watch_id: null,
  endpoint_id: exampleId("endpoint"),
  endpoint_name: "Billing",
  url: "https://billing.example.com/hooks",
  reason: "exhausted",
  attempts: 10,
  last_status: 503,
  last_error: "The endpoint answered 503.",
  died_at: "2026-11-24T21:00:00.000Z",
};

const DISCARD_EXAMPLE: ShownOperation = {
  ...OPERATION_EXAMPLE,
  kind: "discard",
  request: { endpoint: exampleId("endpoint"), until: "2026-11-21T20:00:00.000Z" },
};

const filters = {
  endpoint: idFilter("endpoint"),
  event: idFilter("event"),
  watch: idFilter("watch"),
  type: typeFilter,
  reason: z.enum(DEATHS).optional(),
};

const momentText = momentInput.transform((moment) => moment.toISOString());

/** `since` and `until` bound the time of death. */
const bulk = z.strictObject({
  filter: z.strictObject({ ...filters, since: momentText.optional(), until: momentText.optional() }),
  dry_run: z.boolean().default(false),
});

export type DeadLetterRouteDeps = {
  deadLetters: DeadLetters;
  deliveries: Deliveries;
  operations: Operations;
};

/** Deliveries whose retries are used up, to inspect, send again or discard. */
export function deadLetterRoutes({ deadLetters, deliveries, operations }: DeadLetterRouteDeps): Route[] {
  const witness = createWitness("dead_letter");

  return [
    route({
      method: "GET",
      path: "/v1/dead-letters",
      summary: "List dead letters",
      tag: TAG,
      access: "viewer",
      query: listQuery.extend(filters),
      answers: [{ status: 200, description: "A page of dead letters, newest first", example: listExample(EXAMPLE) }],
      async handle({ query: { limit, cursor, ...filter } }) {
        return pageAnswer("delivery", await deadLetters.list(filter, { limit, cursor }));
      },
    }),

    route({
      method: "GET",
      path: "/v1/dead-letters/:id",
      summary: "Show a dead letter with its payload",
      tag: TAG,
      access: "viewer",
      answers: [{ status: 200, description: "The dead letter", example: { ...EXAMPLE, data: { order: 42 } } }],
      async handle({ id }) {
        const { letter, data } = await deadLetters.get(id);
        return withRawMember(200, letter, "data", data);
      },
    }),

    route({
      method: "POST",
      path: "/v1/dead-letters/:id/requeue",
      summary: "Send it again, with its whole schedule, under the same webhook-id",
      tag: TAG,
      access: "editor",
      answers: [{ status: 202, description: "The delivery that is owed again", example: DELIVERY_EXAMPLE }],
      async handle(request) {
        const tell = ({ id }: { id: string }) => ({ delivery: id });
        const id = await deadLetters.requeue(request.id, witness(request, "requeue", tell, request.id));
        const { attempts: _, ...delivery } = await deliveries.get(id);
        return { status: 202, body: delivery };
      },
    }),

    route({
      method: "POST",
      path: "/v1/dead-letters/requeue",
      summary: "Send all dead letters of a filter again; `{}` means all there are",
      tag: TAG,
      access: "editor",
      body: bulk,
      bodyExample: { filter: { endpoint: exampleId("endpoint") }, dry_run: false },
      answers: [
        { status: 202, description: "The operation that does it", example: OPERATION_EXAMPLE },
        { status: 200, description: "How many it would be (`dry_run`)", example: { dry_run: true, total: 120 } },
      ],
      async handle(request) {
        const { filter, dry_run: dryRun } = request.body;
        const asked = { dryRun, by: nameOf(request) };
        const started = await operations.requeue(filter, asked, witness(request, "requeue", tellStarted, null));
        return { status: "dry_run" in started ? 200 : 202, body: started };
      },
    }),

    route({
      method: "POST",
      path: "/v1/dead-letters/discard",
      summary: "Discard all dead letters of a filter; `{}` means all there are",
      tag: TAG,
      access: "editor",
      body: bulk,
      bodyExample: { filter: { endpoint: exampleId("endpoint") }, dry_run: true },
      answers: [
        { status: 202, description: "The operation that does it", example: DISCARD_EXAMPLE },
        { status: 200, description: "How many it would be (`dry_run`)", example: { dry_run: true, total: 120 } },
      ],
      async handle(request) {
        const { filter, dry_run: dryRun } = request.body;
        const asked = { dryRun, by: nameOf(request) };
        const started = await operations.discard(filter, asked, witness(request, "discard", tellStarted, null));
        return { status: "dry_run" in started ? 200 : 202, body: started };
      },
    }),

    route({
      method: "DELETE",
      path: "/v1/dead-letters/:id",
      summary: "Discard a dead letter; its delivery stays listed as dead",
      tag: TAG,
      access: "editor",
      answers: [{ status: 204, description: "Discarded" }],
      async handle(request) {
        await deadLetters.discard(request.id, witness(request, "discard"));
        return { status: 204 };
      },
    }),
  ];
}

function nameOf({ principal }: Pick<RouteRequest<unknown, unknown>, "principal">): string {
  return principal.kind === "nobody" ? "" : principal.name;
}

function tellStarted({ id, request }: ShownOperation) {
  return { operation: id, filter: request };
}
