import { describe, expect, test } from "bun:test";
import { type RetryPolicy, retryDelayMs, totalTries } from "../../src/delivering/retry.ts";

const list: RetryPolicy = { delays: [5_000, 300_000, 0] };
const growing: RetryPolicy = { attempts: 6, first: 1_000, factor: 3, max: 20_000 };

describe("the delay before the next try", () => {
  test.each([
    ["the first delay of a list after the first failure", list, 1, 5_000],
    ["the second after the second", list, 2, 300_000],
    ["a delay of zero is a delay, not the end", list, 3, 0],
    ["a list is used up after one try more than it has delays", list, 4, null],
    ["no delays mean a single try", { delays: [] }, 1, null],
    ["growing delays begin with the first", growing, 1, 1_000],
    ["and grow by the factor", growing, 3, 9_000],
    ["up to the largest", growing, 4, 20_000],
    ["still the largest at the last but one", growing, 5, 20_000],
    ["attempts counts every try, the first included", growing, 6, null],
    ["a factor of one repeats the same delay", { attempts: 9, first: 700, factor: 1, max: 1_000 }, 8, 700],
  ] as [string, RetryPolicy, number, number | null][])("%s", (_, policy, triesUsed, delayMs) => {
    expect(retryDelayMs(policy, triesUsed, 0)).toBe(delayMs);
  });

  test("grows by up to a fifth through jitter, and never shrinks", () => {
    expect(retryDelayMs(list, 1, 0.5)).toBe(5_500);
    for (let i = 0; i < 1_000; i++) {
      const delayMs = retryDelayMs(list, 2, Math.random());
      expect(delayMs).toBeGreaterThanOrEqual(300_000);
      expect(delayMs).toBeLessThanOrEqual(360_000);
    }
  });

  test("jitter goes on top of the largest growing delay too", () => {
    expect(retryDelayMs(growing, 5, 0.999)).toBe(23_996);
  });
});

test("a policy grants one try more than it has delays, or as many as it says", () => {
  expect(totalTries(list)).toBe(4);
  expect(totalTries({ delays: [] })).toBe(1);
  expect(totalTries(growing)).toBe(6);
});
