import { messageOf } from "./errors.ts";
import type { Log } from "./log.ts";

export type Repeater = {
  /** Runs the work as soon as possible. */
  wake(): void;
  /** Ends the repetition and waits for a run under way. */
  stop(): Promise<void>;
};

/**
 * Runs `work` again and again, never two at once: after the number of milliseconds that it answers, at most `everyMs`.
 * A run that throws is logged and tried again: nothing that repeats may stop for good.
 */
export function repeat(options: {
  name: string;
  everyMs: number;
  log: Log;
  /** @returns milliseconds until the next run is wanted, or nothing for `everyMs` */
  work(): Promise<number | undefined>;
}): Repeater {
  let stopped = false;
  let wanted = false;
  let timer: ReturnType<typeof setTimeout> | null = null;
  let running: Promise<void> | null = null;

  async function run(): Promise<void> {
    let pauseMs = options.everyMs;
    wanted = false;
    try {
      pauseMs = Math.min(options.everyMs, Math.max(0, (await options.work()) ?? options.everyMs));
    } catch (error) {
      if (!stopped) options.log.warn(`${options.name} failed; it is tried again`, { problem: messageOf(error) });
    }
    running = null;
    if (!stopped) schedule(wanted ? 0 : pauseMs);
  }

  function schedule(pauseMs: number): void {
    if (timer) clearTimeout(timer);
    timer = setTimeout(() => {
      timer = null;
      running = run();
    }, pauseMs);
  }

  schedule(0);
  return {
    wake() {
      wanted = true;
      if (!running && !stopped) schedule(0);
    },
    async stop() {
      stopped = true;
      if (timer) clearTimeout(timer);
      await running;
    },
  };
}
