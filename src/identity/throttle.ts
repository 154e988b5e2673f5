import { createHash } from "node:crypto";
import { networkOf } from "../platform/addresses.ts";
import type { Database } from "../platform/database.ts";
import { formatDuration } from "../platform/durations.ts";
import { AppError } from "../platform/errors.ts";
import * as store from "./store/throttle.ts";
import { countFailure, type Failures, type ThrottleKind, waitMs } from "./throttle_policy.ts";

/** A login try, counted as failed until `succeeded` takes that back: many at once cannot outrun the count. */
export type LoginTry = { succeeded(userId: string): Promise<void> };

/**
 * Counts a login try, or refuses it. Who signed in from an address before is slowed only by failures of that account
 * from there, so that guessing from elsewhere, or at other accounts, cannot lock the owner out.
 * @throws AppError (429) with `retryAfterSeconds`.
 */
export async function beginLogin(
  { sql }: Database,
  login: { email: string; address: string },
  now = new Date(),
): Promise<LoginTry> {
  const network = networkOf(login.address);
  const account = createHash("sha256").update(login.email).digest("base64url");
  const subjects = new Map<string, ThrottleKind>([
    [`pair:${createHash("sha256").update(`${account} ${network}`).digest("base64url")}`, "pair"],
    [`account:${account}`, "account"],
    [`address:${network}`, "address"],
  ]);

  const before = await sql.begin(async (transaction) => {
    const known = await store.isKnownAddress(transaction, login.email, network);
    const rows = await store.lockThrottles(transaction, [...subjects.keys()]);
    const counters = rows.map((row) => ({ row, kind: subjects.get(row.subject) ?? "pair", count: failuresOf(row) }));
    const binding = counters.filter(({ kind }) => kind === "pair" || !known);
    const pauseMs = Math.max(...binding.map(({ kind, count }) => waitMs(kind, count, now)));
    if (pauseMs > 0) throw tooMany(pauseMs);
    for (const { row, kind, count } of counters) {
      const failures = countFailure(kind, count, now);
      await store.saveThrottle(transaction, { subject: row.subject, failures, last_failure_at: now });
    }
    return rows;
  });

  async function succeeded(userId: string): Promise<void> {
    for (const { subject, last_failure_at } of before) {
      if (subjects.get(subject) === "pair") await store.deleteThrottle(sql, subject);
      else await store.takeBackFailure(sql, subject, now, last_failure_at);
    }
    await store.saveKnownAddress(sql, userId, network, now);
  }

  return { succeeded };
}

function failuresOf(row: store.ThrottleRow): Failures {
  return { failures: row.failures, lastAt: row.last_failure_at };
}

function tooMany(pauseMs: number): AppError {
  const retryAfterSeconds = Math.ceil(pauseMs / 1000);
  const message = `Too many failed logins; try again in ${formatDuration(retryAfterSeconds * 1000)}.`;
  return new AppError("throttled", message, { retryAfterSeconds });
}
