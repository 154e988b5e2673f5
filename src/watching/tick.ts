import type { Sql } from "../platform/database.ts";
import { isAway } from "../platform/database.ts";
import { messageOf } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { type Claim, claimDue } from "./tick_store.ts";

export type Tick = {
  start(): void;
  /** Looks again at once: something was made due outside the tick. */
  wake(): void;
  /** Ends after the claim in hand. */
  stop(): Promise<void>;
};

/** At least this long between two claims: under load it makes chunks full, and costs at most so much lag. */
const SHORTEST_MS = 50;
/** At most this long: another node may have made something due. */
const LONGEST_MS = 1_000;
const CLAIM_LIMIT = 8_192;
/**
 * Polls that wait longer in the queue mean that more is due than can be done. What is not claimed waits in the
 * schedule, the most overdue first; were it claimed, its lease would end in the queue and the work be done twice.
 */
const FULL_AFTER_MS = 5_000;

/** Claims what is due, again and again, as far as the polls keep up. Every worker node runs one. */
export function createTick(options: {
  sql: Sql;
  log: Log;
  leaseMs: number;
  /** How long polls have waited in the queue of late. */
  backlogMs(): number;
  /** Free places in the slow lane. */
  slowRoom(): number;
}): Tick {
  const { sql, log, leaseMs } = options;
  let running: Promise<void> | null = null;
  let stopping = false;
  let rouse = () => {};
  let roused = false;

  async function run(): Promise<void> {
    while (!stopping) {
      const restMs = await claim();
      await rest(restMs);
    }
  }

  async function claim(): Promise<number> {
    if (options.backlogMs() > FULL_AFTER_MS) return SHORTEST_MS;
    const wanted: Claim = { limit: CLAIM_LIMIT, slowLimit: Math.max(0, options.slowRoom()), leaseMs };
    try {
      const { watches, nextDueInMs } = await claimDue(sql, wanted);
      return watches === CLAIM_LIMIT ? 0 : (nextDueInMs ?? LONGEST_MS);
    } catch (error) {
      if (!isAway(error)) log.error("due watches could not be claimed", { problem: messageOf(error) });
      return LONGEST_MS;
    }
  }

  async function rest(wantedMs: number): Promise<void> {
    if (!roused && !stopping) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(LONGEST_MS, Math.max(SHORTEST_MS, wantedMs)));
        rouse = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    roused = false;
  }

  return {
    start() {
      running ??= run();
    },
    wake() {
      roused = true;
      rouse();
    },
    async stop() {
      stopping = true;
      rouse();
      await running;
    },
  };
}
