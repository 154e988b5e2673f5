import { expect, test } from "bun:test";
import { createLimiter } from "../../src/http/rate_limits.ts";
import { AppError } from "../../src/platform/errors.ts";

const limit = { max: 2, perMs: 10_000 };

/** A limiter on a clock of its own; `take` answers the headers, or the seconds to wait. */
function limiterAt(startMs: number) {
  const clock = { ms: startMs };
  const limiter = createLimiter(() => clock.ms);
  const take = (subject: string) => {
    const headers: Record<string, string> = {};
    try {
      limiter.take(subject, limit, headers);
      return headers.ratelimit;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      expect(error.code).toBe("throttled");
      expect(headers.ratelimit).toContain("r=0");
      return error.retryAfterSeconds;
    }
  };
  return { clock, take };
}

test("a window's share can be used up, and the next window has a new one", () => {
  const { clock, take } = limiterAt(1_000);
  expect(take("a")).toBe('"default";r=1;t=10');
  clock.ms += 4_500;
  expect(take("a")).toBe('"default";r=0;t=6');
  expect(take("a")).toBe(6);
  clock.ms += 5_499;
  expect(take("a")).toBe(1);
  clock.ms += 1;
  expect(take("a")).toBe('"default";r=1;t=10');
});

test("subjects do not use up each other's share", () => {
  const { take } = limiterAt(0);
  for (let i = 0; i < 3; i++) take("a");
  expect(take("b")).toBe('"default";r=1;t=10');
});

test("a flood of new subjects does not grow the memory, and newer ones stay counted", () => {
  const { take } = limiterAt(0);
  for (let i = 0; i < 25_000; i++) take(`flood ${i}`);
  for (let i = 0; i < 2; i++) take("flood 24999");
  expect(take("flood 24999")).toBe(10);
  expect(take("flood 0")).toBe('"default";r=1;t=10'); // long forgotten
});
