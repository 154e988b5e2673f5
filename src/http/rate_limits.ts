import type { RateLimit } from "../identity/principal.ts";
import { formatDuration } from "../platform/durations.ts";
import { AppError } from "../platform/errors.ts";

/** For open routes that name no limit of their own: generous for a health check, tight for a flood. */
export const OPEN_ROUTE_LIMIT: RateLimit = { max: 600, perMs: 60_000 };

/** Beyond this many callers the windows that are over are swept out. */
const SWEEP_AT = 10_000;

export type Limiter = {
  /**
   * Counts one request of `subject` against a limit. The counts are this node's own.
   * @returns the headers that tell the caller where it stands (draft-ietf-httpapi-ratelimit-headers).
   * @throws AppError `throttled`, once the window's share is used up. `headers` are set all the same.
   */
  take(subject: string, limit: RateLimit, headers: Record<string, string>): void;
};

/** Fixed windows, one per subject, in memory. */
export function createLimiter(now: () => number = Date.now): Limiter {
  const windows = new Map<string, { used: number; endsAt: number }>();

  return {
    take(subject, limit, headers) {
      const at = now();
      const key = `${limit.max}/${limit.perMs} ${subject}`;
      let window = windows.get(key);
      if (!window || window.endsAt <= at) {
        if (windows.size >= SWEEP_AT) sweep(at);
        window = { used: 0, endsAt: at + limit.perMs };
        windows.set(key, window);
      }
      window.used++;
      const leftSeconds = Math.max(1, Math.ceil((window.endsAt - at) / 1000));
      headers["ratelimit-policy"] = `"default";q=${limit.max};w=${Math.max(1, Math.ceil(limit.perMs / 1000))}`;
      headers.ratelimit = `"default";r=${Math.max(0, limit.max - window.used)};t=${leftSeconds}`;
      if (window.used <= limit.max) return;
      const allowed = `${limit.max} in ${formatDuration(limit.perMs)}`;
      throw new AppError("throttled", `Too many requests: ${allowed} are allowed. Try again in ${leftSeconds} s.`, {
        retryAfterSeconds: leftSeconds,
      });
    },
  };

  function sweep(at: number): void {
    for (const [key, window] of windows) if (window.endsAt <= at) windows.delete(key);
    // A flood from ever new addresses: forgetting the older half bounds the memory, and how often this has to be done.
    for (const key of windows.keys()) {
      if (windows.size <= SWEEP_AT / 2) break;
      windows.delete(key);
    }
  }
}
