import { EventEmitter } from "node:events";
import { Logger, type Runner, run, runMigrations, type TaskList, type WorkerEvents } from "graphile-worker";
import pg from "pg";
import { type ConnectionTarget, connectionString } from "./database.ts";
import { messageOf } from "./errors.ts";
import type { Log } from "./log.ts";

const SCHEMA = "deltahook_queue";

/** Installs or upgrades the queue's own schema. */
export async function installQueue(target: ConnectionTarget, log: Log): Promise<void> {
  await runMigrations({ connectionString: connectionString(target), schema: SCHEMA, logger: quietLogger(log) });
}

/** How long a shutdown may take: one that nobody asked for, and ours, which drains first. */
const GIVE_UP_MS = 2_000;
const STOP_MS = 7_000;

/** A task gets its job's payload and a signal that ends the wait at shutdown. It throws only for our own faults. */
export type QueueTask = (payload: unknown, signal: AbortSignal) => Promise<void>;

export type PoolOptions = {
  /** `deliver` or `poll`: each has its own pool, so that neither starves the other. */
  name: string;
  tasks: Record<string, QueueTask>;
  /** Jobs at once. A job is a chunk, and its own limits count what is in the chunk. */
  concurrency: number;
  target: ConnectionTarget;
  log: Log;
  /** The pool starts under a new id: it must be beating before its first lock. */
  onStarted(poolId: string): Promise<void>;
  /** The pool ended, wanted or not; its id will never lock a job again. */
  onStopped(poolId: string): Promise<void>;
};

export type WorkerPool = {
  /** The id under which this pool locks jobs at present; null while it restarts. */
  poolId(): string | null;
  /** Gives up the present id and goes on under a new one: for a node that was taken for dead. */
  renew(): void;
  /** Fetches no more, waits for the running tasks, leaves no lock behind. */
  stop(): Promise<void>;
};

/**
 * Runs one supervised worker pool. graphile-worker shuts a pool down for good when Postgres restarts, and says so only
 * by a promise that resolves; so any settling that nobody asked for is a failure, and the pool is started again.
 */
export function startPool(options: PoolOptions): WorkerPool {
  const state = { stopping: false, runner: null as Runner | null, poolId: null as string | null };
  const stopped = new AbortController();
  const supervised = supervise();

  async function supervise(): Promise<void> {
    for (let failures = 0; !state.stopping; ) {
      const startedAt = Date.now();
      try {
        await runOnce();
      } catch (error) {
        options.log.warn("worker pool ended", { pool: options.name, problem: messageOf(error) });
      }
      if (state.stopping) return;
      failures = Date.now() - startedAt > 30_000 ? 0 : failures + 1;
      await pause(Math.min(2_000, 50 * 2 ** failures), stopped.signal);
    }
  }

  async function runOnce(): Promise<void> {
    const pool = openPgPool(options);
    const events = new EventEmitter() as unknown as WorkerEvents;
    let poolId: string | null = null;
    const ending = Promise.withResolvers<void>();
    events.on("pool:create", ({ workerPool }) => {
      poolId = (workerPool as unknown as { id: string }).id;
    });
    // When a completion cannot be written the pool begins to shut down, and that shutdown itself may wait for ever.
    events.on("pool:gracefulShutdown", () => setTimeout(ending.resolve, state.stopping ? STOP_MS : GIVE_UP_MS).unref());
    // The beat must stand before the first lock, so the queue is told to wait for it.
    let announced: Promise<void> | null = null;
    const announce = () => {
      announced ??= poolId === null ? null : options.onStarted(poolId);
      return announced;
    };
    try {
      const runner = await run({
        pgPool: pool,
        events,
        taskList: taskList(options, announce),
        noHandleSignals: true,
        logger: quietLogger(options.log.with({ pool: options.name })),
        preset: {
          worker: {
            schema: SCHEMA,
            concurrentJobs: options.concurrency,
            maxPoolSize: 4,
            pollInterval: 1_000,
            localQueue: { size: Math.max(16, options.concurrency), ttl: 10_000, refetchDelay: { durationMs: 10 } },
            completeJobBatchDelay: 5,
            failJobBatchDelay: 5,
            gracefulShutdownAbortTimeout: 4_500,
          },
        },
      });
      state.runner = runner;
      state.poolId = poolId;
      if (state.stopping) void runner.stop().catch(() => {});
      await announce();
      await Promise.race([runner.promise, ending.promise]);
    } finally {
      state.runner = null;
      state.poolId = null;
      if (poolId !== null) await options.onStopped(poolId).catch(() => {});
      await Promise.race([pool.end().catch(() => {}), Bun.sleep(500)]);
    }
    if (!state.stopping) throw new Error("the queue's pool shut down by itself");
  }

  return {
    poolId: () => state.poolId,
    renew: () => void state.runner?.stop().catch(() => {}),
    async stop() {
      state.stopping = true;
      stopped.abort();
      void state.runner?.stop().catch((error) => {
        options.log.warn("worker pool did not stop cleanly", { pool: options.name, problem: messageOf(error) });
      });
      await supervised;
    },
  };
}

function taskList(options: PoolOptions, announce: () => Promise<void> | null): TaskList {
  return Object.fromEntries(
    Object.entries(options.tasks).map(([name, task]) => [
      name,
      async (payload: unknown, helpers: { abortSignal: AbortSignal }) => {
        await announce();
        await task(payload, helpers.abortSignal);
      },
    ]),
  );
}

/** Without these handlers a dropped idle connection would end the process. */
function openPgPool(options: PoolOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: connectionString(options.target),
    max: 4,
    application_name: `deltahook-${options.name}`,
  });
  const onError = (error: Error) =>
    options.log.debug("queue connection lost", { pool: options.name, problem: error.message });
  pool.on("error", onError);
  pool.on("connect", (client) => client.on("error", onError));
  return pool;
}

/** graphile-worker's own lines, at our levels; each finished job is no news. */
function quietLogger(log: Log): Logger {
  return new Logger(() => (level, message) => {
    if (level === "error") log.warn(`queue: ${message}`);
    else if (level === "warning") log.debug(`queue: ${message}`);
  });
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
