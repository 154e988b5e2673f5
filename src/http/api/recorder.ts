import { audit } from "../../identity/audit.ts";
import type { Database } from "../../platform/database.ts";
import type { Witness } from "../../platform/witness.ts";
import type { RouteRequest } from "../route.ts";

type Asker = Pick<RouteRequest<unknown, unknown>, "principal" | "address">;
type Detail = Record<string, unknown>;

/**
 * Makes the witness of one change: its entry in the audit log commits with it. `detail` says what changed, never a
 * secret's value; `id` is given when the entry is about something else than what was made.
 */
export type CallWitness = <T extends { id: string | null }>(
  request: Asker,
  action: string,
  detail?: Detail | ((made: T) => Detail),
  id?: string | null,
) => Witness<T>;

/** For the changes of one kind of resource, e.g. `watch`. */
export function createWitness(kind: string): CallWitness {
  return ({ principal, address }, action, detail, id) =>
    (tx, made) => {
      const told = typeof detail === "function" ? detail(made) : detail;
      const resource = { kind, id: id === undefined ? made.id : id };
      return audit(tx, { actor: principal, action, resource, address, ...(told ? { detail: told } : {}) });
    };
}

/** Writes an entry by itself: for what changes nothing here, such as a poll or a secret that was read. */
export type Recorder = (request: Asker, action: string, id: string | null, detail?: Detail) => Promise<void>;

/** The recorder of one kind of resource, e.g. `watch`. */
export function createRecorder(database: Database, kind: string): Recorder {
  return ({ principal, address }, action, id, detail) =>
    audit(database.sql, { actor: principal, action, resource: { kind, id }, address, ...(detail ? { detail } : {}) });
}
