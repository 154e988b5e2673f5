import { createDelivering, type Delivering } from "../../src/delivering/delivering.ts";
import { createClock } from "../../src/platform/clock.ts";
import type { ConnectionTarget, Database } from "../../src/platform/database.ts";
import { silentLog } from "../../src/platform/log.ts";
import { createNode } from "../../src/platform/pools.ts";
import { createRollups } from "../../src/platform/rollups.ts";
import type { Plugins } from "../../src/plugins/plugins.ts";
import { loopback, vault } from "../support/engine.ts";

/** A delivering node in this process that runs plugins. */
export function startEngineWith(
  plugins: Plugins,
  at: { database: Database; target: ConnectionTarget },
  options: { work?: boolean; concurrency?: number } = {},
): { delivering: Delivering; stop(): Promise<void> } {
  const clock = createClock();
  const nodeId = crypto.randomUUID();
  const node = createNode({ ...at, clock, log: silentLog, nodeId, alone: true });
  const concurrency = options.concurrency ?? 256;
  const delivering = createDelivering({
    database: at.database,
    clock,
    log: silentLog,
    outbound: loopback,
    vault,
    authorise: async (_id, request) => ({
      ...request,
      secretHeaders: [],
      redact: (text) => text,
      refused: async () => false,
    }),
    rollups: createRollups(nodeId),
    transform: plugins.transform,
    concurrency,
    defaults: { retry: { delays: [100, 200, 400] }, timeoutMs: 2_000 },
    share: node.share,
  });
  const isWorking = options.work !== false;
  if (isWorking) delivering.start();
  const tasks = { deliver: delivering.deliverer.deliver };
  const pools = isWorking ? node.startPools([{ name: "deliver", tasks, concurrency }]) : null;
  return {
    delivering,
    async stop() {
      delivering.beginStop();
      await pools?.stop();
      await delivering.finish();
      await node.leave();
    },
  };
}
