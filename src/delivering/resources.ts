import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import type { Log } from "../platform/log.ts";
import type { Repeater } from "../platform/repeat.ts";
import type { Rollups } from "../platform/rollups.ts";
import type { Plugins } from "../plugins/plugins.ts";
import type { Vault } from "../vault/vault.ts";
import { createDeadLetters, type DeadLetters } from "./dead_letters.ts";
import { createDeliveries, type Deliveries } from "./deliveries.ts";
import type { Delivering } from "./delivering.ts";
import { createDirectEndpoints } from "./direct.ts";
import { createEndpoints, type Endpoints } from "./endpoints.ts";
import { createEvents, type Events } from "./events.ts";
import { createFanOut, type FanOut } from "./fan_out.ts";
import { createListening, type Listening } from "./listen.ts";
import { createOperations, type Operations, runOperations } from "./operations.ts";
import { createTestPing, type TestPing } from "./test_ping.ts";

/** What people and programs do with the room: behind the API, the pages and `deltahook.send`. */
export type Resources = {
  endpoints: Endpoints;
  events: Events;
  deliveries: Deliveries;
  deadLetters: DeadLetters;
  operations: Operations;
  listening: Listening;
  ping: TestPing;
  /** The task `fan_out` of the pool that delivers. */
  fanOut: FanOut;
  /** Works off operations; only nodes that deliver do. */
  startOperations(): Repeater;
};

export function createResources(deps: {
  database: Database;
  clock: Clock;
  log: Log;
  vault: Vault;
  rollups: Rollups;
  delivering: Delivering;
  /** Without it plugins are not looked at: each try then fails with a sentence. */
  plugins?: Pick<Plugins, "checkUse">;
  retainEventsMs: number;
}): Resources {
  const { database, clock, delivering } = deps;
  const { publish, ingest, deliverer } = delivering;
  const wake = () => delivering.wake();
  const state = { running: null as Repeater | null };

  const direct = createDirectEndpoints(database.sql, deps.vault);
  const deadLetters = createDeadLetters({ ...deps, wake });
  const deliveries = createDeliveries({ database, clock, deadLetters, wake });
  return {
    endpoints: createEndpoints({ ...deps, publish }),
    events: createEvents({ ...deps, ingest, direct, wake }),
    deliveries,
    deadLetters,
    operations: createOperations({ database, clock, onStarted: () => state.running?.wake() }),
    listening: createListening(deps),
    ping: createTestPing({ database, clock, deliverer, deliveries }),
    fanOut: createFanOut({ ...deps, publish, direct }),
    startOperations() {
      state.running = runOperations({ ...deps, deadLetters });
      return state.running;
    },
  };
}
