import { type RetryPolicy, retryDelayMs } from "./retry.ts";

/** What one HTTP try gave: an answer, or why there is none. */
export type TryResult =
  | { kind: "answer"; status: number; retryAfterMs: number | null }
  | { kind: "fault"; fault: string; message: string }
  /** Our own shutdown ended it: nobody's failure. */
  | { kind: "interrupted" }
  /** A transform said that this delivery shall not be sent. */
  | { kind: "skipped" };

/** What becomes of the delivery. Times are milliseconds since 1970. */
export type Verdict =
  | { kind: "delivered" }
  | { kind: "retry"; dueAt: number; error: string }
  | { kind: "interrupted"; dueAt: number }
  | { kind: "dead"; reason: "exhausted" | "gone"; error: string }
  /** Ended after its only try, without a dead letter. */
  | { kind: "cancelled"; error: string };

/** What the endpoint's health makes of it. */
export type Signal = "success" | "failure" | "throttled" | "gone" | "none";

export type Outcome = { verdict: Verdict; signal: Signal; holdUntil: number | null };

/** Retry-After is obeyed up to ten hours; longer ones would outlive most schedules. */
const MAX_RETRY_AFTER_MS = 10 * 3_600_000;
const OBEYS_RETRY_AFTER = new Set([429, 502, 503, 504]);
const HOLDS_ENDPOINT = new Set([429, 503]);

/**
 * The one place that says what an answer means (Standard Webhooks: 2xx delivers, 3xx is a failure, 410 is the end).
 * @param triesUsed tries of the schedule used before this one; a probe uses none
 * @param random in [0, 1), for the jitter
 */
export function decideOutcome(
  result: TryResult,
  context: { policy: RetryPolicy; triesUsed: number; probe: boolean; direct: boolean; now: number; random: number },
): Outcome {
  if (result.kind === "interrupted") return plain({ kind: "interrupted", dueAt: context.now }, "none");
  if (result.kind === "skipped") return plain({ kind: "delivered" }, "none");
  if (result.kind === "fault") return plain(nextTry(result.message, null, context), "failure");
  const { status } = result;
  if (status >= 200 && status < 300) return plain({ kind: "delivered" }, "success");
  if (status === 410) {
    const verdict: Verdict = {
      kind: "dead",
      reason: "gone",
      error: "The endpoint answered 410 Gone: it takes no more webhooks.",
    };
    return plain(verdict, context.direct ? "none" : "gone");
  }
  const waitMs =
    OBEYS_RETRY_AFTER.has(status) && result.retryAfterMs !== null
      ? Math.min(result.retryAfterMs, MAX_RETRY_AFTER_MS)
      : null;
  const verdict = nextTry(sentence(status), waitMs, context);
  if (waitMs === null || !HOLDS_ENDPOINT.has(status)) return plain(verdict, "failure");
  return { verdict, signal: "throttled", holdUntil: context.now + waitMs };
}

/**
 * The same for a listener. It is tried once: whoever listens has seen what failed, and dead letters are for the
 * endpoints that count on them. What a program under development answers is no matter of health either.
 */
export function forListener({ verdict }: Outcome): Outcome {
  const failed = verdict.kind === "retry" || verdict.kind === "dead";
  return plain(failed ? { kind: "cancelled", error: verdict.error } : verdict, "none");
}

function nextTry(
  error: string,
  waitMs: number | null,
  context: { policy: RetryPolicy; triesUsed: number; probe: boolean; now: number; random: number },
): Verdict {
  // A probe is not counted: its delivery keeps its place in the schedule.
  if (context.probe) return { kind: "retry", dueAt: context.now, error };
  const delayMs = retryDelayMs(context.policy, context.triesUsed + 1, context.random);
  if (delayMs === null) return { kind: "dead", reason: "exhausted", error };
  return { kind: "retry", dueAt: context.now + Math.max(delayMs, waitMs ?? 0), error };
}

function sentence(status: number): string {
  if (status >= 300 && status < 400)
    return `The endpoint answered ${status}: redirects are not followed; give the final URL.`;
  return `The endpoint answered ${status}.`;
}

function plain(verdict: Verdict, signal: Signal): Outcome {
  return { verdict, signal, holdUntil: null };
}
