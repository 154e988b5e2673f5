import { describe, expect, test } from "bun:test";
import { type Health, nextHealth, type Tally } from "../../src/delivering/health.ts";

const NOW = 1_700_000_000_000;
const MINUTE = 60_000;
const DAY = 86_400_000;
const calm: Health = {
  pausedReason: null,
  pausedSince: null,
  holdUntil: null,
  failingSince: null,
  warned: 0,
  windowAt: null,
  windowTries: 0,
  windowFailures: 0,
  probeAt: null,
  probeStep: 0,
};
const failing: Health = {
  ...calm,
  pausedReason: "failing",
  pausedSince: NOW - MINUTE,
  failingSince: NOW - MINUTE,
  probeAt: NOW,
};

function told(tally: Partial<Tally>): Tally {
  return { successes: 0, failures: 0, gone: false, holdUntil: null, probe: null, ...tally };
}

function next(health: Health, tally: Partial<Tally>, options: { now?: number; autoPause?: boolean } = {}) {
  return nextHealth(health, told(tally), options.now ?? NOW, options.autoPause ?? true);
}

describe("the breaker", () => {
  test.each([
    [10, 0, true],
    [9, 0, false],
    [7, 3, true],
    [6, 4, false],
    [8, 4, false],
    [70, 30, true],
    [69, 31, false],
  ])("of %d failures and %d successes trips: %p", (failures, successes, trips) => {
    const { health, events } = next(calm, { failures, successes });
    expect(health.pausedReason).toBe(trips ? "failing" : null);
    expect(events).toEqual(trips ? [{ type: "endpoint.paused", reason: "failing" }] : []);
    if (trips) expect(health).toMatchObject({ pausedSince: NOW, probeAt: NOW + 30_000, probeStep: 0 });
  });

  test("adds up what comes in one after the other", () => {
    let health = next(calm, { failures: 6 }).health;
    health = next(health, { successes: 3 }, { now: NOW + MINUTE }).health;
    expect(health).toMatchObject({ pausedReason: null, windowTries: 9, windowFailures: 6, windowAt: NOW });
    expect(next(health, { failures: 1 }, { now: NOW + 4 * MINUTE }).health.pausedReason).toBe("failing");
  });

  test("forgets what is five minutes old", () => {
    const before = next(calm, { failures: 9 }).health;
    expect(next(before, { failures: 1 }, { now: NOW + 5 * MINUTE - 1 }).health.pausedReason).toBe("failing");
    expect(next(before, { failures: 1 }, { now: NOW + 5 * MINUTE }).health).toMatchObject({
      pausedReason: null,
      windowTries: 1,
      windowFailures: 1,
      windowAt: NOW + 5 * MINUTE,
    });
  });

  test("costs a calm endpoint nothing: successes open no window", () => {
    expect(next(calm, { successes: 500 })).toEqual({ health: calm, events: [] });
  });

  test("leaves an endpoint alone that must not be paused, but still counts", () => {
    const { health, events } = next(calm, { failures: 50 }, { autoPause: false });
    expect(health).toMatchObject({ pausedReason: null, failingSince: NOW, windowFailures: 50 });
    expect(events).toEqual([]);
  });
});

describe("days of nothing but failures", () => {
  const since = { ...calm, failingSince: NOW };

  test.each([
    [2.49, []],
    [2.5, [50]],
    [3.49, [50]],
    [3.5, [70]],
    [4.5, [90]],
  ])("after %d days the last warning is of %j %%", (days, percents) => {
    const { events } = next(since, { failures: 1 }, { now: NOW + days * DAY });
    expect(events).toEqual(percents.map((percent) => ({ type: "endpoint.failing", percent, since: NOW })));
  });

  test("are warned of once each", () => {
    let health = since as Health;
    const warned: number[] = [];
    for (let hour = 1; hour < 120; hour++) {
      const after = next(health, { failures: 1 }, { now: NOW + (hour * DAY) / 24 });
      health = after.health;
      for (const event of after.events) if (event.type === "endpoint.failing") warned.push(event.percent);
    }
    expect(warned).toEqual([50, 70, 90]);
    expect(health.pausedReason).toBeNull();
  });

  test("pause the endpoint after five", () => {
    const { health, events } = next({ ...since, warned: 90 }, { failures: 1 }, { now: NOW + 5 * DAY });
    expect(health.pausedReason).toBe("failing");
    expect(events).toEqual([{ type: "endpoint.paused", reason: "failing" }]);
  });

  test("never pause an endpoint that must not be", () => {
    const after = next({ ...since, warned: 90 }, { failures: 1 }, { now: NOW + 9 * DAY, autoPause: false });
    expect(after.health.pausedReason).toBeNull();
    expect(after.events).toEqual([]);
  });

  test("are over with one success", () => {
    const { health } = next({ ...since, warned: 70 }, { successes: 1, failures: 3 }, { now: NOW + 4 * DAY });
    expect(health).toMatchObject({ failingSince: null, warned: 0, pausedReason: null });
  });
});

describe("a failing endpoint", () => {
  test("resumes when its probe passes, and says so", () => {
    const { health, events } = next(failing, { successes: 1, probe: "passed" });
    expect(health).toEqual(calm);
    expect(events).toEqual([{ type: "endpoint.resumed" }]);
  });

  test("resumes even if a straggler fails in the same moment", () => {
    expect(next(failing, { successes: 1, failures: 4, probe: "passed" }).health.pausedReason).toBeNull();
  });

  test("does not resume by a try that was under way when it was paused", () => {
    const { health, events } = next(failing, { successes: 3 });
    expect(health.pausedReason).toBe("failing");
    expect(events).toEqual([]);
  });

  test("is probed at growing distances, ten minutes at most", () => {
    let health = failing;
    const distances: number[] = [];
    for (let i = 0; i < 7; i++) {
      health = next(health, { failures: 1, probe: "failed" }).health;
      distances.push(((health.probeAt ?? 0) - NOW) / 1_000);
    }
    expect(distances).toEqual([60, 120, 240, 480, 600, 600, 600]);
    expect(health.pausedSince).toBe(failing.pausedSince);
  });

  test("states nothing more while it fails on", () => {
    expect(next(failing, { failures: 400 }, { now: NOW + 9 * DAY }).events).toEqual([]);
  });
});

describe("410", () => {
  test("pauses the endpoint for good, without a probe", () => {
    const { health, events } = next(calm, { gone: true, failures: 2 });
    expect(health).toMatchObject({ pausedReason: "gone", pausedSince: NOW, probeAt: null });
    expect(events).toEqual([{ type: "endpoint.paused", reason: "gone" }]);
  });

  test("to the probe of a failing endpoint ends the probing", () => {
    expect(next(failing, { gone: true, probe: "failed" }).health).toMatchObject({
      pausedReason: "gone",
      probeAt: null,
    });
  });

  test("does not touch a pause by hand, nor state it twice", () => {
    const manual: Health = { ...calm, pausedReason: "manual", pausedSince: NOW - DAY };
    expect(next(manual, { gone: true })).toEqual({ health: manual, events: [] });
    const gone: Health = { ...calm, pausedReason: "gone", pausedSince: NOW - DAY };
    expect(next(gone, { gone: true })).toEqual({ health: gone, events: [] });
  });

  test("pauses even an endpoint that is not paused for failures", () => {
    expect(next(calm, { gone: true }, { autoPause: false }).health.pausedReason).toBe("gone");
  });
});

describe("throttling", () => {
  test("holds, and counts for nothing", () => {
    expect(next(calm, { holdUntil: NOW + MINUTE })).toEqual({
      health: { ...calm, holdUntil: NOW + MINUTE },
      events: [],
    });
  });

  test("never shortens a hold", () => {
    const held = { ...calm, holdUntil: NOW + DAY };
    expect(next(held, { holdUntil: NOW + MINUTE }).health.holdUntil).toBe(NOW + DAY);
  });
});

test("a pause by hand is not ended by a success", () => {
  const manual: Health = { ...calm, pausedReason: "manual", pausedSince: NOW };
  expect(next(manual, { successes: 1, probe: "passed" }).health.pausedReason).toBe("manual");
});
