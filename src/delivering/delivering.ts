import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import type { Log } from "../platform/log.ts";
import type { Outbound } from "../platform/outbound.ts";
import type { Rollups } from "../platform/rollups.ts";
import type { Vault } from "../vault/vault.ts";
import type { Authorise } from "./authorise.ts";
import { createDeliverer, type Deliverer } from "./deliver.ts";
import { createEndpointCache } from "./endpoint_cache.ts";
import { createGate } from "./gate.ts";
import { createIngest, type Ingest } from "./ingest.ts";
import { withListeners } from "./listen_door.ts";
import { createPacer } from "./pace.ts";
import { createPublish, type Publish } from "./publish.ts";
import { createRecorder } from "./record.ts";
import type { RetryPolicy } from "./retry.ts";
import { createSubscriptions } from "./subscriptions.ts";
import { type Sweep, startSweep } from "./sweep.ts";
import { noPlugins, type Transform } from "./transform.ts";

export type DeliveringDeps = {
  database: Database;
  clock: Clock;
  log: Log;
  outbound: Outbound;
  vault: Vault;
  authorise: Authorise;
  rollups: Rollups;
  /** Runs the plugins of endpoints; without it, endpoints that have some get nothing. */
  transform?: Transform;
  /** Deliveries in flight on this node. */
  concurrency: number;
  defaults: { retry: RetryPolicy; timeoutMs: number };
  /** This node's part of a cap that all nodes share. */
  share(cap: number): number;
  random?: () => number;
};

export type Delivering = {
  publish: Publish;
  ingest: Ingest;
  deliverer: Deliverer;
  /** How many `deliver` jobs the pool should run at once: each try may be a job of its own, and those of endpoints that hang come on top. */
  jobs: number;
  /** Begins to sweep; only nodes that deliver do. */
  start(): void;
  /** Something is due now that was not before (a retry or requeue by a person). */
  wake(): void;
  /** No new try from now on; what waits is given back. */
  beginStop(): void;
  /** Ends the open requests: their deliveries are due again at once, nothing counted. */
  abort(): void;
  /** Everything is written. */
  finish(): Promise<void>;
};

/** The room's wiring: publish → attempt → outcome → retry or dead letter. */
export function createDelivering(deps: DeliveringDeps): Delivering {
  const { database, clock, log } = deps;
  const attempts = new AbortController();
  const records = new AbortController();
  const state = { stopping: false, sweep: null as Sweep | null };

  const publish = createPublish(clock, createSubscriptions());
  const ingest = createIngest({ database, publish, rollups: deps.rollups });
  const gate = createGate({
    limit: deps.concurrency,
    share: deps.share,
    onRoom: (endpoint) => state.sweep?.refill(endpoint),
  });
  const pacer = createPacer({ sql: database.sql, clock });
  const recorder = createRecorder({
    database,
    clock,
    publish,
    rollups: deps.rollups,
    onDue: (at) => state.sweep?.noteDue(at),
    signal: records.signal,
  });
  const deliverer = createDeliverer({
    ...deps,
    outbound: withListeners(deps.outbound, { sql: database.sql, log }),
    random: deps.random ?? Math.random,
    transform: deps.transform ?? noPlugins,
    endpoints: createEndpointCache(database.sql, deps.vault, deps.defaults),
    gate,
    pacer,
    recorder,
    admitted: Math.max(1_024, 4 * deps.concurrency),
    attemptSignal: attempts.signal,
    recordSignal: records.signal,
    stopping: () => state.stopping,
  });

  /** The sweep ends first: what is given back from now on is for other nodes. */
  function beginStop(): void {
    state.stopping = true;
    void state.sweep?.stop();
    gate.stop();
    pacer.stop();
  }

  return {
    publish,
    ingest,
    deliverer,
    jobs: 2 * deps.concurrency,
    start() {
      state.sweep = startSweep({ database, gate, log, clock, probeLeaseMs: deps.defaults.timeoutMs + 30_000 });
    },
    wake: () => state.sweep?.wake(),
    beginStop,
    abort() {
      beginStop();
      attempts.abort();
    },
    async finish() {
      await state.sweep?.stop();
      await ingest.drain();
      setTimeout(() => records.abort(), 1_500).unref();
      await deliverer.drain();
    },
  };
}
