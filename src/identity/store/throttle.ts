import type { SqlRunner, Transaction } from "../../platform/database.ts";

export type ThrottleRow = { subject: string; failures: number; last_failure_at: Date };

/** Locks the counters, made at zero where there is none, in one order for all. */
export async function lockThrottles(sql: Transaction, subjects: readonly string[]): Promise<ThrottleRow[]> {
  const ordered = [...subjects].sort();
  await sql`
    insert into deltahook.login_throttle (subject, failures, last_failure_at)
    select subject, 0, 'epoch'::timestamptz from unnest(${ordered}::text[]) with ordinality as t(subject, place) order by place
    on conflict do nothing`;
  return sql<ThrottleRow[]>`
    select subject, failures, last_failure_at from deltahook.login_throttle
    where subject = any(${ordered}::text[]) order by subject collate "C" for update`;
}

export async function saveThrottle(sql: SqlRunner, row: ThrottleRow): Promise<void> {
  await sql`
    update deltahook.login_throttle set failures = ${row.failures}, last_failure_at = ${row.last_failure_at}
    where subject = ${row.subject}`;
}

/** Takes a failure back that was counted in advance; the time before it returns unless others failed since. */
export async function takeBackFailure(sql: SqlRunner, subject: string, countedAt: Date, before: Date): Promise<void> {
  await sql`
    update deltahook.login_throttle
    set failures = greatest(0, failures - 1),
        last_failure_at = case when last_failure_at = ${countedAt} then ${before} else last_failure_at end
    where subject = ${subject}`;
}

export async function deleteThrottle(sql: SqlRunner, subject: string): Promise<void> {
  await sql`delete from deltahook.login_throttle where subject = ${subject}`;
}

export async function deleteOldThrottles(sql: SqlRunner, before: Date): Promise<void> {
  await sql`delete from deltahook.login_throttle where last_failure_at < ${before}`;
}

export async function isKnownAddress(sql: SqlRunner, email: string, address: string): Promise<boolean> {
  const rows = await sql`
    select 1 from deltahook.known_addresses k join deltahook.users u on u.id = k.user_id
    where lower(u.email) = ${email} and k.address = ${address}`;
  return rows.length > 0;
}

export async function saveKnownAddress(sql: SqlRunner, userId: string, address: string, now: Date): Promise<void> {
  await sql`
    insert into deltahook.known_addresses (user_id, address, seen_at) values (${userId}, ${address}, ${now})
    on conflict (user_id, address) do update set seen_at = excluded.seen_at`;
}

export async function deleteOldAddresses(sql: SqlRunner, before: Date): Promise<void> {
  await sql`delete from deltahook.known_addresses where seen_at < ${before}`;
}
