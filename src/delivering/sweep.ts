import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import type { Log } from "../platform/log.ts";
import { type Repeater, repeat } from "../platform/repeat.ts";
import type { Capped, Gate } from "./gate.ts";
import { sendProbes } from "./health_store.ts";
import { LEASE_MS } from "./listen.ts";
import { removeStale } from "./listen_store.ts";
import { CHUNK } from "./publish.ts";
import { clearBacklogMark, endpointsToUnpark, enqueueDue, enqueueLostFanOuts, freeLost, unpark } from "./store.ts";

export type Sweep = {
  /** An endpoint has room for some of its parked deliveries. */
  refill(endpoint: Capped): void;
  /** Something became due now. */
  wake(): void;
  /** Something will be due then (milliseconds since 1970): looked for in time, even if that is before the next round. */
  noteDue(at: number): void;
  stop(): Promise<void>;
};

const DUE_BATCH = 4_096;
const DUE_EVERY_MS = 1_000;
const DUE_APART_MS = 20;
/** A published delivery waits this long past its time before anybody asks whether its job still exists. */
const LOST_AFTER_SECONDS = 15;

/**
 * What keeps deliveries going without anybody's help: due retries get jobs, lost jobs are noticed, backlogs drain at
 * their endpoint's pace, failing endpoints are probed. Every worker node runs it; `skip locked` keeps them apart.
 */
export function startSweep(deps: {
  database: Database;
  gate: Gate;
  log: Log;
  clock: Clock;
  probeLeaseMs: number;
}): Sweep {
  const { sql } = deps.database;
  const refilling = new Set<string>();
  /** Endpoints with a rate limit get a second's worth each second; room is nothing to them. */
  let paced = new Set<string>();
  let stopped = false;
  let alarm: { at: number; timer: ReturnType<typeof setTimeout> } | null = null;

  const due = repeat({
    name: "due deliveries",
    everyMs: DUE_EVERY_MS,
    log: deps.log,
    async work() {
      const { taken, nextDueAt } = await enqueueDue(sql, DUE_BATCH, CHUNK);
      if (taken >= DUE_BATCH) return 0;
      return nextDueAt === null ? undefined : Math.max(DUE_APART_MS, nextDueAt - deps.clock.now());
    },
  });
  const backlogs = repeat({
    name: "parked deliveries",
    everyMs: 1_000,
    log: deps.log,
    async work() {
      await sendProbes(sql, deps.probeLeaseMs);
      const backlogged = await endpointsToUnpark(sql);
      paced = new Set(backlogged.filter(({ perSecond }) => perSecond !== null).map(({ id }) => id));
      for (const endpoint of backlogged) await refillNow(endpoint, endpoint.perSecond ?? Number.POSITIVE_INFINITY);
      return undefined;
    },
  });
  const lost = repeat({
    name: "lost jobs",
    everyMs: 60_000,
    log: deps.log,
    async work() {
      const startedAt = performance.now();
      const freed = await freeLost(sql, LOST_AFTER_SECONDS);
      const fanOuts = await enqueueLostFanOuts(sql, LOST_AFTER_SECONDS);
      if (freed + fanOuts > 0) {
        deps.log.warn("jobs were lost and are made anew", { deliveries: freed, fan_outs: fanOuts });
        due.wake();
      }
      // A long look over a large backlog is made less often.
      return Math.max(5_000, (performance.now() - startedAt) * 20);
    },
  });

  const listeners = repeat({
    name: "listeners that went away",
    everyMs: LEASE_MS / 3,
    log: deps.log,
    async work() {
      await removeStale(sql, LEASE_MS);
      return undefined;
    },
  });

  async function refillNow(endpoint: Capped, most = Number.POSITIVE_INFINITY): Promise<void> {
    if (stopped || refilling.has(endpoint.id)) return;
    refilling.add(endpoint.id);
    try {
      const room = Math.min(deps.gate.room(endpoint), Math.ceil(most));
      if (room === 0) return;
      const taken = await unpark(sql, endpoint.id, room, CHUNK);
      if (taken >= room || (taken > 0 && paced.has(endpoint.id))) return;
      deps.gate.clearBacklog(endpoint.id);
      await clearBacklogMark(sql, endpoint.id);
    } finally {
      refilling.delete(endpoint.id);
    }
  }

  function noteDue(at: number): void {
    const waitMs = at - deps.clock.now();
    if (stopped || waitMs >= DUE_EVERY_MS || (alarm && alarm.at <= at)) return;
    if (alarm) clearTimeout(alarm.timer);
    const ring = () => {
      alarm = null;
      due.wake();
    };
    alarm = { at, timer: setTimeout(ring, Math.max(DUE_APART_MS, waitMs)) };
  }

  const parts: Repeater[] = [due, backlogs, lost, listeners];
  return {
    refill(endpoint) {
      if (paced.has(endpoint.id)) return;
      void refillNow(endpoint).catch((error: Error) => {
        deps.log.debug("a backlog could not be drained just now", { problem: error.message });
      });
    },
    wake: () => due.wake(),
    noteDue,
    async stop() {
      stopped = true;
      if (alarm) clearTimeout(alarm.timer);
      await Promise.all(parts.map((part) => part.stop()));
    },
  };
}
