import { createBatcher } from "../platform/batch.ts";
import { type Database, persist } from "../platform/database.ts";
import { createLimit } from "../platform/limit.ts";
import type { Log } from "../platform/log.ts";
import { type AttemptDeps, attempt, type Tried } from "./attempt.ts";
import type { Endpoint } from "./endpoint.ts";
import type { EndpointCache } from "./endpoint_cache.ts";
import type { Gate } from "./gate.ts";
import type { Pacer } from "./pace.ts";
import type { Recorder } from "./record.ts";
import { loadOwed, type Owed, parkOwed, type Recorded, releaseOwed, unpark } from "./store.ts";

/** The payload of a `deliver` job: deliveries that travel together, and the id by which they know their job. */
type DeliverJob = { job: string; deliveries: string[] };

export type Deliverer = {
  /** The queue's task. */
  deliver(payload: unknown): Promise<void>;
  /** Makes one try of a delivery now, whatever its endpoint's pause says, and answers what came of it. */
  tryNow(owed: Owed): Promise<Recorded | null>;
  drain(): Promise<void>;
};

/**
 * load → gate → attempt → record. A job is only a lease on its deliveries: each is recorded as it finishes, and limits
 * count deliveries, so that a straggler holds nothing but its own place.
 */
export function createDeliverer(
  deps: AttemptDeps & {
    database: Database;
    endpoints: EndpointCache;
    gate: Gate;
    pacer: Pacer;
    recorder: Recorder;
    log: Log;
    /** How many loaded deliveries may wait in memory. */
    admitted: number;
    /** Aborted when open requests must end; recording gives up a little later. */
    attemptSignal: AbortSignal;
    recordSignal: AbortSignal;
    stopping(): boolean;
  },
): Deliverer {
  const { sql } = deps.database;
  const inHand = new Set<string>();
  const admission = createLimit(deps.admitted);
  const loading = createBatcher<{ id: string; job: string }, Owed | null>({
    size: 512,
    waitMs: 1,
    concurrency: 2,
    run: async (wanted) => {
      const rows = await persist(
        () =>
          loadOwed(
            sql,
            wanted.map(({ id }) => id),
            wanted.map(({ job }) => job),
          ),
        deps.recordSignal,
      );
      const byId = new Map(rows.map((row) => [row.id, row]));
      return wanted.map(({ id }) => byId.get(id) ?? null);
    },
  });
  const parking = createBatcher<Owed, void>({
    size: 500,
    waitMs: 5,
    concurrency: 1,
    run: async (batch) => {
      await persist(() => parkOwed(sql, batch), deps.recordSignal);
      return batch.map(() => undefined);
    },
  });
  const releasing = createBatcher<Owed, void>({
    size: 2000,
    waitMs: 5,
    concurrency: 1,
    run: async (batch) => {
      await persist(() => releaseOwed(sql, batch), deps.recordSignal);
      return batch.map(() => undefined);
    },
  });

  async function deliver(payload: unknown): Promise<void> {
    const { job, deliveries } = payload as DeliverJob;
    await admission.take(deliveries.length);
    const places = { left: deliveries.length };
    try {
      const owed = await Promise.all(deliveries.map((id) => loading.add({ id, job })));
      // One that fails by a fault of ours must not let go of the others' places while they are still under way.
      const settled = await Promise.allSettled(
        owed.map(async (delivery) => {
          if (!delivery || inHand.has(delivery.id)) return true;
          inHand.add(delivery.id);
          try {
            return await handle(delivery);
          } finally {
            inHand.delete(delivery.id);
            admission.give(1);
            places.left--;
          }
        }),
      );
      for (const result of settled) if (result.status === "rejected") throw result.reason;
      // graphile's complete path does not ask who holds the lock, its fail path does: a job that was not ours must fail.
      if (settled.some((result) => result.status === "fulfilled" && !result.value))
        throw new Error("a delivery of this job was moved by somebody else meanwhile");
    } finally {
      admission.give(places.left);
    }
  }

  /** @returns false when the delivery was no longer ours to record */
  async function handle(owed: Owed): Promise<boolean> {
    const endpoint = await deps.endpoints.get(owed.endpointId, owed.endpointRevision);
    if (!endpoint) return true;
    if (deps.stopping()) return release(owed);
    if (owed.blocked) return park(owed, endpoint);
    if (endpoint.rateLimit !== null && !owed.probe && (await deps.pacer.take(endpoint)) === "park") {
      return deps.stopping() ? release(owed) : park(owed, endpoint);
    }
    const entry = owed.probe ? "go" : await deps.gate.enter(owed.seq === null ? endpoint : headOf(endpoint));
    if (entry === "stopped") return release(owed);
    if (entry === "park") return park(owed, endpoint);
    return send(owed, endpoint);
  }

  async function send(owed: Owed, endpoint: Endpoint): Promise<boolean> {
    const tried = await tryOnce(owed, endpoint);
    const moved = await deps.recorder.record(tried);
    if (owed.seq !== null && tried.record.verdict.kind !== "retry") await unpark(sql, owed.endpointId, 1, 1);
    return moved;
  }

  /** The place is the endpoint's: it is free again as soon as the endpoint has answered, not only when that is recorded. */
  async function tryOnce(owed: Owed, endpoint: Endpoint): Promise<Tried> {
    const startedAt = performance.now();
    try {
      return await attempt(deps, owed, endpoint, deps.attemptSignal);
    } finally {
      if (!owed.probe) deps.gate.leave(owed.endpointId, performance.now() - startedAt);
    }
  }

  async function park(owed: Owed, endpoint: Endpoint): Promise<boolean> {
    await parking.add(owed);
    deps.gate.noteBacklog(endpoint);
    return true;
  }

  async function release(owed: Owed): Promise<boolean> {
    await releasing.add(owed);
    return true;
  }

  return {
    deliver,
    async tryNow(owed) {
      const endpoint = await deps.endpoints.get(owed.endpointId, owed.endpointRevision);
      if (!endpoint) return null;
      const tried = await attempt(deps, owed, endpoint, deps.attemptSignal);
      await deps.recorder.record(tried);
      return tried.record;
    },
    async drain() {
      await Promise.all([parking.drain(), releasing.drain(), deps.recorder.drain()]);
    },
  };
}

/** An ordered endpoint has one head out among all nodes, whose shares of that one place would mostly be nothing. */
function headOf(endpoint: Endpoint): { id: string; maxInFlight: number } {
  return { id: endpoint.id, maxInFlight: Number.MAX_SAFE_INTEGER };
}
