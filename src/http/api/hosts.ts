import { z } from "zod";
import type { Host, Hosts } from "../../watching/hosts.ts";
import { type Route, route } from "../route.ts";
import { createWitness } from "./recorder.ts";

const TAG = "Hosts";

const EXAMPLE: Host = {
  host: "erp.example.com",
  concurrency: 8,
  rate: 10,
  watches: 420,
  asked_per_second: 14,
  holds: [{ secret_id: null, until: "2026-11-21T20:25:00.000Z", reason: "answered 429 with Retry-After" }],
  warning: "The 420 watches on erp.example.com ask for 14 requests a second together, and its limit is 10: …",
};

/** Sorted by name, so that the cursor is the last name of the page before. */
const hostQuery = z.strictObject({
  limit: z.coerce.number({ error: "must be a whole number from 1 to 200" }).int().min(1).max(200).default(50),
  cursor: z.string().max(300).optional(),
});

const hostPatch = z.strictObject({
  concurrency: z.int().min(0).max(10_000).nullable().optional(),
  rate: z.number().min(0).max(100_000).nullable().optional(),
});

/** What sources can take. */
export function hostRoutes({ hosts }: { hosts: Hosts }): Route[] {
  const witness = createWitness("host");

  return [
    route({
      method: "GET",
      path: "/v1/hosts",
      summary: "List source hosts: their limits, what is asked of them, and waits that they asked for",
      tag: TAG,
      access: "viewer",
      query: hostQuery,
      answers: [{ status: 200, description: "A page of hosts, by name", example: { data: [EXAMPLE], next: null } }],
      handle: async ({ query }) => ({ status: 200, body: await hosts.list(query) }),
    }),

    route({
      method: "GET",
      path: "/v1/hosts/:host",
      summary: "Show a source host",
      tag: TAG,
      access: "viewer",
      answers: [{ status: 200, description: "The host", example: EXAMPLE }],
      handle: async ({ params }) => ({ status: 200, body: await hosts.get(params.host ?? "") }),
    }),

    route({
      method: "PATCH",
      path: "/v1/hosts/:host",
      summary: "Set a host's limits for all nodes together; 0: none, null: as in the settings",
      tag: TAG,
      access: "editor",
      body: hostPatch,
      bodyExample: { concurrency: 4, rate: 10 },
      answers: [{ status: 200, description: "The host as it is now", example: EXAMPLE }],
      async handle(request) {
        const witnessed = witness(request, "update", { ...request.body });
        const host = await hosts.patch(request.params.host ?? "", request.body, witnessed);
        return { status: 200, body: host };
      },
    }),
  ];
}
