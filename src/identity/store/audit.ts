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

export async function insertAudit(sql: SqlRunner, entry: Omit<AuditRow, "id">): Promise<void> {
  await sql`
    insert into deltahook.audit_log
      (actor_kind, actor_id, actor_name, action, resource_kind, resource_id, address, detail)
    values (${entry.actor_kind}, ${entry.actor_id}, ${entry.actor_name}, ${entry.action}, ${entry.resource_kind},
            ${entry.resource_id}, ${entry.address}, ${entry.detail && JSON.stringify(entry.detail)}::text::json)`;
}

/** Newest first, after (older than) the given id. */
export async function listAudit(sql: SqlRunner, after: string | null, limit: number): Promise<AuditRow[]> {
  return sql<AuditRow[]>`
    select * from deltahook.audit_log where ${after}::uuid is null or id < ${after} order by id desc limit ${limit}`;
}
