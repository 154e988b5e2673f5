import type { SqlRunner } from "../../platform/database.ts";
import type { Role } from "../principal.ts";

type SessionRow = { user_id: string; created_at: Date; seen_at: Date; email: string; name: string; role: Role };

export async function insertSession(
  sql: SqlRunner,
  session: { hash: Buffer; userId: string; now: Date; address: string | null; userAgent: string | null },
): Promise<void> {
  const { hash, userId, now, address, userAgent } = session;
  await sql`
    insert into deltahook.sessions (token_hash, user_id, created_at, seen_at, address, user_agent)
    values (${hash}, ${userId}, ${now}, ${now}, ${address}, ${userAgent})`;
}

/** With its person, unless they are disabled. */
export async function findSession(sql: SqlRunner, hash: Buffer): Promise<SessionRow | undefined> {
  const [row] = await sql<SessionRow[]>`
    select s.user_id, s.created_at, s.seen_at, u.email, u.name, u.role
    from deltahook.sessions s join deltahook.users u on u.id = s.user_id
    where s.token_hash = ${hash} and u.disabled_at is null`;
  return row;
}

export async function touchSession(sql: SqlRunner, hash: Buffer, now: Date): Promise<void> {
  await sql`update deltahook.sessions set seen_at = ${now} where token_hash = ${hash} and seen_at < ${now}`;
}

/** @returns whose it was, if it was there */
export async function deleteSession(sql: SqlRunner, hash: Buffer): Promise<string | undefined> {
  const [row] = await sql<{ user_id: string }[]>`
    delete from deltahook.sessions where token_hash = ${hash} returning user_id`;
  return row?.user_id;
}

export async function deleteSessionsOf(sql: SqlRunner, userId: string): Promise<void> {
  await sql`delete from deltahook.sessions where user_id = ${userId}`;
}

export async function deleteStaleSessions(sql: SqlRunner, limits: { seenBefore: Date; madeBefore: Date }) {
  await sql`
    delete from deltahook.sessions where seen_at < ${limits.seenBefore} or created_at < ${limits.madeBefore}`;
}
