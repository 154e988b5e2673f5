import { z } from "zod";
import type { Database } from "../../platform/database.ts";
import type { Backtest } from "../../watching/backtest.ts";
import type { Preview } from "../../watching/preview.ts";
import type { Runs, SettledPoll } from "../../watching/runs.ts";
import type { ShownPoll, ShownWatch } from "../../watching/shown.ts";
import { type WatchInput, watchInput } from "../../watching/watch.ts";
import type { CreatedWatches, Watches } from "../../watching/watches.ts";
import { exampleId, listAnswer, listExample, listQuery, pageAnswer } from "../lists.ts";
import { type Route, route } from "../route.ts";
import { validate } from "../validation.ts";
import { createRecorder, createWitness } from "./recorder.ts";

const TAG = "Watches";
const MOST_AT_ONCE = 500;
const BATCH_BYTES = 8 * 1024 * 1024;

const BODY = {
  name: "Order 42",
  request: { method: "GET", url: "https://erp.example.com/api/orders/42" },
  schedule: { every: "30s" },
  fields: { status: "$.order.status", total: { path: "$.order.total", tolerance: { absolute: 0.01 } } },
  conditions: [{ field: "status", op: "becomes", value: "paid" }],
  event_type: "order.paid",
};

const POLL: ShownPoll = {
  id: exampleId("poll"),
  at: "2026-11-21T20:22:00.100Z",
  outcome: "unchanged",
  status: 200,
  bytes: 812,
  ms: 43,
  changes: 0,
  problem: null,
  note: null,
  next_poll_at: "2026-11-21T20:22:30.000Z",
};

const EXAMPLE = {
  id: exampleId("watch"),
  ...watchInput.parse(BODY),
  paused: false,
  next_poll_at: "2026-11-21T20:22:30.000Z",
  last_poll: POLL,
  health: { state: "ok", failures: 0, problem: null, held: null },
  warning: null,
  created_at: "2026-11-21T20:00:00.000Z",
  updated_at: "2026-11-21T20:00:00.000Z",
} satisfies ShownWatch;

const PREVIEW: Preview = {
  request: { method: "GET", url: BODY.request.url, headers: { accept: "application/json" }, body: null },
  response: {
    status: 200,
    headers: { "content-type": "application/json" },
    bytes: 45,
    ms: 38,
    body: '{"order":{"status":"pending","total":19.99}}',
  },
  fields: { status: { value: "pending" }, total: { value: 19.99 } },
  items: null,
  problems: [],
};

const BACKTEST: Backtest = {
  bodies: 2,
  since: "2026-11-21T18:00:00.100Z",
  events: [
    {
      at: "2026-11-21T20:22:00.100Z",
      type: "order.paid",
      data: {
        watch: { id: exampleId("watch"), name: "Order 42" },
        sequence: 1,
        window: { after: "2026-11-21T18:00:00.100Z", until: "2026-11-21T20:22:00.100Z" },
        changes: [{ field: "status", path: "$.order.status", kind: "changed", previous: "pending", current: "paid" }],
      },
    },
  ],
  events_total: 1,
  polls: [
    { at: "2026-11-21T18:00:00.100Z", outcome: "baseline", changes: 0, problem: null, note: null },
    { at: "2026-11-21T20:22:00.100Z", outcome: "changed", changes: 1, problem: null, note: null },
  ],
};

const filters = listQuery.extend({
  name: z.string().max(200).optional(),
  host: z.string().max(300).optional(),
  paused: z.enum(["true", "false"]).optional(),
});

const batch = z.strictObject({ watches: z.array(watchInput).min(1).max(MOST_AT_ONCE) });
/** What it holds is judged together with what stands. */
const patch = z.record(z.string(), z.unknown());
const trial = z.strictObject({
  fields: z.unknown().optional(),
  items: z.unknown().optional(),
  conditions: z.unknown().optional(),
});

export type WatchRouteDeps = {
  database: Database;
  watches: Watches;
  runs: Runs;
  preview(input: WatchInput, signal: AbortSignal): Promise<Preview>;
};

/** Standing orders to poll. */
export function watchRoutes({ database, watches, runs, preview }: WatchRouteDeps): Route[] {
  const record = createRecorder(database, "watch");
  const witness = createWitness("watch");
  const shown = { status: 200, description: "The watch as it is now", example: EXAMPLE };

  return [
    route({
      method: "GET",
      path: "/v1/watches",
      summary: "List watches; `name` matches anywhere, `host` as in `/v1/hosts`",
      tag: TAG,
      access: "viewer",
      query: filters,
      answers: [{ status: 200, description: "A page of watches, newest first", example: listExample(EXAMPLE) }],
      async handle({ query }) {
        const { limit, cursor, name, host, paused } = query;
        const filter = { name, host, paused: paused === undefined ? undefined : paused === "true" };
        return pageAnswer("watch", await watches.list({ filter, cursor, limit }));
      },
    }),

    route({
      method: "POST",
      path: "/v1/watches",
      summary: "Create a watch; its first poll, at once, takes the reference",
      tag: TAG,
      access: "editor",
      body: watchInput,
      bodyExample: BODY,
      answers: [{ status: 201, description: "The watch", example: EXAMPLE }],
      async handle(request) {
        const witnessed = witness<CreatedWatches>(request, "create", { name: request.body.name });
        const [watch] = await watches.create([request.body], undefined, witnessed);
        return { status: 201, body: watch };
      },
    }),

    route({
      method: "POST",
      path: "/v1/watches/batch",
      summary: "Create up to 500 watches, all or none",
      tag: TAG,
      access: "editor",
      body: batch,
      bodyExample: { watches: [BODY] },
      maxBodyBytes: BATCH_BYTES,
      answers: [{ status: 201, description: "In the order given", example: { data: [EXAMPLE] } }],
      async handle(request) {
        const tell = ({ ids }: CreatedWatches) => ({ watches: ids.length, first: ids[0] ?? null });
        const witnessed = witness(request, "create", tell, null);
        const created = await watches.create(request.body.watches, (index) => `/watches/${index}`, witnessed);
        return { status: 201, body: { data: created } };
      },
    }),

    route({
      method: "POST",
      path: "/v1/watches/preview",
      summary: "Run a watch once without saving it",
      tag: TAG,
      access: "editor",
      body: watchInput,
      bodyExample: BODY,
      answers: [{ status: 200, description: "What was asked, answered and found", example: PREVIEW }],
      async handle(request) {
        const { body, signal } = request;
        const previewed = await preview(body, signal);
        // It may carry a credential to wherever the body says.
        await record(request, "preview", null, { url: withoutQuery(body.request.url), secret_id: body.secret_id });
        return { status: 200, body: previewed };
      },
    }),

    route({
      method: "GET",
      path: "/v1/watches/:id",
      summary: "Show a watch",
      tag: TAG,
      access: "viewer",
      answers: [{ ...shown, description: "The watch" }],
      handle: async ({ id }) => ({ status: 200, body: await watches.get(id) }),
    }),

    route({
      method: "PATCH",
      path: "/v1/watches/:id",
      summary: "Change a watch (RFC 7396); null restores a default, `***` keeps a header's value. It polls at once",
      tag: TAG,
      access: "editor",
      body: patch,
      bodyExample: { schedule: { every: "5m" }, conditions: null },
      answers: [shown],
      async handle(request) {
        const { body } = request;
        const judge = (merged: unknown) => validate(watchInput, merged, "body");
        const witnessed = witness(request, "update", { changed: Object.keys(body) });
        const watch = await watches.patch(request.id, body, judge, witnessed);
        return { status: 200, body: watch };
      },
    }),

    route({
      method: "DELETE",
      path: "/v1/watches/:id",
      summary: "Delete a watch; events that it stated stay",
      tag: TAG,
      access: "editor",
      answers: [{ status: 204, description: "Deleted" }],
      async handle(request) {
        await watches.remove(request.id, witness(request, "delete"));
        return { status: 204 };
      },
    }),

    route({
      method: "POST",
      path: "/v1/watches/:id/pause",
      summary: "Stop polling",
      tag: TAG,
      access: "editor",
      answers: [shown],
      async handle(request) {
        const watch = await watches.pause(request.id, witness(request, "pause"));
        return { status: 200, body: watch };
      },
    }),

    route({
      method: "POST",
      path: "/v1/watches/:id/resume",
      summary: "Go on polling, at once",
      tag: TAG,
      access: "editor",
      answers: [shown],
      async handle(request) {
        const watch = await watches.resume(request.id, witness(request, "resume"));
        return { status: 200, body: watch };
      },
    }),

    route({
      method: "POST",
      path: "/v1/watches/:id/poll",
      summary: "Poll now, as the schedule would; 409 while a poll is running",
      tag: TAG,
      access: "editor",
      answers: [{ status: 200, description: "The poll", example: POLL }],
      async handle(request) {
        const poll = await runs.pollNow(request.id, request.signal);
        await record(request, "poll", request.id, { outcome: poll.outcome });
        return { status: 200, body: poll };
      },
    }),

    route({
      method: "POST",
      path: "/v1/watches/:id/backtest",
      summary:
        "Run the kept bodies through other fields, items or conditions (as in a PATCH); nothing is saved or sent",
      tag: TAG,
      access: "editor",
      body: trial,
      bodyExample: { conditions: [{ field: "status", op: "becomes", value: "paid" }] },
      answers: [{ status: 200, description: "The events that they would have given", example: BACKTEST }],
      async handle({ id, body }) {
        const found = await runs.backtest(id, body, (merged) => validate(watchInput, merged, "body"));
        return { status: 200, body: found };
      },
    }),

    route({
      method: "GET",
      path: "/v1/watches/:id/polls",
      summary: "List the polls of a watch; those without a change are kept for a day at most",
      tag: TAG,
      access: "viewer",
      query: listQuery,
      answers: [{ status: 200, description: "A page of polls, newest first", example: listExample(POLL) }],
      async handle({ id, query }) {
        const { rows, show } = await runs.polls(id, query);
        return listAnswer(rows, query.limit, show);
      },
    }),

    route({
      method: "GET",
      path: "/v1/watches/:id/state",
      summary: "Show the last known values of a watch",
      tag: TAG,
      access: "viewer",
      answers: [
        {
          status: 200,
          description: "Fields by name, and the first 1,000 items. `stated` stands where it differs from `value`",
          example: {
            fields: { status: { value: "pending", missing: false, missing_polls: 0 } },
            items: [],
            items_total: 0,
          },
        },
      ],
      handle: async ({ id }) => ({ status: 200, body: await runs.state(id) }),
    }),

    route({
      method: "POST",
      path: "/v1/watches/:id/held/confirm",
      summary: "State the events of a held poll",
      tag: TAG,
      access: "editor",
      answers: [{ status: 200, description: "How many events were stated", example: { events: 1204 } }],
      async handle(request) {
        const witnessed = witness<SettledPoll>(request, "confirm_held", ({ events }) => ({ events }));
        const confirmed = await runs.confirmHeld(request.id, witnessed);
        return { status: 200, body: confirmed };
      },
    }),

    route({
      method: "POST",
      path: "/v1/watches/:id/held/discard",
      summary: "Take the values of a held poll as the reference, and state nothing",
      tag: TAG,
      access: "editor",
      answers: [{ status: 204, description: "Discarded" }],
      async handle(request) {
        await runs.discardHeld(request.id, witness<SettledPoll>(request, "discard_held"));
        return { status: 204 };
      },
    }),
  ];
}

function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/s, "");
}
