import { expect, test } from "bun:test";
import { FRESH_PACE, learnPace, nextPoll, type Schedule } from "../../src/watching/schedule.ts";

const DAY = 86_400_000;
const SPAN = 14 * DAY;
const SOURCES = 400;

/** mulberry32: the same numbers in every run. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The times at which a source changes: a Poisson process. */
function changesOf(meanMs: number, random: () => number): number[] {
  const times: number[] = [];
  for (let at = 0; ; ) {
    at -= Math.log(1 - random()) * meanMs;
    if (at >= SPAN) return times;
    times.push(at);
  }
}

type Tally = { polls: number; delays: number; seen: number };

/** Polls a source and adds up how long each change waited to be seen. `next` gets whether the last poll found a change. */
function watchSource(
  changes: readonly number[],
  firstAt: number,
  next: (at: number, changed: boolean) => number,
  tally: Tally,
): void {
  let pending = 0;
  for (let at = firstAt; at < SPAN; ) {
    const before = pending;
    for (; pending < changes.length && (changes[pending] as number) <= at; pending++) {
      tally.delays += at - (changes[pending] as number);
      tally.seen++;
    }
    tally.polls++;
    at = next(at, pending > before);
  }
}

test.each([1, 2, 3])(
  "adaptive polling sees changes 1.5 times sooner than fixed polling with as many requests (seed %d)",
  (seed) => {
    const random = randomFrom(seed);
    // From one change in 10 minutes to one in 60 days, evenly on a logarithmic scale, as sources differ.
    const sources = Array.from({ length: SOURCES }, () => changesOf(600_000 * 8_640 ** random(), random));

    const schedule: Schedule = { kind: "adaptive", everyMs: 60_000, minMs: 60_000, maxMs: 6 * 3_600_000 };
    const adaptive: Tally = { polls: 0, delays: 0, seen: 0 };
    for (const changes of sources) {
      let pace = FRESH_PACE;
      let last = 0;
      const next = (at: number, changed: boolean) => {
        pace = learnPace(pace, { elapsedMs: at - last, changed });
        last = at;
        return nextPoll(schedule, { nowMs: at, phase: 0, pace }) ?? SPAN;
      };
      watchSource(changes, random() * 60_000, next, adaptive);
    }

    const everyMs = (SPAN * SOURCES) / adaptive.polls;
    const fixed: Tally = { polls: 0, delays: 0, seen: 0 };
    for (const changes of sources) watchSource(changes, random() * everyMs, (at) => at + everyMs, fixed);

    expect(Math.abs(fixed.polls / adaptive.polls - 1)).toBeLessThan(0.01);
    const ratio = fixed.delays / fixed.seen / (adaptive.delays / adaptive.seen);
    expect(ratio).toBeGreaterThan(1.5);
  },
  5_000,
);
