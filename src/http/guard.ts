import type { Authenticate } from "../identity/authenticate.ts";
import { allows, type Principal, type Role } from "../identity/principal.ts";
import { AppError } from "../platform/errors.ts";
import type { Route } from "./route.ts";

const SAFE_METHODS = new Set(["GET", "HEAD"]);
const NOBODY: Principal = { kind: "nobody" };

/**
 * The one place that decides who may call a route.
 * @throws AppError `unauthenticated` or `forbidden`, with the remedy.
 */
export async function admit(
  route: Pick<Route, "access" | "kind">,
  request: Request,
  options: { authenticate: Authenticate; publicOrigin: string },
): Promise<Principal> {
  const fromBrowser = route.kind === "page";
  if (fromBrowser) refuseForgedRequest(request, options.publicOrigin);
  if (route.access === "open") return NOBODY;

  const found = await options.authenticate({
    authorization: request.headers.get("authorization") ?? undefined,
    cookie: request.headers.get("cookie") ?? undefined,
  });
  if (!found.ok) throw new AppError("unauthenticated", found.message);
  if (found.via === "session" && !fromBrowser) refuseForgedRequest(request, options.publicOrigin);
  if (!allows(found.principal, route.access)) throw roleNeeded(found.principal, route.access);
  return found.principal;
}

/**
 * A browser sends its cookies along with requests that another site made up. What changes something must therefore come
 * from our own pages: by `Sec-Fetch-Site`, or for browsers on plain http, which send none, by `Origin`.
 */
function refuseForgedRequest(request: Request, publicOrigin: string): void {
  if (SAFE_METHODS.has(request.method)) return;
  const site = request.headers.get("sec-fetch-site");
  if (site === "same-origin") return;
  if (site === null && request.headers.get("origin") === publicOrigin) return;
  throw new AppError(
    "forbidden",
    `This request did not come from a page at ${publicOrigin}. Open DeltaHook under that address; if it is reached under another one, set PUBLIC_URL to it.`,
  );
}

function roleNeeded(principal: Principal, least: Role): AppError {
  const role = principal.kind === "nobody" ? "none" : principal.role;
  const who = principal.kind === "api_key" ? "This API key" : "Your account";
  return new AppError("forbidden", `${who} has the role ${role}; this needs ${least}. Ask an admin for it.`);
}
