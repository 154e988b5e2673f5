import type { Authenticate } from "../identity/authenticate.ts";
import { networkOf } from "../platform/addresses.ts";
import { AppError } from "../platform/errors.ts";
import { stringifyJson } from "../platform/json.ts";
import type { Log } from "../platform/log.ts";
import { readFormBody, readJsonBody, readQuery, USUAL_BODY_BYTES } from "./body.ts";
import { admit } from "./guard.ts";
import { type Problem, problemOf } from "./problem.ts";
import { type Limiter, OPEN_ROUTE_LIMIT } from "./rate_limits.ts";
import type { Reply, Route } from "./route.ts";
import { validate } from "./validation.ts";

export type AnswerOptions = {
  authenticate: Authenticate;
  publicOrigin: string;
  limiter: Limiter;
  /** Carried by every answer. */
  headers: Record<string, string>;
  /** How a `page` route shows what went wrong: a whole HTML document. */
  renderProblem: (problem: Problem, request: Request) => string;
  bodyTimeoutMs: number;
  log: Log;
  addressOf: (request: Request) => string;
  /** Aborted when the server ends. */
  closing: AbortSignal;
};

/** Answers one request to one route: never throws, never leaks. */
export async function answer(
  route: Route,
  request: Request,
  params: Record<string, string>,
  options: AnswerOptions,
): Promise<Response> {
  const requestId = crypto.randomUUID();
  const headers: Record<string, string> = { ...options.headers, "x-request-id": requestId };
  try {
    const address = options.addressOf(request);
    const openTo = route.access === "open" ? (route.limit ?? OPEN_ROUTE_LIMIT) : null;
    if (openTo) options.limiter.take(`${route.path} ${networkOf(address)}`, openTo, headers);
    const principal = await admit(route, request, options);
    if (principal.kind === "api_key" && principal.rateLimit) {
      options.limiter.take(`key ${principal.id}`, principal.rateLimit, headers);
    }

    requireParams(params);
    const query = route.query ? validate(route.query, readQuery(request.url), "query") : refuseQuery(request.url);
    const { body, text } = await readBody(route, request, options.bodyTimeoutMs);
    const reply = await route.handle({
      params,
      id: params.id ?? "",
      query,
      body,
      text,
      headers: request.headers,
      principal,
      address,
      get signal() {
        return AbortSignal.any([request.signal, options.closing]);
      },
    });
    return write(reply, headers);
  } catch (error) {
    // Nobody reads what is answered to a caller that has gone.
    if (request.signal.aborted) return new Response(null, { status: 499 });
    return answerProblem(route.kind, error, request, headers, options);
  }
}

/** An error as a problem document, or for pages as a page. */
export function answerProblem(
  kind: Route["kind"],
  error: unknown,
  request: Request,
  headers: Record<string, string>,
  options: Pick<AnswerOptions, "log" | "renderProblem">,
): Response {
  const found = problemOf(error, options.log, headers["x-request-id"] ?? "");
  Object.assign(headers, found.headers);
  const asPage = kind === "page";
  headers["content-type"] = asPage ? "text/html; charset=utf-8" : "application/problem+json";
  const text = asPage ? options.renderProblem(found.problem, request) : JSON.stringify(found.problem);
  return new Response(text, { status: found.problem.status, headers });
}

/** A part of the path that is not valid percent-encoding arrives as null; U+0000 is in no name of ours. */
function requireParams(params: Record<string, string | null>): void {
  for (const name in params) {
    if (params[name] && !params[name].includes("\0")) continue;
    throw new AppError("malformed", `The part :${name} of the path is not valid percent-encoded text.`);
  }
}

function refuseQuery(url: string): undefined {
  const [name] = url.includes("?") ? Object.keys(readQuery(url)) : [];
  if (name !== undefined)
    throw new AppError("invalid", `There is no query parameter ${JSON.stringify(name)} here: leave it out.`);
}

async function readBody(route: Route, request: Request, timeoutMs: number): Promise<{ body: unknown; text: string }> {
  if (!route.body) return { body: undefined, text: "" };
  const limits = { maxBytes: route.maxBodyBytes ?? USUAL_BODY_BYTES, timeoutMs };
  if (route.kind === "page") {
    const { text, value } = await readFormBody(request, limits);
    return { text, body: validate(route.body, value, "form") };
  }
  const { text, value } = await readJsonBody(request, limits);
  if (value === undefined && !route.body.safeParse(undefined).success) {
    throw new AppError("malformed", "The body is missing: send a JSON document with content-type application/json.");
  }
  return { text, body: validate(route.body, value, "body") };
}

function write(reply: Reply, headers: Record<string, string>): Response {
  if (reply instanceof Response) {
    for (const name in headers) if (!reply.headers.has(name)) reply.headers.set(name, headers[name] ?? "");
    return reply;
  }
  if (reply.headers) Object.assign(headers, reply.headers);
  if (reply.body === undefined) return new Response(null, { status: reply.status, headers });
  headers["content-type"] ??= "application/json";
  return new Response(stringifyJson(reply.body), { status: reply.status, headers });
}
