import { isAway } from "../platform/database.ts";
import { AppError, type ErrorCode, type FieldFault, messageOf } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";

/** An error as it is answered: RFC 9457, `application/problem+json`. */
export type Problem = {
  type: string;
  title: string;
  status: number;
  detail: string;
  errors?: readonly FieldFault[];
};

export type ProblemAnswer = { problem: Problem; headers: Record<string, string> };

/** What only HTTP knows of: a wrong method, media type or pace of the request. */
export class HttpFault extends Error {
  readonly kind: keyof typeof HTTP_ONLY;
  readonly headers: Record<string, string>;

  constructor(kind: keyof typeof HTTP_ONLY, message: string, headers: Record<string, string> = {}) {
    super(message);
    this.name = "HttpFault";
    this.kind = kind;
    this.headers = headers;
  }
}

const OF_CODE: Record<ErrorCode, { status: number; title: string }> = {
  invalid: { status: 422, title: "Not acceptable as it is" },
  malformed: { status: 400, title: "Malformed request" },
  unauthenticated: { status: 401, title: "Not logged in" },
  forbidden: { status: 403, title: "Not allowed" },
  not_found: { status: 404, title: "Not found" },
  conflict: { status: 409, title: "Conflict" },
  too_large: { status: 413, title: "Too large" },
  throttled: { status: 429, title: "Too many requests" },
  unavailable: { status: 503, title: "Not available now" },
};

const HTTP_ONLY = {
  method_not_allowed: { status: 405, title: "Method not allowed" },
  too_slow: { status: 408, title: "Request too slow" },
  media_type: { status: 415, title: "Media type not supported" },
} as const;

const INTERNAL = { status: 500, title: "Internal error" };

/** All kinds there are, for the OpenAPI document. */
export const PROBLEMS: { type: string; status: number; title: string }[] = Object.entries({
  ...OF_CODE,
  ...HTTP_ONLY,
  internal: INTERNAL,
}).map(([code, { status, title }]) => ({ type: typeOf(code), status, title }));

/**
 * Turns whatever was thrown into an answer. Only an `AppError` or `HttpFault` speaks for itself; of anything else the
 * caller learns no more than the reference under which the log has it.
 */
export function problemOf(error: unknown, log: Log, reference: string): ProblemAnswer {
  if (error instanceof AppError) return ofAppError(error);
  if (error instanceof HttpFault) {
    const { status, title } = HTTP_ONLY[error.kind];
    return { problem: { type: typeOf(error.kind), title, status, detail: error.message }, headers: error.headers };
  }
  if (isAway(error)) {
    log.warn("request refused: the database is away", { reference, problem: messageOf(error) });
    return ofAppError(
      new AppError("unavailable", "The database cannot be reached at the moment. Nothing was changed; try again.", {
        retryAfterSeconds: 2,
      }),
    );
  }
  if (isUnstorable(error)) {
    const remedy = "a text holds the character U+0000, which cannot be stored; leave it out";
    return ofAppError(new AppError("invalid", `The request cannot be used: ${remedy}.`));
  }
  log.error("request failed", {
    reference,
    problem: messageOf(error),
    stack: error instanceof Error ? error.stack : "",
  });
  const detail = `Something went wrong inside DeltaHook. Its log has the cause under the reference ${reference}.`;
  return { problem: { type: typeOf("internal"), ...INTERNAL, detail }, headers: {} };
}

/** Postgres text holds no U+0000 (codes 22021, 22P05). It may come in any string of any body, so this is the one net for all. */
function isUnstorable(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === "22021" || code === "22P05";
}

function ofAppError(error: AppError): ProblemAnswer {
  const { status, title } = OF_CODE[error.code];
  const problem: Problem = { type: typeOf(error.code), title, status, detail: error.message };
  if (error.faults.length > 0) problem.errors = error.faults;
  const headers: Record<string, string> = {};
  if (error.code === "unauthenticated") headers["www-authenticate"] = 'Bearer realm="deltahook"';
  const retryAfter = error.retryAfterSeconds ?? (status === 429 || status === 503 ? 1 : null);
  if (retryAfter !== null) headers["retry-after"] = String(Math.max(1, Math.ceil(retryAfter)));
  return { problem, headers };
}

function typeOf(code: string): string {
  return `urn:problem-type:deltahook:${code}`;
}
