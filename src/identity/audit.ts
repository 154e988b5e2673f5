import type { Database, SqlRunner } from "../platform/database.ts";
import { type IdKind, publicId, uuidFloor, uuidTime } from "../platform/ids.ts";
import { type Page, type PageRequest, readPage } from "./page.ts";
import type { Principal } from "./principal.ts";
import * as store from "./store/audit.ts";

/** Who did what to which resource, from where. `detail` says what changed, never a secret's value. */
export type AuditEntry = {
  actor: Principal | "system" | "cli";
  /** A verb, e.g. `create`, `update`, `delete`, `login`, `pause`. */
  action: string;
  /** e.g. `secret`, `watch`, `user`, `session`. */
  resource: { kind: string; id?: string | null };
  address?: string | null;
  detail?: Record<string, unknown>;
  /** Entries with the same one become one, whose detail counts them: `count`. */
  tally?: string;
};

/** An entry as the API shows it. */
export type Audited = {
  id: string;
  at: string;
  actor: { kind: store.AuditRow["actor_kind"]; id: string | null; name: string };
  action: string;
  resource: { kind: string; id: string | null };
  address: string | null;
  detail: Record<string, unknown> | null;
};

/** Writes an entry, in the transaction of what it tells about when given that. */
export async function audit(sql: SqlRunner, entry: AuditEntry): Promise<void> {
  await store.insertAudit(sql, {
    ...actorOf(entry.actor),
    action: entry.action,
    resource_kind: entry.resource.kind,
    resource_id: entry.resource.id ?? null,
    address: entry.address ?? null,
    detail: entry.detail ? (withoutSecrets(entry.detail) as Record<string, unknown>) : null,
    tally: entry.tally ?? null,
  });
}

const PRUNED_AT_ONCE = 2_000;

/** Drops the entries from before a moment, in bounded batches. */
export async function pruneAudit(sql: SqlRunner, before: Date): Promise<void> {
  const below = uuidFloor(before.getTime());
  while ((await store.deleteAudit(sql, below, PRUNED_AT_ONCE)) === PRUNED_AT_ONCE);
}

/** Newest first. */
export function listAudit({ sql }: Database, page: PageRequest): Promise<Page<Audited>> {
  return readPage("audit", page, (after, limit) => store.listAudit(sql, after, limit), show);
}

type Actor = Pick<store.AuditRow, "actor_kind" | "actor_id" | "actor_name">;

function actorOf(actor: AuditEntry["actor"]): Actor {
  if (actor === "cli") return { actor_kind: "cli", actor_id: null, actor_name: "command line" };
  if (actor === "system" || actor.kind === "nobody") {
    return { actor_kind: "system", actor_id: null, actor_name: actor === "system" ? "DeltaHook" : "not signed in" };
  }
  return { actor_kind: actor.kind, actor_id: actor.id, actor_name: actor.name };
}

const SECRET_NAME = /password|secret|token|authori[sz]ation|cookie|credential|api[-_]?key|signature|^value$|^sealed$/i;

/** A net under the callers, who should not pass such values at all. A secret's id is none. */
function withoutSecrets(value: unknown, name = ""): unknown {
  if (SECRET_NAME.test(name) && !/_id$/.test(name) && value !== null) return "***";
  if (Array.isArray(value)) return value.map((item) => withoutSecrets(item));
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withoutSecrets(item, key)]));
}

const ACTOR_ID: Partial<Record<store.AuditRow["actor_kind"], IdKind>> = { user: "user", api_key: "apiKey" };

function show(row: store.AuditRow): Audited {
  const idKind = ACTOR_ID[row.actor_kind];
  return {
    id: publicId("audit", row.id),
    at: new Date(uuidTime(row.id)).toISOString(),
    actor: {
      kind: row.actor_kind,
      id: row.actor_id && idKind ? publicId(idKind, row.actor_id) : null,
      name: row.actor_name,
    },
    action: row.action,
    resource: { kind: row.resource_kind, id: row.resource_id },
    address: row.address,
    detail: row.detail,
  };
}
