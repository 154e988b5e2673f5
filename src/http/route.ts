import type { z } from "zod";
import type { Principal, RateLimit, Role } from "../identity/principal.ts";

/** What one route is, for the router, the role check, the OpenAPI document and the tests alike. */
export type Route<Query = unknown, Body = unknown> = {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** With `:name` parameters, e.g. `/v1/watches/:id/poll`. */
  path: string;
  summary: string;
  /** The group in the OpenAPI document. */
  tag: string;
  /** `open` needs no credentials; otherwise the least role. */
  access: "open" | Role;
  /**
   * `api` (the default): JSON comes in, JSON or a problem document goes out. `page`: a browser's form comes in (one
   * string per field), HTML goes out, also for what goes wrong; never part of the OpenAPI document.
   */
  kind?: "api" | "page";
  /** Of an open route: requests that one network may make; otherwise the usual limit of open routes. */
  limit?: RateLimit;
  /** Without it the route takes no query parameter at all. */
  query?: z.ZodType<Query>;
  /** Without it a body is not read. One that accepts `undefined` may be left out by the caller. */
  body?: z.ZodType<Body>;
  /** Larger or smaller than the usual 1 MiB of a body. */
  maxBodyBytes?: number;
  bodyExample?: unknown;
  /** What can come back on success; the usual problems are added to the document by themselves. */
  answers: readonly Answer[];
  handle(request: RouteRequest<Query, Body>): Promise<Reply> | Reply;
};

/** `type` other than JSON only for the few routes that answer something else. */
export type Answer = { status: number; description: string; example?: unknown; type?: string };

export type RouteRequest<Query, Body> = {
  /** Decoded, never empty. */
  params: Record<string, string>;
  /** The `:id` of the path; empty where it has none. */
  id: string;
  query: Query;
  body: Body;
  /** The body as it arrived, for who must keep a sender's bytes. */
  text: string;
  headers: Headers;
  principal: Principal;
  /** The caller's address. */
  address: string;
  /** Aborted when the caller is gone or the server ends; a stream ends with it. */
  readonly signal: AbortSignal;
};

/** `body` is written as JSON, a `Response` is passed on as it is (pages, streams). */
export type Reply = { status: number; body?: unknown; headers?: Record<string, string> } | Response;

/** Keeps the types of query and body inside the handler and forgets them in the table of routes. */
export function route<Query, Body>(definition: Route<Query, Body>): Route {
  return definition as unknown as Route;
}
