import { createBatcher } from "../platform/batch.ts";
import type { Database, SqlRunner } from "../platform/database.ts";
import { messageOf } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import type { Rollups } from "../platform/rollups.ts";
import type { DirectEndpoints } from "./direct.ts";
import { takeWritten, type Written } from "./event_store.ts";
import type { NewEvent } from "./new_event.ts";
import type { Publish } from "./publish.ts";

/** The queue's task `fan_out`: finds out who wants an event that `deltahook.send` wrote, once. */
export type FanOut = (payload: unknown) => Promise<void>;

/** Events that arrive together are fanned out in one transaction; a batch that fails is done one by one. */
export function createFanOut(deps: {
  database: Database;
  publish: Publish;
  direct: DirectEndpoints;
  rollups: Rollups;
  log: Log;
}): FanOut {
  const { sql } = deps.database;
  const batches = createBatcher<string, Error | null>({
    size: 200,
    waitMs: 2,
    concurrency: 2,
    async run(ids) {
      const together = await settle(ids);
      if (together === null || ids.length === 1) return ids.map(() => together);
      return Promise.all(ids.map((id) => settle([id])));
    },
  });

  async function settle(ids: string[]): Promise<Error | null> {
    try {
      const stated = await sql.begin((tx) => fanOut(tx, ids));
      deps.rollups.count("events", stated);
      return null;
    } catch (error) {
      return error instanceof Error ? error : new Error(messageOf(error));
    }
  }

  async function fanOut(tx: SqlRunner, ids: string[]): Promise<number> {
    const written = await takeWritten(tx, ids);
    const events = await Promise.all(written.map(toEvent));
    await deps.publish(
      tx,
      events.filter((event) => event !== null),
    );
    return written.length;
  }

  async function toEvent(row: Written): Promise<NewEvent | null> {
    const event: NewEvent = { id: row.id, written: true, type: row.type, data: row.data, origin: "sql" };
    if (row.url === null) return event;
    if (!URL.canParse(row.url)) {
      deps.log.warn("an event was sent from SQL to an address that is none", { event: row.id, url: row.url });
      return null;
    }
    return { ...event, target: { endpointId: await deps.direct.endpointFor(row.url), stored: "" } };
  }

  return async (payload) => {
    const problem = await batches.add((payload as { event: string }).event);
    if (problem) throw problem;
  };
}
