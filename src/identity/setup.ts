import type { Database, Transaction } from "../platform/database.ts";
import { AppError } from "../platform/errors.ts";
import type { Witness } from "../platform/witness.ts";
import { audit } from "./audit.ts";
import * as store from "./store/users.ts";
import { hashToken, newToken } from "./token.ts";
import { checkedHash, insertWithPassword, parseEmail, show, type User } from "./users.ts";

type FirstAdmin = { email: string; password: string };

/**
 * Makes the one-time link by which the first admin is created; earlier links die.
 * @returns its token, to be printed once, or null when a user exists already.
 */
export async function createSetupLink({ sql }: Database): Promise<string | null> {
  if (await store.anyUser(sql)) return null;
  const token = newToken();
  const made = await sql.begin(async (transaction) => {
    await store.lockUsers(transaction);
    if (await store.anyUser(transaction)) return false;
    await store.replaceSetupLink(transaction, hashToken(token));
    return true;
  });
  return made ? token : null;
}

/** Whether a link is still good, for the page that it opens. */
export async function isSetupLinkGood({ sql }: Database, token: string): Promise<boolean> {
  return (await store.findSetupLink(sql, hashToken(token))) && !(await store.anyUser(sql));
}

/**
 * Creates the first admin by the set-up link. Of several at once, one wins.
 * @throws AppError: 409 when a user exists, 403 for a link that is not the newest, 422 for email or password.
 */
export async function claimSetup(
  { sql }: Database,
  token: string,
  admin: FirstAdmin,
  witness?: Witness<User>,
): Promise<User> {
  if (await store.anyUser(sql)) throw alreadySetUp();
  if (!(await store.findSetupLink(sql, hashToken(token)))) throw badLink();
  const email = parseEmail(admin.email);
  const hash = await checkedHash(admin.password, "/password", email);
  return sql.begin(async (transaction) => {
    const user = await insertFirst(transaction, email, hash, () => store.findSetupLink(transaction, hashToken(token)));
    if (!user) throw alreadySetUp();
    await witness?.(transaction, user);
    return user;
  });
}

/**
 * Creates the admin of ADMIN_EMAIL and ADMIN_PASSWORD, only when no user exists.
 * @returns the admin made now, or null. @throws AppError (422) naming the rule that the password breaks.
 */
export async function ensureAdmin({ sql }: Database, admin: FirstAdmin): Promise<User | null> {
  if (await store.anyUser(sql)) return null;
  const email = parseEmail(admin.email);
  const hash = await checkedHash(admin.password, "/password", email);
  return sql.begin(async (transaction) => {
    const user = await insertFirst(transaction, email, hash, async () => true);
    if (user) {
      const resource = { kind: "user", id: user.id };
      await audit(transaction, { actor: "system", action: "set_up", resource, detail: { email: user.email } });
    }
    return user;
  });
}

async function insertFirst(
  transaction: Transaction,
  email: string,
  hash: string,
  mayClaim: () => Promise<boolean>,
): Promise<User | null> {
  await store.lockUsers(transaction);
  if (await store.anyUser(transaction)) return null;
  if (!(await mayClaim())) throw badLink();
  const row = await insertWithPassword(transaction, { email, name: "", role: "admin" }, hash);
  await store.deleteSetupLinks(transaction);
  return show(row);
}

function alreadySetUp(): AppError {
  return new AppError("conflict", "This server has been set up already; sign in instead.");
}

function badLink(): AppError {
  return new AppError("forbidden", "This set-up link is not good any more; the newest one is in the server's output.");
}
