import { silentLog } from "../../src/platform/log.ts";
import { startPlugins } from "../../src/plugins/plugins.ts";
import { testDatabase } from "../support/database.ts";
import { addEndpoint, startEngine } from "../support/engine.ts";

/**
 * Deliveries per second from a full queue: `events` are stated first, then a node with default settings is started and
 * timed until the tables say that each is delivered.
 */
export async function measureDeliveries(options: {
  url: string;
  events: number;
  endpoints: number;
  /** The name of a shipped plugin that each endpoint has. */
  plugin?: string;
}): Promise<{ perSecond: number; ingestedPerSecond: number }> {
  const at = await testDatabase();
  try {
    for (let i = 0; i < options.endpoints; i++) {
      await addEndpoint(at.database, { url: `${options.url}/${i}`, maxInFlight: 100, eventTypes: [`order.${i}`] });
    }
    if (options.plugin) await at.database.sql`update deltahook.endpoints set plugin = ${[options.plugin]}::text[]`;
    const publisher = startEngine(at, { work: false });
    const data = JSON.stringify({ order: { id: 1, status: "paid", note: "x".repeat(220) } });
    const ingestStartedAt = performance.now();
    for (let i = 0; i < options.events; i += 500) {
      await publisher.delivering.ingest.submitAll(
        Array.from({ length: 500 }, (_, k) => ({
          event: { type: `order.${(i + k) % options.endpoints}`, data, origin: "api" as const },
          requestHash: Buffer.alloc(0),
        })),
      );
    }
    const ingestMs = performance.now() - ingestStartedAt;
    await publisher.stop();
    await at.database.sql`analyze deltahook.deliveries, deltahook.events`;
    const plugins = options.plugin ? await startPlugins({ folder: "/nonexistent", log: silentLog }) : null;
    const startedAt = performance.now();
    const engine = startEngine(at, { concurrency: 256, ...(plugins ? { transform: plugins.transform } : {}) });
    for (;;) {
      const [row] = await at.database.sql<{ left: number }[]>`
        select count(*) as left from (select from deltahook.deliveries where state = 'pending' limit 200) pending`;
      if (row?.left === 0) break;
      await Bun.sleep(10);
    }
    const ms = performance.now() - startedAt;
    await engine.stop();
    await plugins?.stop();
    return { perSecond: (options.events / ms) * 1000, ingestedPerSecond: (options.events / ingestMs) * 1000 };
  } finally {
    await at.drop();
  }
}
