/** What an error means to the caller; `http/problem.ts` maps each code to one HTTP status. */
export type ErrorCode =
  | "invalid" // 422: the request is understood but wrong
  | "malformed" // 400: not JSON, bad header
  | "unauthenticated" // 401
  | "forbidden" // 403
  | "not_found" // 404
  | "conflict" // 409
  | "too_large" // 413
  | "throttled" // 429
  | "unavailable"; // 503: database away, shutting down

/** One fault inside a document: a JSON Pointer (RFC 6901) and a sentence. */
export type FieldFault = { pointer: string; message: string };

/**
 * A failure that the caller may be told about. `message` is public: it names the cause and the remedy, and never
 * carries a secret or an internal detail; that belongs into `cause`. Everything else that is thrown is a bug, and is
 * answered with a bare 500.
 */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly faults: readonly FieldFault[];
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    options: { faults?: readonly FieldFault[]; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "AppError";
    this.code = code;
    this.faults = options.faults ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** A 422 about one place of the request body. */
export function invalid(pointer: string, message: string): AppError {
  return new AppError("invalid", message, { faults: [{ pointer, message }] });
}

/** The message of whatever was thrown, for logs. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
