import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import { messageOf } from "../platform/errors.ts";
import { uuidFloor } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import { type Connection, dropPartition, listPartitions, type Partition } from "../platform/partitions.ts";
import { type Repeater, repeat } from "../platform/repeat.ts";
import * as store from "./retention_store.ts";

/** How long things are kept, in milliseconds. */
export type Terms = { pollsMs: number; eventsMs: number; deadLettersMs: number; pollLogBytes: number };

export type Retention = { database: Database; clock: Clock; log: Log; terms: Terms };

const HOUR_MS = 3_600_000;
const UNCHANGED_POLLS_MS = 24 * HOUR_MS;
const BATCH = 2_000;
/** Any number, as long as it is ours: whoever tidies up holds it. */
const LOCK = 0x726574656e74;
/** Longer waits for other transactions are given up; the next run goes on where this one stopped. */
const PATIENCE_MS = 60_000;

/** Tidies up at the start and every hour, on one node at a time. A stop ends a statement under way. */
export function startRetention(deps: Retention): Repeater {
  const stopping = new AbortController();
  const repeater = repeat({
    name: "retention",
    everyMs: HOUR_MS,
    log: deps.log,
    work: async () => void (await applyRetention(deps, stopping.signal)),
  });
  return {
    wake: repeater.wake,
    stop() {
      const stopped = repeater.stop();
      stopping.abort();
      return stopped;
    },
  };
}

/**
 * Makes the partitions of the days to come and drops what is older than its term. What is still owed is moved to the
 * dead letters first.
 * @returns the names of the partitions that were dropped, or null when another node is at it
 * @throws when `signal` ends it; what is half done goes on at the next call
 */
export async function applyRetention(deps: Retention, signal?: AbortSignal): Promise<string[] | null> {
  const { sql } = deps.database;
  const connection = await sql.reserve();
  const state = { pid: 0 };
  const cancel = () => void sql`select pg_cancel_backend(${state.pid})`.catch(() => {});
  try {
    const [row] = await connection<{ mine: boolean; pid: number }[]>`
      select pg_try_advisory_lock(${LOCK}) as mine, pg_backend_pid() as pid`;
    if (!row?.mine) return null;
    state.pid = row.pid;
    signal?.addEventListener("abort", cancel);
    await connection.unsafe(`set statement_timeout = ${PATIENCE_MS}`);
    return await tidy(connection, deps, signal);
  } finally {
    signal?.removeEventListener("abort", cancel);
    if (state.pid > 0) {
      await connection.unsafe(`reset statement_timeout; select pg_advisory_unlock(${LOCK})`).catch(() => {});
    }
    connection.release();
  }
}

async function tidy(
  connection: Connection,
  { clock, log, terms }: Retention,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const now = clock.now();
  const dropped: string[] = [];

  async function dropAll(partitions: Partition[], options: Guard = {}): Promise<void> {
    for (const partition of partitions) {
      signal?.throwIfAborted();
      if (partition.attached === "yes" && (await options.isNeeded?.(partition))) continue;
      try {
        await dropPartition(connection, partition, () => options.lastLook?.(partition) ?? Promise.resolve());
        dropped.push(partition.name);
      } catch (error) {
        signal?.throwIfAborted();
        log.warn("a partition could not be dropped now", { partition: partition.name, problem: messageOf(error) });
      }
    }
  }

  async function inBatches(work: (limit: number) => Promise<number>): Promise<void> {
    while ((await work(BATCH)) >= BATCH) signal?.throwIfAborted();
  }

  const older = async (parent: string, termMs: number) =>
    (await listPartitions(connection, parent)).filter(
      ({ endsAt, attached }) => endsAt <= now - termMs || attached !== "yes",
    );

  await connection`select deltahook.ensure_partitions()`;
  await inBatches((limit) => store.expireOwed(connection, uuidFloor(now - terms.eventsMs), limit));
  await store.cancelOrphans(connection);
  await dropAll(await older("polls_unchanged", Math.min(UNCHANGED_POLLS_MS, terms.pollsMs)));
  await dropAll(overflowing(await listPartitions(connection, "polls_unchanged"), terms.pollLogBytes, now));
  await dropAll(await older("polls", terms.pollsMs));
  await dropAll(await older("attempts", terms.eventsMs));
  await dropAll(await older("deliveries", terms.eventsMs), {
    isNeeded: (partition) => store.owesAnything(connection, partition),
    lastLook: (partition) => store.buryLateDeliveries(connection, partition),
  });
  await dropAll(await older("events", terms.eventsMs), {
    isNeeded: (partition) => store.isStillTold(connection, partition),
    lastLook: (partition) => store.buryLateEvents(connection, partition),
  });
  await inBatches((limit) => store.pruneDeadLetters(connection, new Date(now - terms.deadLettersMs), limit));
  await inBatches((limit) => store.pruneIdempotencyKeys(connection, limit));
  await store.sumRollupHours(connection);
  await inBatches((limit) => store.pruneRollups(connection, limit));
  if (dropped.length > 0) log.info("old partitions dropped", { partitions: dropped.join(" ") });
  return dropped;
}

type Guard = {
  isNeeded?: (partition: Partition) => Promise<boolean>;
  lastLook?: (partition: Partition) => Promise<void>;
};

/** The oldest partitions whose time is over, as many as bring the whole under the cap. */
function overflowing(partitions: Partition[], mostBytes: number, now: number): Partition[] {
  let over = partitions.reduce((sum, { bytes }) => sum + bytes, 0) - mostBytes;
  return partitions.filter(({ endsAt, bytes }) => {
    if (over <= 0 || endsAt > now) return false;
    over -= bytes;
    return true;
  });
}
