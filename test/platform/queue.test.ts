import { afterEach, describe, expect, test } from "bun:test";
import type { ConnectionTarget, Database } from "../../src/platform/database.ts";
import { silentLog } from "../../src/platform/log.ts";
import { type QueueTask, startPool, type WorkerPool } from "../../src/platform/queue.ts";
import { testDatabase } from "../support/database.ts";

const WAIT_MS = 30_000;
const cleanUps: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function fresh() {
  const at = await testDatabase();
  cleanUps.push(() => at.drop());
  return at;
}

function pool(
  at: { target: ConnectionTarget },
  task: QueueTask,
  hooks: { onStarted?(id: string): Promise<void>; onStopped?(id: string): Promise<void> } = {},
): WorkerPool {
  const started = startPool({
    name: "test",
    tasks: { deliver: task },
    concurrency: 4,
    target: at.target,
    log: silentLog,
    onStarted: hooks.onStarted ?? (async () => {}),
    onStopped: hooks.onStopped ?? (async () => {}),
  });
  cleanUps.push(() => started.stop());
  return started;
}

async function enqueue({ sql }: Database, keys: string[]): Promise<void> {
  await sql`select deltahook.enqueue('deliver', ${keys}::text[], ${keys.map((key) => JSON.stringify({ key }))}::text[]::json[])`;
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const startedAt = performance.now();
  while (!(await holds())) {
    if (performance.now() - startedAt > WAIT_MS) throw new Error("it did not come about in time");
    await Bun.sleep(10);
  }
}

async function jobs({ sql }: Database): Promise<{ jobs: number; locked: number }> {
  const [row] = await sql<{ jobs: number; locked: number }[]>`
    select count(*) as jobs, count(locked_at) as locked from deltahook_queue._private_jobs`;
  return row ?? { jobs: -1, locked: -1 };
}

describe("a worker pool", () => {
  test("runs each job once and leaves neither job nor lock", async () => {
    const at = await fresh();
    const seen: string[] = [];
    await enqueue(at.database, ["a", "b", "c"]);
    const worker = pool(at, async (payload) => void seen.push((payload as { key: string }).key));
    await until(() => seen.length === 3);
    await enqueue(at.database, ["d"]);
    await until(() => seen.length === 4);
    await worker.stop();
    expect(seen.sort()).toEqual(["a", "b", "c", "d"]);
    expect(await jobs(at.database)).toEqual({ jobs: 0, locked: 0 });
  });

  test("is announced before its first task, and given up after its last", async () => {
    const at = await fresh();
    const order: string[] = [];
    await enqueue(at.database, ["a"]);
    const worker = pool(at, async () => void order.push("task"), {
      onStarted: async () => {
        await Bun.sleep(30);
        order.push("started");
      },
      onStopped: async () => void order.push("stopped"),
    });
    await until(() => order.includes("task"));
    await worker.stop();
    expect(order).toEqual(["started", "task", "stopped"]);
  });

  test("keeps a job whose task fails, for a later try", async () => {
    const at = await fresh();
    let tries = 0;
    await enqueue(at.database, ["a"]);
    const worker = pool(at, async () => {
      tries++;
      throw new Error("our own fault");
    });
    await until(() => tries === 1);
    await worker.stop();
    expect(await jobs(at.database)).toEqual({ jobs: 1, locked: 0 });
    const [job] = await at.database
      .sql`select attempts, max_attempts, last_error, run_at > now() as later from deltahook_queue._private_jobs`;
    expect(job).toMatchObject({ attempts: 1, max_attempts: 32_767, last_error: "our own fault", later: true });
  });

  test("stopping waits for the tasks that run, and starts none of those that wait", async () => {
    const at = await fresh();
    const release = Promise.withResolvers<void>();
    let begun = 0;
    let ended = 0;
    await enqueue(
      at.database,
      Array.from({ length: 50 }, (_, i) => `job ${i}`),
    );
    const worker = pool(at, async () => {
      begun++;
      await release.promise;
      ended++;
    });
    await until(() => begun === 4);
    const stopping = worker.stop();
    await Bun.sleep(20);
    release.resolve();
    await stopping;
    expect({ begun, ended }).toEqual({ begun: 4, ended: 4 });
    expect(await jobs(at.database)).toEqual({ jobs: 46, locked: 0 });
  });

  test("goes on by itself when Postgres ends all its connections", async () => {
    const at = await fresh();
    const seen: string[] = [];
    const worker = pool(at, async (payload) => void seen.push((payload as { key: string }).key));
    await enqueue(at.database, ["before"]);
    await until(() => seen.includes("before"));
    await at.database.sql`select pg_terminate_backend(pid) from pg_stat_activity
                          where application_name = 'deltahook-test' and datname = current_database()`;
    await enqueue(at.database, ["after"]);
    await until(() => seen.includes("after"));
    expect(worker.poolId()).not.toBeNull();
  });

  test("that is renewed goes on under a new id", async () => {
    const at = await fresh();
    const ended: string[] = [];
    const seen: string[] = [];
    const worker = pool(at, async (payload) => void seen.push((payload as { key: string }).key), {
      onStopped: async (id) => void ended.push(id),
    });
    await until(() => worker.poolId() !== null);
    const first = worker.poolId() ?? "";
    worker.renew();
    await until(() => worker.poolId() !== null && worker.poolId() !== first);
    expect(ended).toEqual([first]);
    await enqueue(at.database, ["after"]);
    await until(() => seen.includes("after"));
  });
});

test("a job that is enqueued again under its key is still one job", async () => {
  const at = await fresh();
  await enqueue(at.database, ["a", "b"]);
  await enqueue(at.database, ["b"]);
  expect(await jobs(at.database)).toEqual({ jobs: 2, locked: 0 });
});
