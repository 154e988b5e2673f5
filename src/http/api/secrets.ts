import { atLeast, type Principal } from "../../identity/principal.ts";
import { secretBody, secretPatch } from "../../vault/secret_shapes.ts";
import type { Secret, Secrets } from "../../vault/secrets.ts";
import { exampleId, listExample, listQuery, pageAnswer, pageOf } from "../lists.ts";
import { type Route, route } from "../route.ts";
import { createWitness } from "./recorder.ts";

const TAG = "Secrets";
const EXAMPLE: Secret = {
  id: exampleId("secret"),
  name: "ERP token",
  kind: "bearer",
  hosts: ["erp.example.com"],
  created_at: "2026-11-21T20:00:00.000Z",
  updated_at: "2026-11-21T20:00:00.000Z",
};

/** Who may let a secret go to more hosts. */
export function mayWiden(principal: Principal): boolean {
  return principal.kind !== "nobody" && atLeast(principal.role, "admin");
}

/** Credentials of sources and endpoints. `value` goes in and never comes out. */
export function secretRoutes({ secrets }: { secrets: Secrets }): Route[] {
  const witness = createWitness("secret");

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
      summary: "Create a secret; its value can never be read again, and goes to `hosts` only, if any are named",
      tag: TAG,
      access: "editor",
      body: secretBody,
      bodyExample: { name: "ERP token", kind: "bearer", value: "9f2AxTn0bq1L0uY5cQ3m7K", hosts: ["erp.example.com"] },
      answers: [{ status: 201, description: "The secret, without its value", example: EXAMPLE }],
      async handle(request) {
        const witnessed = witness<Secret>(request, "create", ({ name, kind, hosts }) => ({ name, kind, hosts }));
        const secret = await secrets.create(request.body, witnessed);
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
      summary:
        "Change a secret; members of `value` may be given one by one; more `hosts` need an admin, or the value anew",
      tag: TAG,
      access: "editor",
      body: secretPatch,
      bodyExample: { value: "0bq1L0uY5cQ3m7K9f2AxTn" },
      answers: [{ status: 200, description: "The secret as it is now, without its value", example: EXAMPLE }],
      async handle(request) {
        const changed = Object.keys(request.body);
        const witnessed = witness<Secret>(request, "update", ({ hosts }) => ({ changed, hosts }));
        const secret = await secrets.patch(request.id, request.body, witnessed, mayWiden(request.principal));
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
        await secrets.delete(request.id, witness(request, "delete"));
        return { status: 204 };
      },
    }),
  ];
}
