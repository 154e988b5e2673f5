import { type Audited, listAudit } from "../../identity/audit.ts";
import type { Database } from "../../platform/database.ts";
import { exampleId, listExample, listQuery, pageAnswer, pageOf } from "../lists.ts";
import { type Route, route } from "../route.ts";

const EXAMPLE: Audited = {
  id: exampleId("audit"),
  at: "2026-11-21T20:00:00.000Z",
  actor: { kind: "user", id: exampleId("user"), name: "Ada" },
  action: "create",
  resource: { kind: "secret", id: exampleId("secret") },
  address: "203.0.113.7",
  detail: { name: "ERP token", kind: "bearer" },
};

/** For admins only, since it tells of people and their addresses. */
export function auditRoutes({ database }: { database: Database }): Route[] {
  return [
    route({
      method: "GET",
      path: "/v1/audit",
      summary: "Who did what to which resource, from where and when",
      tag: "Operation",
      access: "admin",
      query: listQuery,
      answers: [{ status: 200, description: "A page of entries, newest first", example: listExample(EXAMPLE) }],
      handle: async ({ query }) => pageAnswer("audit", await listAudit(database, pageOf("audit", query))),
    }),
  ];
}
