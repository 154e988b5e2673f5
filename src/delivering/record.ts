import { createBatcher } from "../platform/batch.ts";
import type { Clock } from "../platform/clock.ts";
import { type Database, isAway, persist, type SqlRunner } from "../platform/database.ts";
import { publicId, uuidTime } from "../platform/ids.ts";
import type { Rollups } from "../platform/rollups.ts";
import type { Tried } from "./attempt.ts";
import { type Health, type HealthEvent, nextHealth, type Tally } from "./health.ts";
import { type HealthRow, lockHealth, saveHealth } from "./health_store.ts";
import type { Publish } from "./publish.ts";
import { recordTries } from "./store.ts";

export type Recorder = {
  /** Writes a try down, with others. @returns whether it was still the one its delivery waited for */
  record(tried: Tried): Promise<boolean>;
  drain(): Promise<void>;
};

type Written = { moved: boolean } | { error: unknown };

/** Batches the tries that end within a few milliseconds: attempts, deliveries, dead letters and health commit together. */
export function createRecorder(deps: {
  database: Database;
  clock: Clock;
  publish: Publish;
  rollups: Rollups;
  /** A delivery waits for its next try, due at this time (milliseconds since 1970). */
  onDue(at: number): void;
  signal: AbortSignal;
}): Recorder {
  // Deliveries are loaded by the hundred: one loaded while its endpoint was calm may end when it no longer is, and its
  // success must count then, or a busy endpoint with few failures would seem to have nothing else.
  const troubled = new Set<string>();
  const batcher = createBatcher<Tried, Written>({
    size: 256,
    waitMs: 3,
    concurrency: 3,
    run: async (batch) => {
      const written = await writeAll(batch);
      batch.forEach((tried, i) => {
        const each = written[i];
        if (!each || !("moved" in each) || !each.moved) return;
        measure(tried);
        if ("dueAt" in tried.record.verdict) deps.onDue(tried.record.verdict.dueAt);
      });
      return written;
    },
  });

  /** A try that Postgres refuses must not take along those of other endpoints: they would all be sent once more. */
  async function writeAll(batch: Tried[]): Promise<Written[]> {
    try {
      const moved = await persist(() => write(batch), deps.signal);
      return batch.map(({ record }) => ({ moved: moved.has(record.delivery.id) }));
    } catch (error) {
      if (batch.length === 1 || isAway(error)) return batch.map(() => ({ error }));
      const written: Written[] = [];
      for (const tried of batch) written.push(...(await writeAll([tried])));
      return written;
    }
  }

  function write(batch: Tried[]): Promise<Set<string>> {
    const tries = batch.map((tried) => tried.record);
    const tallies = tally(batch, troubled);
    if (tallies.size === 0) return recordTries(deps.database.sql, tries);
    return deps.database.sql.begin(async (tx) => {
      const moved = await recordTries(tx, tries);
      await updateHealth(tx, tallies);
      return moved;
    }) as Promise<Set<string>>;
  }

  async function updateHealth(tx: SqlRunner, tallies: Map<string, Tally>): Promise<void> {
    const now = deps.clock.now();
    for (const row of await lockHealth(tx, [...tallies.keys()].sort())) {
      const told = tallies.get(row.endpointId);
      if (!told) continue;
      const { health, events } = nextHealth(row, told, now, row.autoPause);
      await saveHealth(tx, row.endpointId, health);
      if (isCalm(health)) troubled.delete(row.endpointId);
      if (events.length > 0)
        await deps.publish(
          tx,
          events.map((event) => systemEvent(row, event)),
        );
    }
  }

  function measure({ record }: Tried): void {
    deps.rollups.observe("attempt_ms", record.ms);
    if (record.verdict.kind === "delivered") {
      deps.rollups.count("deliveries_delivered");
      deps.rollups.observe("delivery_latency_ms", deps.clock.now() - uuidTime(record.delivery.id));
    } else if (record.verdict.kind !== "interrupted") {
      deps.rollups.count("deliveries_failed");
      if (record.verdict.kind === "dead") deps.rollups.count("deliveries_dead");
    }
  }

  return {
    async record(tried) {
      const written = await batcher.add(tried);
      if ("error" in written) throw written.error;
      return written.moved;
    },
    drain: () => batcher.drain(),
  };
}

function isCalm(health: Health): boolean {
  return health.pausedReason === null && health.failingSince === null && health.windowAt === null;
}

/** What the batch tells of endpoints whose health changes by it; a calm endpoint's success changes nothing. */
function tally(batch: readonly Tried[], troubled: Set<string>): Map<string, Tally> {
  for (const { record, signal } of batch) if (signal === "failure") troubled.add(record.delivery.endpointId);
  const tallies = new Map<string, Tally>();
  for (const { record, signal, holdUntil } of batch) {
    const calm = !record.delivery.troubled && !troubled.has(record.delivery.endpointId);
    if (signal === "none" || (signal === "success" && calm)) continue;
    let told = tallies.get(record.delivery.endpointId);
    if (!told) {
      told = { successes: 0, failures: 0, gone: false, holdUntil: null, probe: null };
      tallies.set(record.delivery.endpointId, told);
    }
    if (signal === "success") told.successes++;
    if (signal === "failure") told.failures++;
    if (signal === "gone") told.gone = true;
    if (record.delivery.probe) told.probe = signal === "success" ? "passed" : "failed";
    if (holdUntil !== null) told.holdUntil = Math.max(told.holdUntil ?? 0, holdUntil);
  }
  return tallies;
}

function systemEvent(row: HealthRow, event: HealthEvent) {
  const { type, ...rest } = event;
  const data = { endpoint: { id: publicId("endpoint", row.endpointId), name: row.name, url: row.url }, ...rest };
  return { type, data: JSON.stringify(data), origin: "system" as const, aboutEndpoint: row.endpointId };
}
