import { z } from "zod";
import { endpointInput, endpointPatch, secretRotation } from "../../delivering/endpoint_input.ts";
import type { Endpoints, ShownEndpoint } from "../../delivering/endpoints.ts";
import type { CheckUrl } from "../../delivering/input.ts";
import type { Operations, ShownOperation } from "../../delivering/operations.ts";
import type { TestPing } from "../../delivering/test_ping.ts";
import type { Database } from "../../platform/database.ts";
import { exampleId, listExample, listQuery, pageAnswer } from "../lists.ts";
import { type Route, route } from "../route.ts";
import { validate } from "../validation.ts";
import { ATTEMPT_EXAMPLE } from "./deliveries.ts";
import { momentInput } from "./filters.ts";
import { OPERATION_EXAMPLE } from "./operations.ts";
import { createRecorder, createWitness } from "./recorder.ts";

const TAG = "Endpoints";

const BODY = {
  name: "Billing",
  url: "https://billing.example.com/hooks",
  event_types: ["order.*"],
  filter: "$[?@.data.amount > 100]",
  headers: { "x-team": "billing" },
  retry: { delays: ["5s", "5m"] },
  timeout: "15s",
  rate_limit: { per: "1s", max: 50 },
  max_in_flight: 32,
};

const EXAMPLE: ShownEndpoint = {
  id: exampleId("endpoint"),
  kind: "subscribed",
  ...BODY,
  secret_id: null,
  plugin: null,
  plugin_options: {},
  ordered: false,
  auto_pause: true,
  paused: null,
  health: { failing_since: null, held_until: null, next_probe_at: null, backlog: false },
  created_at: "2026-11-21T20:00:00.000Z",
  updated_at: "2026-11-21T20:00:00.000Z",
};

const SECRET_EXAMPLE = {
  secret: "whsec_qCvCXYcHW0BVfMaV1f3ZlQ4Qe6rL5oOQ0nq3s2m1k0g=",
  previous: [{ secret: "whsec_5WbX5kEWLlfzsGNjH64I8lOOqUB6e8FHqCvCXYcHW0A=", expires_at: "2026-11-22T20:00:00.000Z" }],
};

const STATUSES = ["dead", "cancelled", "delivered"] as const;

const recovery = z
  .strictObject({
    since: momentInput,
    until: momentInput.optional(),
    /** Which deliveries of that time: the dead ones; `all` sends delivered and cancelled ones again too. */
    status: z.enum([...STATUSES, "all"]).default("dead"),
    dry_run: z.boolean().default(false),
  })
  .refine(({ since, until }) => until === undefined || since < until, {
    path: ["until"],
    error: "must be later than since",
  });

export type EndpointRouteDeps = {
  database: Database;
  endpoints: Endpoints;
  operations: Operations;
  ping: TestPing;
  checkUrl: CheckUrl;
};

/** Where events go. */
export function endpointRoutes({ database, endpoints, operations, ping, checkUrl }: EndpointRouteDeps): Route[] {
  const record = createRecorder(database, "endpoint");
  const witness = createWitness("endpoint");
  const input = endpointInput(checkUrl);

  return [
    route({
      method: "GET",
      path: "/v1/endpoints",
      summary: "List endpoints, the implicit ones of direct sends and those of who listens too",
      tag: TAG,
      access: "viewer",
      query: listQuery.extend({ kind: z.enum(["subscribed", "direct", "listen"]).optional() }),
      answers: [{ status: 200, description: "A page of endpoints, newest first", example: listExample(EXAMPLE) }],
      handle: async ({ query }) => pageAnswer("endpoint", await endpoints.list(query)),
    }),

    route({
      method: "POST",
      path: "/v1/endpoints",
      summary: "Create an endpoint, with a signing secret of its own",
      tag: TAG,
      access: "editor",
      body: input,
      bodyExample: BODY,
      answers: [{ status: 201, description: "The endpoint", example: EXAMPLE }],
      async handle(request) {
        const witnessed = witness<ShownEndpoint>(request, "create", ({ name, url }) => ({ name, url }));
        const endpoint = await endpoints.create(request.body, witnessed);
        return { status: 201, body: endpoint };
      },
    }),

    route({
      method: "GET",
      path: "/v1/endpoints/:id",
      summary: "Show an endpoint and how it is doing",
      tag: TAG,
      access: "viewer",
      answers: [{ status: 200, description: "The endpoint", example: EXAMPLE }],
      handle: async ({ id }) => ({ status: 200, body: await endpoints.get(id) }),
    }),

    route({
      method: "PATCH",
      path: "/v1/endpoints/:id",
      summary: "Change an endpoint (RFC 7396); null restores a default, `***` keeps a header's value",
      tag: TAG,
      access: "editor",
      body: endpointPatch,
      bodyExample: { max_in_flight: 8, filter: null },
      answers: [{ status: 200, description: "The endpoint as it is now", example: EXAMPLE }],
      async handle(request) {
        const { body } = request;
        const check = (merged: unknown) => validate(input, merged, "body");
        const witnessed = witness(request, "update", { changed: Object.keys(body) });
        const endpoint = await endpoints.patch(request.id, body, check, witnessed);
        return { status: 200, body: endpoint };
      },
    }),

    route({
      method: "DELETE",
      path: "/v1/endpoints/:id",
      summary: "Delete an endpoint; what it is owed is cancelled and stays listed",
      tag: TAG,
      access: "editor",
      answers: [{ status: 204, description: "Deleted" }],
      async handle(request) {
        await endpoints.remove(request.id, witness(request, "delete"));
        return { status: 204 };
      },
    }),

    route({
      method: "POST",
      path: "/v1/endpoints/:id/pause",
      summary: "Stop sending; what is owed waits, tries unburnt",
      tag: TAG,
      access: "editor",
      answers: [{ status: 200, description: "The endpoint as it is now", example: EXAMPLE }],
      async handle(request) {
        const endpoint = await endpoints.pause(request.id, witness(request, "pause"));
        return { status: 200, body: endpoint };
      },
    }),

    route({
      method: "POST",
      path: "/v1/endpoints/:id/resume",
      summary: "Go on sending, whatever the pause was for; the backlog drains at the endpoint's pace",
      tag: TAG,
      access: "editor",
      answers: [{ status: 200, description: "The endpoint as it is now", example: EXAMPLE }],
      async handle(request) {
        const endpoint = await endpoints.resume(request.id, witness(request, "resume"));
        return { status: 200, body: endpoint };
      },
    }),

    route({
      method: "POST",
      path: "/v1/endpoints/:id/test",
      summary: "Send a test.ping event now, also to a paused endpoint; it is tried once",
      tag: TAG,
      access: "editor",
      answers: [
        {
          status: 200,
          description: "The attempt, whatever came of it",
          example: { event_id: exampleId("event"), delivery_id: exampleId("delivery"), attempt: ATTEMPT_EXAMPLE },
        },
      ],
      async handle(request) {
        const pinged = await ping(request.id);
        await record(request, "test", request.id);
        return { status: 200, body: pinged };
      },
    }),

    route({
      method: "GET",
      path: "/v1/endpoints/:id/secret",
      summary: "Show the signing secret, and earlier ones that still sign along",
      tag: TAG,
      access: "editor",
      answers: [{ status: 200, description: "The live signing secrets", example: SECRET_EXAMPLE }],
      async handle(request) {
        const secret = await endpoints.secret(request.id);
        await record(request, "read_secret", request.id);
        return { status: 200, body: secret };
      },
    }),

    route({
      method: "POST",
      path: "/v1/endpoints/:id/rotate-secret",
      summary: "Make a new signing secret; the earlier one signs along for `expire_old_after` (24 h)",
      tag: TAG,
      access: "editor",
      body: secretRotation,
      bodyExample: { expire_old_after: "24h" },
      answers: [{ status: 200, description: "The live signing secrets", example: SECRET_EXAMPLE }],
      async handle(request) {
        const secret = await endpoints.rotateSecret(request.id, request.body, witness(request, "rotate_secret"));
        return { status: 200, body: secret };
      },
    }),

    route({
      method: "POST",
      path: "/v1/endpoints/:id/recover",
      summary: "Owe again what the endpoint was owed in a time: its dead letters, or with `status` others too",
      tag: TAG,
      access: "editor",
      body: recovery,
      bodyExample: { since: "2026-11-21T20:00:00Z", dry_run: false },
      answers: [
        { status: 202, description: "The operation that does it", example: OPERATION_EXAMPLE },
        { status: 200, description: "How many it would be (`dry_run`)", example: { dry_run: true, total: 120 } },
      ],
      async handle(request) {
        const { since, until, status, dry_run: dryRun } = request.body;
        const statuses = status === "all" ? [...STATUSES] : [status];
        const by = request.principal.kind === "nobody" ? "" : request.principal.name;
        const tell = ({ id }: ShownOperation) => ({ operation: id, status });
        const witnessed = witness(request, "recover", tell, request.id);
        const started = await operations.recover(request.id, { since, until, statuses, dryRun }, by, witnessed);
        return { status: "dry_run" in started ? 200 : 202, body: started };
      },
    }),
  ];
}
