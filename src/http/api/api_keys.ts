import { type ApiKey, type ApiKeys, apiKeyBody, apiKeyPatch } from "../../identity/api_keys.ts";
import { exampleId, listExample, listQuery, pageAnswer, pageOf } from "../lists.ts";
import { type Route, route } from "../route.ts";
import { createWitness } from "./recorder.ts";

const TAG = "API keys";
const EXAMPLE: ApiKey = {
  id: exampleId("apiKey"),
  name: "Billing",
  role: "editor",
  hint: "dhk_9f2A",
  rate_limit: { max: 100, per: "1s" },
  created_by: exampleId("user"),
  created_at: "2026-11-21T20:00:00.000Z",
  expires_at: null,
  last_used_at: null,
};

/** Keys for programs. Nobody hands out or touches a key above their own role. */
export function apiKeyRoutes({ apiKeys }: { apiKeys: ApiKeys }): Route[] {
  const witness = createWitness("api_key");

  return [
    route({
      method: "GET",
      path: "/v1/api-keys",
      summary: "List API keys",
      tag: TAG,
      access: "viewer",
      query: listQuery,
      answers: [{ status: 200, description: "A page of keys, newest first", example: listExample(EXAMPLE) }],
      handle: async ({ query }) => pageAnswer("apiKey", await apiKeys.list(pageOf("apiKey", query))),
    }),

    route({
      method: "POST",
      path: "/v1/api-keys",
      summary: "Create an API key; the key itself is shown in this answer only",
      tag: TAG,
      access: "editor",
      body: apiKeyBody,
      bodyExample: { name: "Billing", role: "editor", rate_limit: { max: 100, per: "1s" } },
      answers: [
        {
          status: 201,
          description: "The key",
          example: { ...EXAMPLE, key: "dhk_9f2AxTn0bq1L0uY5cQ3m7KJv8sRw2ZdEhGpXoUiT4aB" },
        },
      ],
      async handle(request) {
        const witnessed = witness<ApiKey>(request, "create", ({ name, role }) => ({ name, role }));
        const key = await apiKeys.create(request.principal, request.body, witnessed);
        return { status: 201, body: key };
      },
    }),

    route({
      method: "GET",
      path: "/v1/api-keys/:id",
      summary: "Show an API key",
      tag: TAG,
      access: "viewer",
      answers: [{ status: 200, description: "The key, without its secret part", example: EXAMPLE }],
      handle: async ({ id }) => ({ status: 200, body: await apiKeys.get(id) }),
    }),

    route({
      method: "PATCH",
      path: "/v1/api-keys/:id",
      summary: "Change an API key's name, role, expiry or rate limit",
      tag: TAG,
      access: "editor",
      body: apiKeyPatch,
      bodyExample: { role: "viewer", rate_limit: null },
      answers: [{ status: 200, description: "The key as it is now", example: EXAMPLE }],
      async handle(request) {
        const changed = Object.keys(request.body);
        const witnessed = witness<ApiKey>(request, "update", ({ role }) => ({ changed, role }));
        const key = await apiKeys.patch(request.principal, request.id, request.body, witnessed);
        return { status: 200, body: key };
      },
    }),

    route({
      method: "DELETE",
      path: "/v1/api-keys/:id",
      summary: "Delete an API key: it is refused at once here, and within 5 s on other nodes",
      tag: TAG,
      access: "editor",
      answers: [{ status: 204, description: "Deleted" }],
      async handle(request) {
        await apiKeys.delete(request.principal, request.id, witness(request, "delete"));
        return { status: 204 };
      },
    }),
  ];
}
