import type { Sql } from "../platform/database.ts";
import type { Log } from "../platform/log.ts";
import { type Repeater, repeat } from "../platform/repeat.ts";
import { claimDue } from "./tick_store.ts";

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

/** Claims what is due, again and again, as far as the polls keep up. Every worker node runs one; `wake` looks at once. */
export function startTick(options: {
  sql: Sql;
  log: Log;
  leaseMs: number;
  /** How long polls have waited in the queue of late. */
  backlogMs(): number;
  /** Free places in the slow lane. */
  slowRoom(): number;
}): Repeater {
  const { sql, leaseMs } = options;

  async function work(): Promise<number> {
    if (options.backlogMs() > FULL_AFTER_MS) return SHORTEST_MS;
    const claimed = await claimDue(sql, { limit: CLAIM_LIMIT, slowLimit: Math.max(0, options.slowRoom()), leaseMs });
    if (claimed.watches === CLAIM_LIMIT) return 0;
    return Math.max(SHORTEST_MS, claimed.nextDueInMs ?? LONGEST_MS);
  }

  return repeat({ name: "claiming due watches", everyMs: LONGEST_MS, log: options.log, work });
}
