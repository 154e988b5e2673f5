import { audit } from "../../identity/audit.ts";
import type { Database } from "../../platform/database.ts";
import type { RouteRequest } from "../route.ts";

/** Writes what a request did to one resource into the audit log. `detail` never holds a secret's value. */
export type Recorder = (
  request: Pick<RouteRequest<unknown, unknown>, "principal" | "address">,
  action: string,
  id: string | null,
  detail?: Record<string, unknown>,
) => Promise<void>;

/** The recorder of one kind of resource, e.g. `watch`. */
export function createRecorder(database: Database, kind: string): Recorder {
  return ({ principal, address }, action, id, detail) =>
    audit(database.sql, { actor: principal, action, resource: { kind, id }, address, ...(detail ? { detail } : {}) });
}
