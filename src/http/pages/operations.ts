import { OperationPage, OperationsPage, Progress } from "../../../views/operations.tsx";
import type { Resources } from "../../delivering/resources.ts";
import type { Database } from "../../platform/database.ts";
import { createWitness } from "../api/recorder.ts";
import { readNames } from "../names_store.ts";
import type { Route } from "../route.ts";
import { beforeQuery, PAGE_ROWS, pagerOf } from "./list.ts";
import { withNotice } from "./notices.ts";
import { action, fragment, page } from "./page.ts";

/** Long work that a person started, and how far it is. */
export function operationPages({ database, resources }: { database: Database; resources: Resources }): Route[] {
  const { operations } = resources;
  const witness = createWitness("operation");

  return [
    page({
      path: "/operations",
      access: "viewer",
      query: { before: beforeQuery("operation") },
      async show({ query: { before } }, frame) {
        const { data, next } = await operations.list({ cursor: before, limit: PAGE_ROWS });
        return OperationsPage({ frame, operations: data, pager: pagerOf("/operations", {}, { before, next }) });
      },
    }),

    page({
      path: "/operations/:id",
      access: "viewer",
      async show({ id }, frame) {
        const operation = await operations.get(id);
        const named = Object.values(operation.request).map((value) => (typeof value === "string" ? value : null));
        return OperationPage({ frame, operation, names: await readNames(database.sql, named) });
      },
    }),

    page({
      path: "/operations/:id/progress",
      access: "viewer",
      show: async ({ id }, frame) => fragment(Progress({ frame, operation: await operations.get(id) })),
    }),

    action({
      path: "/operations/:id/cancel",
      access: "editor",
      async perform(request) {
        await operations.cancel(request.id, witness(request, "cancel"));
        return withNotice(`/operations/${request.id}`, "cancelled");
      },
    }),
  ];
}
