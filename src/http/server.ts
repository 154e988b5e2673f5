import { Elysia } from "elysia";
import type { Authenticate } from "../identity/authenticate.ts";
import { AppError } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { type AnswerOptions, answer, answerProblem } from "./answer.ts";
import { callerAddress } from "./caller_address.ts";
import { misrouted } from "./misrouted.ts";
import type { Problem } from "./problem.ts";
import { createLimiter } from "./rate_limits.ts";
import type { Route } from "./route.ts";
import { securityHeaders } from "./security_headers.ts";

/** The largest body that any route may ask for; beyond it Bun closes the connection without a word from us. */
const HARD_BODY_BYTES = 64 * 1024 * 1024;
const IDLE_SECONDS = 30;
const BODY_TIMEOUT_MS = 20_000;
const STOP_GRACE_MS = 3_000;

export type ServerOptions = {
  /** The whole table. */
  routes: Route[];
  /** Where users reach this server, e.g. `https://hooks.example.com`. */
  publicUrl: string;
  authenticate: Authenticate;
  renderProblem: (problem: Problem, request: Request) => string;
  log: Log;
  /** How long a request's body may take to arrive. */
  bodyTimeoutMs?: number;
};

export type HttpServer = {
  /** Answers a request as the listening server would: for tests by table. */
  handle(request: Request): Promise<Response>;
  /** @throws AppError when the address cannot be had. @returns the port, which was free if 0 was asked for. */
  listen(where: { host: string; port: number }): { port: number };
  /** Takes no new request, waits up to 3 s for the open ones, then ends streams and closes. */
  stop(): Promise<void>;
};

/** Puts the table of routes behind one router, guard and error form. */
export function createServer(options: ServerOptions): HttpServer {
  const headers = securityHeaders(options.publicUrl);
  const closing = new AbortController();
  let server: Bun.Server<undefined> | null = null;
  let open = 0;
  let drained: (() => void) | null = null;

  const answerOptions: AnswerOptions = {
    authenticate: options.authenticate,
    publicOrigin: new URL(options.publicUrl).origin,
    limiter: createLimiter(),
    headers,
    renderProblem: options.renderProblem,
    bodyTimeoutMs: options.bodyTimeoutMs ?? BODY_TIMEOUT_MS,
    log: options.log,
    addressOf(request) {
      const peer = server?.requestIP(request)?.address ?? "127.0.0.1";
      return callerAddress(peer, request.headers.get("x-forwarded-for"), options.publicUrl.startsWith("https:"));
    },
    closing: closing.signal,
  };

  const app = new Elysia({
    normalize: false,
    // The default takes the first letters of short host names (`http://hub/…`) for part of the path's place.
    handler: { standardHostname: false },
  }).onError(({ error, request }) => {
    const fault = misrouted(options.routes, request) ?? error;
    const kind = asksForPage(request) ? "page" : "api";
    return answerProblem(kind, fault, request, { ...headers, "x-request-id": crypto.randomUUID() }, answerOptions);
  });
  for (const route of options.routes) {
    // `parse: "none"`: bodies are read by us, capped, and only after the guard. A path without parameters has none at all.
    const handle = ({ request, params }: { request: Request; params?: Record<string, string> }) =>
      counted(route, request, params ?? {});
    app.route(route.method, route.path, handle, { parse: "none" });
  }
  app.compile();

  async function counted(route: Route, request: Request, params: Record<string, string>): Promise<Response> {
    open++;
    try {
      return await answer(route, request, params, answerOptions);
    } finally {
      if (--open === 0) drained?.();
    }
  }

  return {
    handle: (request) => Promise.resolve(app.fetch(request)),

    listen({ host, port }) {
      try {
        server = Bun.serve({
          hostname: host,
          port,
          fetch: app.fetch,
          // Elysia's own listen() shares the port with whoever has it already, and hooks into the process's end.
          reusePort: false,
          development: false,
          idleTimeout: IDLE_SECONDS,
          maxRequestBodySize: HARD_BODY_BYTES,
        });
      } catch (error) {
        throw cannotListen(host, port, error);
      }
      return { port: server.port ?? port };
    },

    async stop() {
      if (closing.signal.aborted) return;
      const listening = server;
      // Closes the listener and idle connections at once; what it promises is the end of all others.
      const closed = listening?.stop() ?? Promise.resolve();
      if (open > 0) {
        const { promise, resolve } = Promise.withResolvers<void>();
        drained = resolve;
        await Promise.race([promise, Bun.sleep(STOP_GRACE_MS)]);
      }
      closing.abort();
      await Promise.race([closed, Bun.sleep(100)]);
      await listening?.stop(true);
      server = null;
    },
  };
}

/** A person who mistyped an address gets a page; programs get a problem document. */
function asksForPage(request: Request): boolean {
  const isApi = /^[a-z]+:\/\/[^/]*\/v1(\/|$)/i.test(request.url);
  return !isApi && (request.headers.get("accept") ?? "").includes("text/html");
}

function cannotListen(host: string, port: number, error: unknown): AppError {
  const code = (error as { code?: unknown } | null)?.code;
  const cause = code === "EADDRINUSE" ? "is in use by another program" : `cannot be had (${String(code ?? error)})`;
  return new AppError("unavailable", `${host}:${port} ${cause}. Set HOST and PORT to a free address of this machine.`, {
    cause: error,
  });
}
