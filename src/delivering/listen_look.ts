import { messageOf } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";

/** Between two looks: what a listener adds to a delivery is about twice this. */
const LOOK_EVERY_MS = 50;
/** After one that failed, since Postgres is away, say. */
const FAILED_MS = 1_000;

/**
 * One look for all who wait: made every 50 ms for as long as `wanted` says so, and not at all otherwise.
 * @returns what begins it, to be called whenever somebody starts to wait
 */
export function createLook(options: { name: string; log: Log; wanted(): boolean; look(): Promise<void> }): () => void {
  let looking = false;

  async function run(): Promise<void> {
    looking = true;
    while (options.wanted()) {
      await Bun.sleep(LOOK_EVERY_MS);
      if (!options.wanted()) continue;
      try {
        await options.look();
      } catch (error) {
        options.log.warn(`${options.name} failed; it is tried again`, { problem: messageOf(error) });
        await Bun.sleep(FAILED_MS);
      }
    }
    looking = false;
  }

  return () => {
    if (!looking) void run();
  };
}
