import type { Operations, ShownOperation } from "../../delivering/operations.ts";
import { exampleId, listExample, listQuery, pageAnswer } from "../lists.ts";
import { type Route, route } from "../route.ts";
import { createWitness } from "./recorder.ts";

const TAG = "Operations";

export const OPERATION_EXAMPLE: ShownOperation = {
  id: exampleId("operation"),
  kind: "recover",
  state: "running",
  request: {
    endpoint: exampleId("endpoint"),
    since: "2026-11-21T18:00:00.000Z",
    until: "2026-11-21T20:00:00.000Z",
    statuses: ["dead"],
  },
  done: 500,
  total: 1200,
  problem: null,
  created_by: "ada@example.com",
  created_at: "2026-11-21T20:00:00.000Z",
  updated_at: "2026-11-21T20:00:01.000Z",
  finished_at: null,
};

/** Long work that a person started: recover and bulk requeue. */
export function operationRoutes({ operations }: { operations: Operations }): Route[] {
  const witness = createWitness("operation");

  return [
    route({
      method: "GET",
      path: "/v1/operations",
      summary: "List operations",
      tag: TAG,
      access: "viewer",
      query: listQuery,
      answers: [
        { status: 200, description: "A page of operations, newest first", example: listExample(OPERATION_EXAMPLE) },
      ],
      handle: async ({ query }) => pageAnswer("operation", await operations.list(query)),
    }),

    route({
      method: "GET",
      path: "/v1/operations/:id",
      summary: "Show an operation and how far it is",
      tag: TAG,
      access: "viewer",
      answers: [{ status: 200, description: "The operation", example: OPERATION_EXAMPLE }],
      handle: async ({ id }) => ({ status: 200, body: await operations.get(id) }),
    }),

    route({
      method: "POST",
      path: "/v1/operations/:id/cancel",
      summary: "End a running operation; what it has done stays done",
      tag: TAG,
      access: "editor",
      answers: [
        {
          status: 200,
          description: "The operation as it is now",
          example: { ...OPERATION_EXAMPLE, state: "cancelled", finished_at: "2026-11-21T20:00:02.000Z" },
        },
      ],
      async handle(request) {
        return { status: 200, body: await operations.cancel(request.id, witness(request, "cancel")) };
      },
    }),
  ];
}
