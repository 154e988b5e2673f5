const MOST_MS = 3_600_000;
const LEAST_SPREAD_MS = 2_000;

/**
 * How long to wait after a failed poll: min(1 h, max(interval, U(0, max(2 s, interval) · 2ⁿ))). A random share of the
 * doubling span keeps watches that failed together from coming back together.
 * @param input.failures n, the failures in a row before this one.
 * @param input.random 0 ≤ random < 1.
 * @returns whole milliseconds.
 */
export function backoffMs(input: { intervalMs: number; failures: number; random: number }): number {
  const span = Math.max(LEAST_SPREAD_MS, input.intervalMs) * 2 ** input.failures;
  return Math.round(Math.min(MOST_MS, Math.max(input.intervalMs, input.random * span)));
}
