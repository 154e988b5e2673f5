import { nextCron } from "./cron.ts";

export type Schedule =
  | { kind: "every"; everyMs: number }
  | { kind: "adaptive"; everyMs: number; minMs: number; maxMs: number }
  | { kind: "cron"; cron: string; timezone: string };

/**
 * What a watch has learned of its source: changes seen and time watched, both halved every 3 days, and how many polls at
 * the shortest interval are still due after a change.
 */
export type Pace = { changes: number; watchedMs: number; quick: number };

export const FRESH_PACE: Pace = { changes: 0, watchedMs: 0, quick: 0 };

const HOUR = 3_600_000;
const HALF_LIFE_MS = 72 * HOUR;
/** Until something is learned, a source counts as changing once in 6 hours. */
const PRIOR_MS = 6 * HOUR;
const QUICK_POLLS = 3;

/**
 * When a watch is polled next, in milliseconds since 1970: always after `nowMs`, so that it polls once after a downtime
 * and not once per missed slot. `phase` (0 ≤ phase < 1, see {@link phaseOf}) spreads equal intervals.
 * @returns `null` for a cron expression that never comes due again.
 */
export function nextPoll(schedule: Schedule, input: { nowMs: number; phase: number; pace?: Pace }): number | null {
  const { nowMs, phase } = input;
  switch (schedule.kind) {
    case "cron":
      return nextCron(schedule.cron, schedule.timezone, nowMs);
    case "every":
      return nextSlot(schedule.everyMs, phase, nowMs);
    case "adaptive":
      return nowMs + adaptiveInterval(schedule, input.pace ?? FRESH_PACE);
  }
}

/** The interval that backoff and warnings reckon with. A cron schedule has none of its own: its next gap stands in. */
export function intervalMs(schedule: Schedule, nowMs: number): number {
  if (schedule.kind !== "cron") return schedule.everyMs;
  const next = nextCron(schedule.cron, schedule.timezone, nowMs);
  const afterThat = next === null ? null : nextCron(schedule.cron, schedule.timezone, next);
  return next === null || afterThat === null ? 24 * HOUR : afterThat - next;
}

/** Where in its interval a watch polls: 0 ≤ phase < 1, evenly spread over ids or other texts (FNV-1a, mixed once more). */
export function phaseOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32;
}

/** The pace after one more successful poll, `elapsedMs` after the one before. */
export function learnPace(pace: Pace, { elapsedMs, changed }: { elapsedMs: number; changed: boolean }): Pace {
  const kept = 2 ** (-elapsedMs / HALF_LIFE_MS);
  return {
    changes: pace.changes * kept + (changed ? 1 : 0),
    watchedMs: pace.watchedMs * kept + elapsedMs,
    quick: changed ? QUICK_POLLS : Math.max(0, pace.quick - 1),
  };
}

/**
 * √(every/λ): for a given number of polls a second, intervals in proportion to 1/√λ give the least mean delay over
 * sources that change at rates λ, so `every` sets the price of a poll and busy sources get more of them.
 */
function adaptiveInterval(schedule: { everyMs: number; minMs: number; maxMs: number }, pace: Pace): number {
  if (pace.quick > 0) return schedule.minMs;
  const changesPerMs = (pace.changes + 1) / (pace.watchedMs + PRIOR_MS);
  const best = Math.sqrt(schedule.everyMs / changesPerMs);
  return Math.round(Math.min(schedule.maxMs, Math.max(schedule.minMs, best)));
}

function nextSlot(everyMs: number, phase: number, nowMs: number): number {
  const offset = Math.floor(phase * everyMs);
  return nowMs - ((((nowMs - offset) % everyMs) + everyMs) % everyMs) + everyMs;
}
