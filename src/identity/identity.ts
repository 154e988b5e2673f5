import type { Database } from "../platform/database.ts";
import { type ApiKeys, createApiKeys } from "./api_keys.ts";
import { pruneAudit } from "./audit.ts";
import { type Authenticate, createAuthenticate } from "./authenticate.ts";
import { createLoginTokens, type LoginTokens } from "./login_tokens.ts";
import { createSessions, SESSION_IDLE_MS, SESSION_MAX_MS, type Sessions } from "./sessions.ts";
import { deleteStaleSessions } from "./store/sessions.ts";
import { deleteOldAddresses, deleteOldThrottles } from "./store/throttle.ts";
import { deleteExpiredRevocations } from "./store/users.ts";
import { THROTTLE_FORGET_MS } from "./throttle_policy.ts";
import { createUsers, type Users } from "./users.ts";

/** Everything about who may come in, put together once at start. */
export type Identity = {
  users: Users;
  sessions: Sessions;
  loginTokens: LoginTokens;
  apiKeys: ApiKeys;
  authenticate: Authenticate;
  /** Whether cookies are of the https kind. */
  https: boolean;
};

export function createIdentity(options: { database: Database; jwtSecret: string; https: boolean }): Identity {
  const { database, https } = options;
  const users = createUsers(database);
  const sessions = createSessions(database);
  const loginTokens = createLoginTokens(database, options.jwtSecret);
  const apiKeys = createApiKeys(database);
  const authenticate = createAuthenticate({ apiKeys, loginTokens, sessions, https });
  return { users, sessions, loginTokens, apiKeys, authenticate, https };
}

const KNOWN_ADDRESS_MS = 180 * 86_400_000;

/** Maintenance, once an hour or so: drops what has expired, and audit entries older than `auditMs`. */
export async function sweepIdentity(
  { sql }: Database,
  { auditMs }: { auditMs: number },
  now = new Date(),
): Promise<void> {
  const ago = (ms: number) => new Date(now.getTime() - ms);
  await deleteStaleSessions(sql, { seenBefore: ago(SESSION_IDLE_MS), madeBefore: ago(SESSION_MAX_MS) });
  await deleteExpiredRevocations(sql, now);
  await deleteOldThrottles(sql, ago(THROTTLE_FORGET_MS));
  await deleteOldAddresses(sql, ago(KNOWN_ADDRESS_MS));
  await pruneAudit(sql, ago(auditMs));
}
