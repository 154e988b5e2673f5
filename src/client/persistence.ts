import { HookshotError } from "./error.ts";

/** A failure that may pass; `afterMs` is how long the other side asks to wait. */
export class Passing extends Error {
  readonly afterMs: number;
  readonly status: number | undefined;

  constructor(message: string, options: { cause?: unknown; afterMs?: number; status?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.afterMs = options.afterMs ?? 0;
    this.status = options.status;
  }
}

const FIRST_MS = 100;
const LAST_MS = 5_000;

/**
 * Runs `work` again after each `Passing` failure, at growing distances, until `deadline` (on `performance.now()`).
 * @throws HookshotError `unavailable` with the last failure
 */
export async function persist<T>(work: () => Promise<T>, deadline: number): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Passing)) throw error;
      const grown = Math.min(LAST_MS, FIRST_MS * 2 ** failures) * (1 + Math.random());
      const waitMs = Math.max(error.afterMs, grown);
      if (performance.now() + waitMs > deadline) {
        const message = `${error.message} It was tried ${failures + 1} times; try again later, which sends nothing twice with the same idempotencyKey.`;
        throw new HookshotError("unavailable", message, { cause: error.cause ?? error, status: error.status });
      }
      await pause(waitMs);
    }
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
