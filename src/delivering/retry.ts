/** When a delivery is tried again: a list of delays, or delays that grow by a factor. All in milliseconds. */
export type RetryPolicy =
  | { delays: readonly number[] }
  /** `attempts` counts every try, the first included. */
  | { attempts: number; first: number; factor: number; max: number };

const JITTER = 0.2;

/**
 * How long to wait after a failed try.
 * @param triesUsed tries of the schedule used up so far, this failed one included (≥ 1)
 * @param random in [0, 1): adds 0–20 % to the delay, never takes from it
 * @returns milliseconds, or `null` when the schedule is used up
 */
export function retryDelayMs(policy: RetryPolicy, triesUsed: number, random: number): number | null {
  const base = "delays" in policy ? policy.delays[triesUsed - 1] : grownDelay(policy, triesUsed);
  return base === undefined || base === null ? null : Math.round(base * (1 + JITTER * random));
}

function grownDelay(
  policy: { attempts: number; first: number; factor: number; max: number },
  triesUsed: number,
): number | null {
  if (triesUsed >= policy.attempts) return null;
  return Math.min(policy.max, policy.first * policy.factor ** (triesUsed - 1));
}

/** How many tries a policy grants in all. */
export function totalTries(policy: RetryPolicy): number {
  return "delays" in policy ? policy.delays.length + 1 : policy.attempts;
}
