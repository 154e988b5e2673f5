import { createHash } from "node:crypto";
import { networkOf } from "../platform/addresses.ts";
import type { SqlRunner } from "../platform/database.ts";
import { publicId } from "../platform/ids.ts";
import { audit } from "./audit.ts";

/** Why somebody was not let in; `locked`: too many failures before, the password was not even looked at. */
export type LoginFailure = "no such account" | "wrong password" | "account disabled" | "locked";

const TALLY_MS = 60_000;

/**
 * Enters a sign-in that failed. An email address is told only when it is an account's: people type passwords into the wrong
 * field. Failures of one account from one network within a minute are one entry with a count, those at unknown accounts
 * together, so that guessing cannot fill the log.
 */
export async function auditFailedLogin(
  sql: SqlRunner,
  failed: { why: LoginFailure; user: { id: string; email: string } | undefined; address: string },
  now: Date,
): Promise<void> {
  const { why, user, address } = failed;
  const minute = Math.floor(now.getTime() / TALLY_MS);
  const same = [why, user?.id ?? "", networkOf(address), minute].join(" ");
  await audit(sql, {
    actor: { kind: "nobody" },
    action: why === "locked" ? "login_locked" : "login_failed",
    resource: { kind: "user", id: user ? publicId("user", user.id) : null },
    address,
    detail: { why, ...(user ? { email: user.email } : {}) },
    tally: createHash("sha256").update(same).digest("base64url"),
  });
}
