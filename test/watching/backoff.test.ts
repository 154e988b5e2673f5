import { expect, test } from "bun:test";
import { backoffMs } from "../../src/watching/backoff.ts";

const cases: [intervalMs: number, failures: number, random: number, waitMs: number][] = [
  [30_000, 0, 0, 30_000],
  [30_000, 0, 0.99, 30_000],
  [30_000, 1, 0.9, 54_000],
  [30_000, 3, 0.5, 120_000],
  [30_000, 3, 0.01, 30_000],
  [1_000, 0, 0.9, 1_800],
  [1_000, 2, 0.5, 4_000],
  [30_000, 20, 0.9, 3_600_000],
  [30_000, 5_000, 0.5, 3_600_000],
  [86_400_000, 0, 0.5, 3_600_000],
];
test.each(cases)("every %d ms, %d failures before, random %p: wait %d ms", (intervalMs, failures, random, waitMs) => {
  expect(backoffMs({ intervalMs, failures, random })).toBe(waitMs);
});
