import { z } from "zod";
import type { Database } from "../platform/database.ts";
import { AppError } from "../platform/errors.ts";
import { publicId } from "../platform/ids.ts";
import type { Witness } from "../platform/witness.ts";
import { auditFailedLogin, type LoginFailure } from "./failed_login.ts";
import { verifyPassword } from "./passwords.ts";
import type { Principal } from "./principal.ts";
import * as store from "./store/users.ts";
import { line } from "./text.ts";
import { beginLogin } from "./throttle.ts";
import { checkedHash, show, type User } from "./users.ts";

export const loginBody = z.strictObject({ email: line(254), password: z.string().max(1024) });
export type LoginBody = z.infer<typeof loginBody>;

export const passwordBody = z.strictObject({ old_password: z.string().max(1024), new_password: z.string().max(1024) });
export type PasswordBody = z.infer<typeof passwordBody>;

/** `userId` is the UUID, for `sessions.start` or `loginTokens.issue`. */
export type SignedIn = { userId: string; user: User };

/**
 * Checks email and password. Unknown people take as long as wrong passwords, and are answered the same.
 * @throws AppError: 429 with `retryAfterSeconds`, 401 for wrong or unknown, 403 for a disabled account.
 */
export async function signIn(
  database: Database,
  login: LoginBody & { address: string },
  now = new Date(),
): Promise<SignedIn> {
  const email = login.email.trim().toLowerCase();
  const { address } = login;
  const row = await store.findUserByEmail(database.sql, email);
  const enter = (why: LoginFailure) => auditFailedLogin(database.sql, { why, user: row, address }, now);
  const attempt = await beginLogin(database, { email, address }, now).catch(async (error) => {
    if (error instanceof AppError) await enter("locked");
    throw error;
  });
  const hash = await store.findHash(database.sql, row?.id ?? NOBODY);
  if (!(await verifyPassword(hash, login.password)) || !row) {
    await enter(row ? "wrong password" : "no such account");
    throw new AppError(
      "unauthenticated",
      "Email or password is wrong; check both, or ask an admin for a new password.",
    );
  }
  await attempt.succeeded(row.id);
  if (row.disabled_at) {
    await enter("account disabled");
    throw new AppError("forbidden", "This account is disabled; ask an admin to enable it.");
  }
  return { userId: row.id, user: show(row) };
}

/**
 * Replaces one's own password and ends all sessions and login tokens, this one included.
 * @throws AppError: 403 for API keys, 422 at `/old_password` or `/new_password`, 429.
 */
export async function changePassword(
  database: Database,
  who: Principal,
  change: PasswordBody & { address: string; witness?: Witness },
  now = new Date(),
): Promise<void> {
  if (who.kind !== "user") throw new AppError("forbidden", "Only people have passwords; sign in as one.");
  const row = await store.findUser(database.sql, who.id);
  if (!row) throw new AppError("not_found", "This account has been deleted.");
  const attempt = await beginLogin(database, { email: row.email.toLowerCase(), address: change.address }, now);
  const known = await store.findHash(database.sql, row.id);
  if (!(await verifyPassword(known, change.old_password))) {
    const message = "The old password is wrong.";
    throw new AppError("invalid", message, { faults: [{ pointer: "/old_password", message }] });
  }
  await attempt.succeeded(row.id);
  const hash = await checkedHash(change.new_password, "/new_password", row.email);
  await database.sql.begin(async (transaction) => {
    await store.lockUser(transaction, row.id);
    await store.saveHash(transaction, row.id, hash);
    await store.endLogins(transaction, row.id);
    await change.witness?.(transaction, { id: publicId("user", row.id) });
  });
}

const NOBODY = "00000000-0000-0000-0000-000000000000";
