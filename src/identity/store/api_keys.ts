import type { SqlRunner } from "../../platform/database.ts";
import type { RateLimit, Role } from "../principal.ts";

/** An API key without its hash. */
export type ApiKeyRow = {
  id: string;
  name: string;
  role: Role;
  hint: string;
  rate_limit: RateLimit | null;
  created_by: string | null;
  created_at: Date;
  expires_at: Date | null;
  last_used_at: Date | null;
};

export async function insertApiKey(
  sql: SqlRunner,
  key: {
    name: string;
    role: Role;
    hash: Buffer;
    hint: string;
    rateLimit: RateLimit | null;
    createdBy: string | null;
    expiresAt: Date | null;
  },
): Promise<ApiKeyRow[]> {
  return sql<ApiKeyRow[]>`
    insert into deltahook.api_keys (name, role, key_hash, hint, rate_limit, created_by, expires_at)
    values (${key.name}, ${key.role}, ${key.hash}, ${key.hint}, ${sql.json(key.rateLimit)}, ${key.createdBy},
            ${key.expiresAt})
    returning ${columns(sql)}`;
}

/** Newest first, after (older than) the given id. */
export async function listApiKeys(sql: SqlRunner, after: string | null, limit: number): Promise<ApiKeyRow[]> {
  return sql<ApiKeyRow[]>`
    select ${columns(sql)} from deltahook.api_keys
    where ${after}::uuid is null or id < ${after} order by id desc limit ${limit}`;
}

export async function findApiKey(sql: SqlRunner, id: string): Promise<ApiKeyRow | undefined> {
  const [row] = await sql<ApiKeyRow[]>`select ${columns(sql)} from deltahook.api_keys where id = ${id}`;
  return row;
}

export async function findApiKeyByHash(sql: SqlRunner, hash: Buffer): Promise<ApiKeyRow | undefined> {
  const [row] = await sql<ApiKeyRow[]>`select ${columns(sql)} from deltahook.api_keys where key_hash = ${hash}`;
  return row;
}

export async function touchApiKey(sql: SqlRunner, id: string, now: Date): Promise<void> {
  await sql`
    update deltahook.api_keys set last_used_at = ${now}
    where id = ${id} and (last_used_at is null or last_used_at < ${now})`;
}

export async function updateApiKey(
  sql: SqlRunner,
  key: { id: string; name: string; role: Role; rateLimit: RateLimit | null; expiresAt: Date | null },
): Promise<ApiKeyRow | undefined> {
  const [row] = await sql<ApiKeyRow[]>`
    update deltahook.api_keys
    set name = ${key.name}, role = ${key.role}, rate_limit = ${sql.json(key.rateLimit)}, expires_at = ${key.expiresAt}
    where id = ${key.id}
    returning ${columns(sql)}`;
  return row;
}

export async function deleteApiKey(sql: SqlRunner, id: string): Promise<boolean> {
  const result = await sql`delete from deltahook.api_keys where id = ${id}`;
  return result.count > 0;
}

function columns(sql: SqlRunner) {
  return sql`id, name, role, hint, rate_limit, created_by, created_at, expires_at, last_used_at`;
}
