/** What failures are counted for: an account from one address, an account from anywhere, an address for any account. */
export type ThrottleKind = "pair" | "account" | "address";

/**
 * `free` failures cost nothing; each one more doubles the wait, from `firstMs` up to `MAX_WAIT_MS`. Every `leakMs`
 * one failure is forgotten.
 */
const POLICY: Record<ThrottleKind, { free: number; firstMs: number; leakMs: number }> = {
  pair: { free: 5, firstMs: 5_000, leakMs: 900_000 },
  account: { free: 20, firstMs: 5_000, leakMs: 300_000 },
  address: { free: 50, firstMs: 1_000, leakMs: 30_000 },
};

const MAX_WAIT_MS = 900_000;
/** By then every count has leaked away, or is too old to matter. */
export const THROTTLE_FORGET_MS = 86_400_000;

export type Failures = { failures: number; lastAt: Date | null };

/** How long to wait until the next try. Pure. */
export function waitMs(kind: ThrottleKind, known: Failures, now: Date): number {
  if (!known.lastAt) return 0;
  const { free, firstMs } = POLICY[kind];
  if (known.failures < free) return 0;
  const pause = Math.min(MAX_WAIT_MS, firstMs * 2 ** Math.min(known.failures - free, 20));
  return Math.max(0, known.lastAt.getTime() + pause - now.getTime());
}

/** The count with one failure more, after what has leaked away since the last. Pure. */
export function countFailure(kind: ThrottleKind, known: Failures, now: Date): number {
  const elapsedMs = known.lastAt ? Math.max(0, now.getTime() - known.lastAt.getTime()) : 0;
  return Math.max(0, known.failures - Math.floor(elapsedMs / POLICY[kind].leakMs)) + 1;
}
