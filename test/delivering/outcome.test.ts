import { describe, expect, test } from "bun:test";
import { decideOutcome, type TryResult } from "../../src/delivering/outcome.ts";

const NOW = 1_700_000_000_000;
const HOUR = 3_600_000;
const base = { policy: { delays: [60_000, 120_000] }, triesUsed: 0, probe: false, direct: false, now: NOW, random: 0 };
const answer = (status: number, retryAfterMs: number | null = null): TryResult => ({
  kind: "answer",
  status,
  retryAfterMs,
});
const refused: TryResult = { kind: "fault", fault: "connect", message: "it refuses connections." };

function retry(afterMs: number, error: string) {
  return { kind: "retry", dueAt: NOW + afterMs, error } as const;
}

describe("what an answer means", () => {
  test.each([200, 201, 202, 204, 226, 299])("%d delivers, and is a success", (status) => {
    expect(decideOutcome(answer(status, 9_000), base)).toEqual({
      verdict: { kind: "delivered" },
      signal: "success",
      holdUntil: null,
    });
  });

  test.each([100, 199, 400, 401, 403, 404, 408, 409, 418, 422, 429, 500, 501, 502, 503, 504, 599])(
    "%d is tried again after the first delay, and is a failure",
    (status) => {
      expect(decideOutcome(answer(status), base)).toEqual({
        verdict: retry(60_000, `The endpoint answered ${status}.`),
        signal: "failure",
        holdUntil: null,
      });
    },
  );

  test.each([300, 301, 302, 304, 307, 308])("%d is a failure that names the remedy", (status) => {
    const { verdict, signal } = decideOutcome(answer(status), base);
    expect(signal).toBe("failure");
    expect(verdict).toEqual(
      retry(60_000, `The endpoint answered ${status}: redirects are not followed; give the final URL.`),
    );
  });

  test("410 ends the delivery and the endpoint, whatever tries are left", () => {
    expect(decideOutcome(answer(410, 1_000), base)).toEqual({
      verdict: { kind: "dead", reason: "gone", error: "The endpoint answered 410 Gone: it takes no more webhooks." },
      signal: "gone",
      holdUntil: null,
    });
  });

  test("410 to a direct send ends that delivery alone", () => {
    const outcome = decideOutcome(answer(410), { ...base, direct: true });
    expect(outcome.verdict).toMatchObject({ kind: "dead", reason: "gone" });
    expect(outcome.signal).toBe("none");
  });
});

describe("Retry-After", () => {
  test.each([
    ["is obeyed when it is longer than the delay", 429, 90_000, 90_000, true],
    ["never shortens the delay", 429, 1_000, 60_000, true],
    ["of 503 holds the endpoint too", 503, 90_000, 90_000, true],
    ["of 502 moves only the delivery", 502, 90_000, 90_000, false],
    ["of 504 moves only the delivery", 504, 90_000, 90_000, false],
    ["is obeyed up to ten hours", 429, 48 * HOUR, 10 * HOUR, true],
    ["of 500 is no word of the protocol", 500, 90_000, 60_000, false],
    ["of 404 likewise", 404, 90_000, 60_000, false],
  ])("%s", (_, status, retryAfterMs, dueInMs, holds) => {
    const outcome = decideOutcome(answer(status, retryAfterMs), base);
    expect(outcome.verdict).toEqual(retry(dueInMs, `The endpoint answered ${status}.`));
    expect(outcome.signal).toBe(holds ? "throttled" : "failure");
    expect(outcome.holdUntil).toBe(holds ? NOW + Math.min(retryAfterMs, 10 * HOUR) : null);
  });

  test("does not grant a try that the schedule no longer has", () => {
    const outcome = decideOutcome(answer(429, 90_000), { ...base, triesUsed: 2 });
    expect(outcome.verdict).toEqual({ kind: "dead", reason: "exhausted", error: "The endpoint answered 429." });
    expect(outcome.holdUntil).toBe(NOW + 90_000);
  });
});

describe("the schedule", () => {
  test("counts the tries used before", () => {
    expect(decideOutcome(answer(500), { ...base, triesUsed: 1 }).verdict).toMatchObject({ dueAt: NOW + 120_000 });
  });

  test("ends in a dead letter that keeps the last error", () => {
    expect(decideOutcome(refused, { ...base, triesUsed: 2 })).toEqual({
      verdict: { kind: "dead", reason: "exhausted", error: "it refuses connections." },
      signal: "failure",
      holdUntil: null,
    });
  });

  test("gets its jitter from outside", () => {
    expect(decideOutcome(answer(500), { ...base, random: 0.5 }).verdict).toMatchObject({ dueAt: NOW + 66_000 });
  });
});

test("a try without an answer is a failure with its sentence", () => {
  expect(decideOutcome(refused, base)).toEqual({
    verdict: retry(60_000, "it refuses connections."),
    signal: "failure",
    holdUntil: null,
  });
});

test("a try that our shutdown ended is nobody's failure, and due at once", () => {
  expect(decideOutcome({ kind: "interrupted" }, { ...base, triesUsed: 2 })).toEqual({
    verdict: { kind: "interrupted", dueAt: NOW },
    signal: "none",
    holdUntil: null,
  });
});

test("a delivery that a transform skips is done, and says nothing about its endpoint", () => {
  expect(decideOutcome({ kind: "skipped" }, base)).toEqual({
    verdict: { kind: "delivered" },
    signal: "none",
    holdUntil: null,
  });
});

describe("a probe", () => {
  const probe = { ...base, probe: true, triesUsed: 2 };

  test("that fails never uses up the schedule", () => {
    expect(decideOutcome(answer(500), probe).verdict).toEqual(retry(0, "The endpoint answered 500."));
    expect(decideOutcome(refused, probe)).toMatchObject({ signal: "failure", verdict: { kind: "retry" } });
  });

  test("that is answered delivers", () => {
    expect(decideOutcome(answer(204), probe)).toMatchObject({ signal: "success", verdict: { kind: "delivered" } });
  });

  test("that meets 410 ends as any other", () => {
    expect(decideOutcome(answer(410), probe)).toMatchObject({ signal: "gone", verdict: { kind: "dead" } });
  });
});
