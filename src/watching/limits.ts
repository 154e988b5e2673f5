import { parseRetryAfter } from "../platform/retry_after.ts";

/** What a reply says about the host's patience with this credential. */
export type LearnedHold = { untilMs: number; reason: string };

const LONGEST_MS = 10 * 3_600_000;
/** Larger numbers are a moment (seconds since 1970), smaller ones a span; no span is 30 years. */
const EPOCH_FROM = 1_000_000_000;

/**
 * Until when a host should be left alone: Retry-After of a 429 or 503 (RFC 9110, section 10.2.3), or a rate limit that
 * is used up: `RateLimit` (draft-ietf-httpapi-ratelimit-headers, old and new form) and `X-RateLimit-*`.
 * @returns null when it asks for nothing.
 */
export function holdOf(status: number, headers: Readonly<Record<string, string>>, nowMs: number): LearnedHold | null {
  if (status === 429 || status === 503) {
    const afterMs = parseRetryAfter(headers["retry-after"], nowMs) ?? 0;
    if (afterMs > 0) return hold(afterMs, nowMs, `answered ${status} with Retry-After`);
  }
  const resetMs = usedUp(headers, nowMs);
  return resetMs === null || resetMs <= 0 ? null : hold(resetMs, nowMs, "its rate limit is used up");
}

function hold(spanMs: number, nowMs: number, reason: string): LearnedHold {
  return { untilMs: nowMs + Math.min(spanMs, LONGEST_MS), reason };
}

/** Milliseconds until the limit is renewed, when nothing is left of it. */
function usedUp(headers: Readonly<Record<string, string>>, nowMs: number): number | null {
  const combined = headers.ratelimit;
  if (combined !== undefined) {
    const left = /(?:^|[;,\s])(?:r|remaining)=(\d+)/.exec(combined)?.[1];
    const reset = /(?:^|[;,\s])(?:t|reset)=(\d+)/.exec(combined)?.[1];
    return left === "0" && reset !== undefined ? Number(reset) * 1_000 : null;
  }
  for (const prefix of ["x-ratelimit-", "ratelimit-"]) {
    if (headers[`${prefix}remaining`]?.trim() !== "0") continue;
    const reset = Number(headers[`${prefix}reset`] ?? Number.NaN);
    if (!Number.isFinite(reset)) continue;
    return reset >= EPOCH_FROM ? reset * 1_000 - nowMs : reset * 1_000;
  }
  return null;
}
