import { AppError } from "../platform/errors.ts";
import { nearest } from "../platform/nearest.ts";
import { HttpFault } from "./problem.ts";
import type { Route } from "./route.ts";

/**
 * Why no route took a request: the path is another's method (405), or nobody's (404, naming the nearest path).
 * @returns null when there is a route, so that the fault lies elsewhere.
 */
export function misrouted(routes: readonly Route[], request: Request): AppError | HttpFault | null {
  const path = pathOf(request.url);
  const asked = path.split("/");
  const here = routes.filter((route) => fits(route.path.split("/"), asked));
  if (here.length === 0) return notFound(routes, path, asked);
  const methods = methodsOf(here);
  if (methods.includes(request.method)) return null;
  const allow = methods.join(", ");
  return new HttpFault("method_not_allowed", `${request.method} is not possible here; ${allow} are.`, { allow });
}

function notFound(routes: readonly Route[], path: string, asked: string[]): AppError {
  const known = routes.map((route) => route.path.split("/")).filter((parts) => parts.length === asked.length);
  // A parameter stands for whatever was asked for in its place.
  const candidates = known.map((parts) => parts.map((part, i) => (part.startsWith(":") ? asked[i] : part)).join("/"));
  const near = nearest(path, [...new Set(candidates)]);
  const remedy = near ? `Did you mean ${near}?` : "All paths are listed at /docs and in /openapi.json.";
  return new AppError("not_found", `There is nothing at ${path.slice(0, 200)}. ${remedy}`);
}

function fits(parts: string[], asked: string[]): boolean {
  return (
    parts.length === asked.length &&
    parts.every((part, i) => (part.startsWith(":") ? asked[i] !== "" : part === asked[i]))
  );
}

/** HEAD comes with every GET. */
function methodsOf(routes: readonly Route[]): string[] {
  const methods = new Set(routes.flatMap(({ method }) => (method === "GET" ? ["GET", "HEAD"] : [method])));
  return [...methods];
}

/** Without query; a request line in a form of its own leaves an address that `URL` refuses. */
function pathOf(url: string): string {
  const path = url.replace(/^[a-z]+:\/\/[^/?]*/i, "").split("?", 1)[0] ?? "";
  return path.startsWith("/") ? path : `/${path}`;
}
