import type { Database } from "../../platform/database.ts";
import { secretBody, secretPatch } from "../../vault/secret_shapes.ts";
import type { Secret, Secrets } from "../../vault/secrets.ts";
import { exampleId, listExample, listQuery, pageAnswer, pageOf } from "../lists.ts";
import { type Route, route } from "../route.ts";
import { createRecorder } from "./recorder.ts";

const TAG = "Secrets";
const EXAMPLE: Secret = {
  id: exampleId("secret"),
  name: "ERP token",
  kind: "bearer",
  created_at: "2026-11-21T20:00:00.000Z",
  updated_at: "2026-11-21T20:00:00.000Z",
};

/** Credentials of sources and endpoints. `value` goes in and never comes out. */
export function secretRoutes({ database, secrets }: { database: Database; secrets: Secrets }): Route[] {
  const record = createRecorder(database, "secret");

  return [
    route({
      method: "GET",
      path: "/v1/secrets",
      summary: "List secrets, without their values",
      tag: TAG,
      access: "viewer",
      query: listQuery,
      answers: [{ status: 200, description: "A page of secrets, newest first", example: listExample(EXAMPLE) }],
      handle: async ({ query }) => pageAnswer("secret", await secrets.list(pageOf("secret", query))),
    }),

    route({
      method: "POST",
      path: "/v1/secrets",
      summary: "Create a secret; its value can never be read again",
      tag: TAG,
      access: "editor",
      body: secretBody,
      bodyExample: { name: "ERP token", kind: "bearer", value: "9f2AxTn0bq1L0uY5cQ3m7K" },
      answers: [{ status: 201, description: "The secret, without its value", example: EXAMPLE }],
      async handle(request) {
        const secret = await secrets.create(request.body);
        await record(request, "create", secret.id, { name: secret.name, kind: secret.kind });
        return { status: 201, body: secret };
      },
    }),

    route({
      method: "GET",
      path: "/v1/secrets/:id",
      summary: "Show a secret, without its value",
      tag: TAG,
      access: "viewer",
      answers: [{ status: 200, description: "The secret", example: EXAMPLE }],
      handle: async ({ id }) => ({ status: 200, body: await secrets.get(id) }),
    }),

    route({
      method: "PATCH",
      path: "/v1/secrets/:id",
      summary: "Change a secret; members of `value` may be given one by one",
      tag: TAG,
      access: "editor",
      body: secretPatch,
      bodyExample: { value: "0bq1L0uY5cQ3m7K9f2AxTn" },
      answers: [{ status: 200, description: "The secret as it is now, without its value", example: EXAMPLE }],
      async handle(request) {
        const secret = await secrets.patch(request.id, request.body);
        await record(request, "update", secret.id, { changed: Object.keys(request.body) });
        return { status: 200, body: secret };
      },
    }),

    route({
      method: "DELETE",
      path: "/v1/secrets/:id",
      summary: "Delete a secret that no watch and no endpoint uses",
      tag: TAG,
      access: "editor",
      answers: [{ status: 204, description: "Deleted" }],
      async handle(request) {
        await secrets.delete(request.id);
        await record(request, "delete", request.id);
        return { status: 204 };
      },
    }),
  ];
}
