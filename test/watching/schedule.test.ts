import { describe, expect, test } from "bun:test";
import { cronFault, nextCron } from "../../src/watching/cron.ts";
import { FRESH_PACE, intervalMs, learnPace, nextPoll, phaseOf, type Schedule } from "../../src/watching/schedule.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 10, 21, 12, 0, 0, 123);

describe("equal intervals", () => {
  const every: Schedule = { kind: "every", everyMs: 60_000 };

  test("a watch polls once an interval, at its own phase", () => {
    const first = nextPoll(every, { nowMs: NOW, phase: 0.25 }) ?? 0;
    expect(first % 60_000).toBe(15_000);
    expect(first).toBeGreaterThan(NOW);
    expect(first - NOW).toBeLessThanOrEqual(60_000);
    expect(nextPoll(every, { nowMs: first, phase: 0.25 })).toBe(first + 60_000);
    expect(nextPoll(every, { nowMs: first + 5, phase: 0.25 })).toBe(first + 60_000);
  });

  test("after a downtime it polls once, not once per missed slot", () => {
    const next = nextPoll(every, { nowMs: NOW + 10 * HOUR, phase: 0.5 }) ?? 0;
    expect(next - (NOW + 10 * HOUR)).toBeLessThanOrEqual(60_000);
    expect(next).toBeGreaterThan(NOW + 10 * HOUR);
  });

  test("watches made one after the other spread evenly", () => {
    const buckets = new Array<number>(20).fill(0);
    for (let id = 0; id < 20_000; id++) {
      const bucket = Math.floor(phaseOf(`watch_0192f3aa${id.toString(16).padStart(8, "0")}`) * 20);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    expect(Math.min(...buckets)).toBeGreaterThan(850);
    expect(Math.max(...buckets)).toBeLessThan(1_150);
  });
});

describe("cron", () => {
  const at = (text: string) => Date.parse(text);
  const runs = (cron: string, timezone: string, from: string, count: number) => {
    const times: string[] = [];
    for (let after = at(from); times.length < count; after = at(times.at(-1) ?? "")) {
      times.push(new Date(nextCron(cron, timezone, after) ?? 0).toISOString());
    }
    return times;
  };

  test("in a time zone", () => {
    expect(runs("0 9 * * 1-5", "America/New_York", "2026-11-20T15:00:00Z", 2)).toEqual([
      "2026-11-23T14:00:00.000Z",
      "2026-11-24T14:00:00.000Z",
    ]);
  });

  test("a fixed time that is skipped runs right after the gap", () => {
    expect(runs("30 2 * * *", "Europe/Vienna", "2026-03-28T12:00:00Z", 2)).toEqual([
      "2026-03-29T01:00:00.000Z",
      "2026-03-30T00:30:00.000Z",
    ]);
  });

  test("a fixed time that is repeated runs once", () => {
    expect(runs("30 2 * * *", "Europe/Vienna", "2026-10-24T12:00:00Z", 2)).toEqual([
      "2026-10-25T00:30:00.000Z",
      "2026-10-26T01:30:00.000Z",
    ]);
  });

  test("steps run in both repeated hours", () => {
    expect(runs("*/30 * * * *", "Europe/Vienna", "2026-10-24T23:59:00Z", 5)).toEqual([
      "2026-10-25T00:00:00.000Z",
      "2026-10-25T00:30:00.000Z",
      "2026-10-25T01:00:00.000Z",
      "2026-10-25T01:30:00.000Z",
      "2026-10-25T02:00:00.000Z",
    ]);
  });

  test("as a schedule; its interval is the gap between two runs", () => {
    const schedule: Schedule = { kind: "cron", cron: "0 */6 * * *", timezone: "UTC" };
    expect(nextPoll(schedule, { nowMs: NOW, phase: 0.9 })).toBe(at("2026-11-21T18:00:00Z"));
    expect(intervalMs(schedule, NOW)).toBe(6 * HOUR);
  });

  const faults: [cron: string, timezone: string, property: string, message: string][] = [
    ["* * * * * *", "UTC", "cron", "5 fields"],
    ["61 * * * *", "UTC", "cron", "5 fields"],
    ["", "UTC", "cron", "5 fields"],
    ["soon", "UTC", "cron", "5 fields"],
    ["0 0 30 2 *", "UTC", "cron", "never comes due"],
    ["0 9 * * *", "Mars/Olympus", "timezone", "IANA"],
  ];
  test.each(faults)("%j in %s is refused", (cron, timezone, property, message) => {
    expect(cronFault(cron, timezone)).toEqual({
      property: property as "cron",
      message: expect.stringContaining(message),
    });
  });

  test("names, lists and ranges are taken", () => {
    for (const cron of ["0 9 * * MON-FRI", "0,30 8-18/2 1,15 JAN *", "@daily"])
      expect(cronFault(cron, "Asia/Kolkata")).toBeNull();
  });
});

describe("adaptive", () => {
  const schedule: Schedule = { kind: "adaptive", everyMs: 60_000, minMs: 10_000, maxMs: HOUR };

  test("an unknown source counts as changing once in 6 hours", () => {
    expect(nextPoll(schedule, { nowMs: NOW, phase: 0, pace: FRESH_PACE })).toBe(
      NOW + Math.round(Math.sqrt(60_000 * 6 * HOUR)),
    );
  });

  test("after a change come 3 polls at the shortest interval", () => {
    let pace = learnPace(FRESH_PACE, { elapsedMs: 60_000, changed: true });
    const waits: number[] = [];
    for (let poll = 0; poll < 4; poll++) {
      waits.push((nextPoll(schedule, { nowMs: NOW, phase: 0, pace }) ?? 0) - NOW);
      pace = learnPace(pace, { elapsedMs: 10_000, changed: false });
    }
    expect(waits.map((wait) => wait === 10_000)).toEqual([true, true, true, false]);
  });

  test("what was learned is halved in 3 days", () => {
    const pace = learnPace({ changes: 8, watchedMs: DAY, quick: 0 }, { elapsedMs: 3 * DAY, changed: false });
    expect(pace.changes).toBeCloseTo(4);
    expect(pace.watchedMs).toBeCloseTo(3.5 * DAY);
  });

  test("a quiet source is left alone, up to max", () => {
    const pace = { changes: 0, watchedMs: 100 * DAY, quick: 0 };
    expect(nextPoll(schedule, { nowMs: NOW, phase: 0, pace })).toBe(NOW + HOUR);
  });
});
