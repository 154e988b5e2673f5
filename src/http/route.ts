import type { z } from "zod";
import type { Principal, Role } from "../identity/principal.ts";

/** What one route is, for the router, the role check and the OpenAPI document alike. */
export type Route<Query = unknown, Body = unknown> = {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  /** With `:name` parameters, e.g. `/v1/watches/:id/poll`. */
  path: string;
  summary: string;
  tag: string;
  /** `open` needs no credentials; otherwise the least role. */
  access: "open" | Role;
  query?: z.ZodType<Query>;
  body?: z.ZodType<Body>;
  /** Larger or smaller than the usual 1 MiB of a JSON body. */
  maxBodyBytes?: number;
  bodyExample?: unknown;
  answers: Answer[];
  handle(request: RouteRequest<Query, Body>): Promise<Reply> | Reply;
};

export type Answer = { status: number; description: string; example?: unknown };

export type RouteRequest<Query, Body> = {
  params: Record<string, string>;
  query: Query;
  body: Body;
  /** The body as it arrived, for who must keep a sender's bytes. */
  text: string;
  headers: Headers;
  principal: Principal;
  /** The caller's address. */
  address: string;
  signal: AbortSignal;
};

/** `body` is written as JSON, a `Response` is passed on as it is (streams). */
export type Reply = { status: number; body?: unknown; headers?: Record<string, string> } | Response;

/** Keeps the types of query and body inside the handler and forgets them in the table of routes. */
export function route<Query, Body>(definition: Route<Query, Body>): Route {
  return definition as unknown as Route;
}
