import type { SqlRunner, Transaction } from "../../platform/database.ts";
import type { Role } from "../principal.ts";

export type UserRow = {
  id: string;
  email: string;
  name: string;
  role: Role;
  disabled_at: Date | null;
  login_generation: number;
  created_at: Date;
  updated_at: Date;
};

/** @returns undefined when another user has that address. */
export async function insertUser(
  sql: SqlRunner,
  user: { email: string; name: string; role: Role },
): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
    insert into deltahook.users (email, name, role) values (${user.email}, ${user.name}, ${user.role})
    on conflict ((lower(email))) do nothing
    returning *`;
  return row;
}

/** Newest first, after (older than) the given id. */
export async function listUsers(sql: SqlRunner, after: string | null, limit: number): Promise<UserRow[]> {
  return sql<UserRow[]>`
    select * from deltahook.users where ${after}::uuid is null or id < ${after} order by id desc limit ${limit}`;
}

export async function findUser(sql: SqlRunner, id: string): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`select * from deltahook.users where id = ${id}`;
  return row;
}

export async function findUserByEmail(sql: SqlRunner, email: string): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`select * from deltahook.users where lower(email) = lower(${email})`;
  return row;
}

export async function lockUser(sql: Transaction, id: string): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`select * from deltahook.users where id = ${id} for update`;
  return row;
}

/** Locks all admins who can sign in, in id order, so that two who remove each other cannot both succeed. */
export async function lockAdmins(sql: Transaction): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    select id from deltahook.users where role = 'admin' and disabled_at is null order by id for update`;
  return rows.map((row) => row.id);
}

/** Throws 23505 when another user has that address. */
export async function updateUser(
  sql: SqlRunner,
  user: { id: string; email: string; name: string; role: Role; disabled: boolean },
): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
    update deltahook.users
    set email = ${user.email}, name = ${user.name}, role = ${user.role}, updated_at = now(),
        disabled_at = case when ${user.disabled} then coalesce(disabled_at, now()) end
    where id = ${user.id}
    returning *`;
  return row;
}

export async function deleteUser(sql: SqlRunner, id: string): Promise<void> {
  await sql`delete from deltahook.users where id = ${id}`;
}

export async function anyUser(sql: SqlRunner): Promise<boolean> {
  const rows = await sql`select 1 from deltahook.users limit 1`;
  return rows.length > 0;
}

/** No other transaction may add a user until this one ends. */
export async function lockUsers(sql: Transaction): Promise<void> {
  await sql`lock table deltahook.users in share row exclusive mode`;
}

export async function findHash(sql: SqlRunner, userId: string): Promise<string | null> {
  const [row] = await sql<{ hash: string }[]>`select hash from deltahook.passwords where user_id = ${userId}`;
  return row?.hash ?? null;
}

export async function saveHash(sql: SqlRunner, userId: string, hash: string): Promise<void> {
  await sql`
    insert into deltahook.passwords (user_id, hash) values (${userId}, ${hash})
    on conflict (user_id) do update set hash = excluded.hash, changed_at = now()`;
}

/** Ends every session and login token of a person. */
export async function endLogins(sql: Transaction, userId: string): Promise<void> {
  await sql`delete from deltahook.sessions where user_id = ${userId}`;
  await sql`update deltahook.users set login_generation = login_generation + 1 where id = ${userId}`;
}

/** The person of a login token, unless disabled, and whether that token was given back. */
export async function findTokenUser(
  sql: SqlRunner,
  userId: string,
  tokenId: string,
): Promise<(UserRow & { revoked: boolean }) | undefined> {
  const [row] = await sql<(UserRow & { revoked: boolean })[]>`
    select u.*, exists (select from deltahook.revoked_tokens where id = ${tokenId}) as revoked
    from deltahook.users u where u.id = ${userId} and u.disabled_at is null`;
  return row;
}

export async function revokeToken(sql: SqlRunner, tokenId: string, expiresAt: Date): Promise<void> {
  await sql`
    insert into deltahook.revoked_tokens (id, expires_at) values (${tokenId}, ${expiresAt}) on conflict do nothing`;
}

export async function deleteExpiredRevocations(sql: SqlRunner, now: Date): Promise<void> {
  await sql`delete from deltahook.revoked_tokens where expires_at < ${now}`;
}

/** Only the newest set-up link is good. */
export async function replaceSetupLink(sql: Transaction, hash: Buffer): Promise<void> {
  await sql`delete from deltahook.setup_links`;
  await sql`insert into deltahook.setup_links (token_hash) values (${hash})`;
}

export async function findSetupLink(sql: SqlRunner, hash: Buffer): Promise<boolean> {
  const rows = await sql`select 1 from deltahook.setup_links where token_hash = ${hash}`;
  return rows.length > 0;
}

export async function deleteSetupLinks(sql: SqlRunner): Promise<void> {
  await sql`delete from deltahook.setup_links`;
}
