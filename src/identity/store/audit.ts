import type { SqlRunner } from "../../platform/database.ts";

export type AuditRow = {
  id: string;
  actor_kind: "user" | "api_key" | "system" | "cli";
  actor_id: string | null;
  actor_name: string;
  action: string;
  resource_kind: string;
  resource_id: string | null;
  address: string | null;
  detail: Record<string, unknown> | null;
};

/** With a `tally` that an entry has already, only that one's count grows. */
export async function insertAudit(
  sql: SqlRunner,
  entry: Omit<AuditRow, "id"> & { tally: string | null },
): Promise<void> {
  await sql`
    insert into deltahook.audit_log as known
      (actor_kind, actor_id, actor_name, action, resource_kind, resource_id, address, detail, tally)
    values (${entry.actor_kind}, ${entry.actor_id}, ${entry.actor_name}, ${entry.action}, ${entry.resource_kind},
            ${entry.resource_id}, ${entry.address}, ${entry.detail && JSON.stringify(entry.detail)}::text::json,
            ${entry.tally})
    on conflict (tally) where tally is not null do update
      set detail = coalesce(known.detail::jsonb, '{}')
        || jsonb_build_object('count', coalesce((known.detail->>'count')::int, 1) + 1)`;
}

/** The oldest entries below an id, at most `limit`. @returns how many */
export async function deleteAudit(sql: SqlRunner, below: string, limit: number): Promise<number> {
  const result = await sql`
    delete from deltahook.audit_log where id in (
      select id from deltahook.audit_log where id < ${below} order by id limit ${limit})`;
  return result.count;
}

/** Newest first, after (older than) the given id. */
export async function listAudit(sql: SqlRunner, after: string | null, limit: number): Promise<AuditRow[]> {
  return sql<AuditRow[]>`
    select * from deltahook.audit_log where ${after}::uuid is null or id < ${after} order by id desc limit ${limit}`;
}
