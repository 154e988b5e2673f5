import type { HookshotErrorCode } from "./types.ts";

/** What `Hookshot` throws. */
export class HookshotError extends Error {
  override readonly name = "HookshotError";
  readonly code: HookshotErrorCode;
  /** The HTTP status, when there was an answer. */
  readonly status: number | undefined;

  constructor(
    code: HookshotErrorCode,
    message: string,
    options: { cause?: unknown; status?: number | undefined } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = options.status;
  }
}
