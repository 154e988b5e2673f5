import { allows, type Principal, type Role } from "../identity/principal.ts";
import { AppError } from "../platform/errors.ts";
import type { RateLimit, Route } from "./route.ts";

/** What a request shows to prove who is asking: `bearer` is an API key or login token, `session` a browser's cookie. */
export type Credential = { kind: "bearer" | "session"; token: string };
/** Who that is, with the limit that an API key may carry. */
export type Caller = { principal: Principal; rateLimit: RateLimit | null };
/** Looks a credential up: null when it is unknown, expired or revoked. */
export type Authenticate = (credential: Credential) => Promise<Caller | null>;

const NOBODY: Caller = { principal: { kind: "nobody" }, rateLimit: null };
const SAFE_METHODS = new Set(["GET", "HEAD"]);

/**
 * The one place that decides who may call a route.
 * @throws AppError `unauthenticated` or `forbidden`, with the remedy.
 */
export async function admit(
  route: Pick<Route, "access" | "kind">,
  request: Request,
  options: { authenticate: Authenticate; sessionCookie: string; publicOrigin: string },
): Promise<Caller> {
  const fromBrowser = route.kind === "page";
  if (fromBrowser) refuseForgedRequest(request, options.publicOrigin);
  if (route.access === "open") return NOBODY;

  const credential = credentialOf(request.headers, options.sessionCookie);
  if (!credential) throw loginNeeded("This needs an account");
  const caller = await options.authenticate(credential);
  if (!caller) throw loginNeeded("The API key, login token or session is unknown, expired or revoked");
  if (credential.kind === "session" && !fromBrowser) refuseForgedRequest(request, options.publicOrigin);
  if (!allows(caller.principal, route.access)) throw roleNeeded(caller.principal, route.access);
  return caller;
}

/**
 * A browser sends its cookies along with requests that another site made up. What changes something must therefore come
 * from our own pages: by `Sec-Fetch-Site`, or for browsers on plain http, which send none, by `Origin`.
 */
function refuseForgedRequest(request: Request, publicOrigin: string): void {
  if (SAFE_METHODS.has(request.method)) return;
  const site = request.headers.get("sec-fetch-site");
  if (site === "same-origin") return;
  const origin = request.headers.get("origin");
  if (site === null && origin === publicOrigin) return;
  throw new AppError(
    "forbidden",
    `This request did not come from a page at ${publicOrigin}. Open DeltaHook under that address; if it is reached under another one, set PUBLIC_URL to it.`,
  );
}

/** A header that is there counts, even if it is of no use: falling back to a cookie would hide the caller's mistake. */
function credentialOf(headers: Headers, sessionCookie: string): Credential | null {
  const authorization = headers.get("authorization");
  if (authorization !== null) {
    const token = /^bearer +([\x21-\x7e]{1,4096})$/i.exec(authorization)?.[1];
    if (token === undefined) throw loginNeeded("The Authorization header is not `Bearer <token>`");
    return { kind: "bearer", token };
  }
  const token = cookieOf(headers.get("cookie"), sessionCookie);
  return token === null ? null : { kind: "session", token };
}

function cookieOf(header: string | null, name: string): string | null {
  if (header === null) return null;
  const start = `${name}=`;
  const found = header.split(";").find((part) => part.trimStart().startsWith(start));
  return found ? found.trim().slice(start.length) : null;
}

function loginNeeded(cause: string): AppError {
  return new AppError(
    "unauthenticated",
    `${cause}. Send \`Authorization: Bearer <API key>\`, or log in at POST /v1/auth/login and send its token so.`,
  );
}

function roleNeeded(principal: Principal, least: Role): AppError {
  const role = principal.kind === "nobody" ? "none" : principal.role;
  const who = principal.kind === "api_key" ? "This API key" : "Your account";
  return new AppError("forbidden", `${who} has the role ${role}; this needs ${least}. Ask an admin for it.`);
}
