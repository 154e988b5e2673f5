import { afterEach, expect, test } from "bun:test";
import { createLog, silentLog } from "../../src/platform/log.ts";
import { type Repeater, repeat } from "../../src/platform/repeat.ts";

const LONG_MS = 60_000;
const started: Repeater[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((repeater) => repeater.stop()));
});

function repeating(everyMs: number, work: () => Promise<number | undefined>, log = silentLog): Repeater {
  const repeater = repeat({ name: "the work", everyMs, log, work });
  started.push(repeater);
  return repeater;
}

/** Counts runs, and lets a test wait for the nth. */
function counter() {
  let runs = 0;
  const waiting: { nth: number; resolve(): void }[] = [];
  return {
    get runs() {
      return runs;
    },
    ran() {
      runs++;
      for (const waiter of waiting) if (runs >= waiter.nth) waiter.resolve();
    },
    nth: (nth: number) =>
      new Promise<void>((resolve) => {
        if (runs >= nth) resolve();
        else waiting.push({ nth, resolve });
      }),
  };
}

test("runs at once, and again after its interval", async () => {
  const count = counter();
  repeating(5, async () => void count.ran() as undefined);
  await count.nth(4);
});

test("runs sooner when its work says so, and never later than its interval", async () => {
  const sooner = counter();
  repeating(LONG_MS, async () => {
    sooner.ran();
    return 1;
  });
  const later = counter();
  repeating(5, async () => {
    later.ran();
    return LONG_MS;
  });
  await Promise.all([sooner.nth(3), later.nth(3)]);
});

test("goes on after a run that throws, and says what went wrong", async () => {
  const count = counter();
  const lines: string[] = [];
  const log = createLog({ level: "warn", format: "json", write: (line) => void lines.push(line) });
  repeating(
    1,
    async () => {
      count.ran();
      throw new Error("no luck");
    },
    log,
  );
  await count.nth(3);
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({
    level: "warn",
    message: "the work failed; it is tried again",
    problem: "no luck",
  });
});

test("wakes early, and a wake during a run is followed by another run", async () => {
  const count = counter();
  let release = () => {};
  const repeater = repeating(LONG_MS, async () => {
    count.ran();
    if (count.runs === 2)
      await new Promise<void>((resolve) => {
        release = resolve;
      });
    return undefined;
  });
  await count.nth(1);
  await Bun.sleep(1);
  repeater.wake();
  await count.nth(2);
  repeater.wake();
  repeater.wake();
  await Bun.sleep(5);
  expect(count.runs).toBe(2);
  release();
  await count.nth(3);
  await Bun.sleep(5);
  expect(count.runs).toBe(3);
});

test("stopping waits for the run under way, and nothing runs after it", async () => {
  const count = counter();
  let ended = false;
  const repeater = repeating(1, async () => {
    count.ran();
    await Bun.sleep(20);
    ended = true;
    return 0;
  });
  await count.nth(1);
  ended = false;
  await repeater.stop();
  expect(ended).toBe(true);
  const { runs } = count;
  repeater.wake();
  await Bun.sleep(10);
  expect(count.runs).toBe(runs);
});
