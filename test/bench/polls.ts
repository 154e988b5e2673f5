import { createRollups } from "../../src/platform/rollups.ts";
import { testDatabase } from "../support/database.ts";
import { parseWatch, startNode } from "../watching/support.ts";

/**
 * Polls per second of one node with default settings (no limit per host). In each round all watches are due at once; the
 * time runs from the first of them polled to the last, each found unchanged. The first polls, which take the
 * references, are not counted.
 */
export async function measurePolls(options: {
  /** A JSON source; each watch asks it with a query of its own. */
  url: string;
  watches: number;
  rounds: number;
}): Promise<{ perSecond: number }> {
  const place = await testDatabase();
  try {
    const { sql } = place.database;
    const polled = countPolls();
    const node = startNode(place, { concurrency: 1_024, timeoutMs: 30_000, rollups: polled.rollups });
    for (let made = 0; made < options.watches; made += 500) {
      await node.watching.watches.create(
        Array.from({ length: Math.min(500, options.watches - made) }, (_, index) =>
          parseWatch({
            name: `Order ${made + index}`,
            request: { url: `${options.url}/orders?id=${made + index}` },
            schedule: { every: "6h" },
            fields: { status: "$.order.status", total: "$.order.total" },
          }),
        ),
      );
    }
    await polled.reach(options.watches);
    await sql`analyze deltahook.watches, deltahook.watch_schedule, deltahook.watch_status, deltahook.watch_state`;

    let spentMs = 0;
    for (let round = 0; round < options.rounds; round++) {
      const before = polled.count();
      // What the polls of the round before still write must not be in the way of an update of all rows.
      await Bun.sleep(250);
      await sql`update deltahook.watch_schedule set next_poll_at = now(), busy_until = null, job = null`;
      const startedAt = await polled.reach(before + 1);
      spentMs += (await polled.reach(before + options.watches)) - startedAt;
    }
    await node.stop();
    return { perSecond: (options.watches * options.rounds * 1_000) / spentMs };
  } finally {
    await place.drop();
  }
}

/** Counts polls as they are measured, and tells the moment at which a number is reached. */
function countPolls() {
  const counted = createRollups("bench");
  let polls = 0;
  let goal = Number.POSITIVE_INFINITY;
  let reached = (_at: number) => {};
  const rollups: typeof counted = {
    ...counted,
    observe(metric, ms) {
      counted.observe(metric, ms);
      if (metric === "poll_ms" && ++polls === goal) reached(performance.now());
    },
  };
  return {
    rollups,
    count: () => polls,
    reach: (wanted: number) =>
      new Promise<number>((resolve) => {
        goal = wanted;
        reached = resolve;
        if (polls >= wanted) resolve(performance.now());
      }),
  };
}
