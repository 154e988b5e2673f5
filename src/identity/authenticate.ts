import { API_KEY_PREFIX, type ApiKeys } from "./api_keys.ts";
import { readSessionCookie } from "./cookies.ts";
import type { LoginTokens } from "./login_tokens.ts";
import type { Principal } from "./principal.ts";
import type { Sessions } from "./sessions.ts";

/** What a request brings along; the Authorization header counts before the cookie. */
export type Credentials = { authorization?: string | undefined; cookie?: string | undefined };

export type Authentication =
  /** `via` session: the browser sent it by itself, so unsafe methods need the check of their origin. */
  | { ok: true; principal: Principal; via: "session" | "login_token" | "api_key" }
  /** `missing`: no credentials at all. `message` names cause and remedy and may be shown. */
  | { ok: false; reason: "missing" | "malformed" | "expired" | "unknown"; message: string };

export type Authenticate = (credentials: Credentials, now?: Date) => Promise<Authentication>;

/** The one place that tells who is asking. `https`: whether our public address is, for the cookie's name. */
export function createAuthenticate(options: {
  apiKeys: ApiKeys;
  loginTokens: LoginTokens;
  sessions: Sessions;
  https: boolean;
}): Authenticate {
  const { apiKeys, loginTokens, sessions, https } = options;
  return async (credentials, now = new Date()) => {
    if (credentials.authorization !== undefined) {
      const token = /^Bearer +([^\s]+)$/i.exec(credentials.authorization.trim())?.[1];
      if (token === undefined) return refuse("malformed", "header");
      if (token.startsWith(API_KEY_PREFIX)) return answer("api_key", await apiKeys.find(token, now));
      if (token.split(".").length !== 3) return refuse("malformed", "header");
      return answer("login_token", await loginTokens.find(token, now));
    }
    const session = readSessionCookie(credentials.cookie, https);
    if (session === null) return refuse("missing", "header");
    return answer("session", await sessions.find(session, now));
  };
}

type Via = "session" | "login_token" | "api_key";

const MESSAGES = {
  header: {
    missing: "No credentials were sent; send `Authorization: Bearer <API key or login token>`, or sign in.",
    malformed: "The Authorization header cannot be read; write `Bearer` and an API key (dhk_…) or a login token.",
  },
  api_key: {
    expired: "This API key has expired; create another one.",
    unknown: "This API key is not known; it was mistyped or deleted. Create another one.",
  },
  login_token: {
    expired: "This login token has expired; log in again.",
    unknown: "This login token is not good any more; log in again.",
  },
  session: {
    expired: "The session has expired; sign in again.",
    unknown: "The session has ended; sign in again.",
  },
} as const;

function answer(via: Via, found: Principal | "expired" | "unknown"): Authentication {
  if (typeof found !== "string") return { ok: true, principal: found, via };
  return { ok: false, reason: found, message: MESSAGES[via][found] };
}

function refuse(reason: "missing" | "malformed", where: "header"): Authentication {
  return { ok: false, reason, message: MESSAGES[where][reason] };
}
