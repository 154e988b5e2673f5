import { afterEach, describe, expect, test } from "bun:test";
import { createClock } from "../../src/platform/clock.ts";
import type { ConnectionTarget, Database } from "../../src/platform/database.ts";
import { silentLog } from "../../src/platform/log.ts";
import { joinNodes, type Membership } from "../../src/platform/nodes.ts";
import { createNode, type Node } from "../../src/platform/pools.ts";
import { testDatabase } from "../support/database.ts";

const WAIT_MS = 40_000;
const cleanUps: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function fresh() {
  const at = await testDatabase();
  cleanUps.push(() => at.drop());
  return at;
}

function join(at: { database: Database }, nodeId: string, onGivenUp: (ids: string[]) => void = () => {}): Membership {
  const membership = joinNodes({
    sql: at.database.sql,
    clock: createClock(),
    log: silentLog,
    nodeId,
    alone: false,
    onGivenUp,
  });
  cleanUps.push(() => membership.stop());
  return membership;
}

function node(at: { database: Database; target: ConnectionTarget }, alone: boolean): Node {
  const made = createNode({ ...at, clock: createClock(), log: silentLog, nodeId: crypto.randomUUID(), alone });
  cleanUps.push(() => made.leave());
  return made;
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const startedAt = performance.now();
  while (!(await holds())) {
    if (performance.now() - startedAt > WAIT_MS) throw new Error("it did not come about in time");
    await Bun.sleep(20);
  }
}

/** A job that a pool holds since a minute ago. */
async function lockedJob({ sql }: Database, poolId: string): Promise<string> {
  const key = crypto.randomUUID();
  await sql`select deltahook.enqueue('deliver', ${[key]}::text[], array['{}'::json])`;
  await sql`update deltahook_queue._private_jobs set locked_by = ${poolId}, locked_at = now() - interval '1 minute', attempts = 1
            where key = ${key}`;
  return key;
}

async function isLocked({ sql }: Database, key: string): Promise<boolean> {
  const [job] = await sql`select locked_at from deltahook_queue._private_jobs where key = ${key}`;
  return job !== undefined && job.locked_at !== null;
}

async function beat({ sql }: Database, poolId: string, secondsAgo: number): Promise<void> {
  await sql`insert into deltahook.nodes (pool_id, node_id, pool, version, beat_at)
            values (${poolId}, ${poolId}, 'deliver', '0', now() - make_interval(secs => ${secondsAgo}))`;
}

describe("freeing what dead pools hold", () => {
  test("spares the living, and those just being announced", async () => {
    const at = await fresh();
    await beat(at.database, "living", 10);
    await beat(at.database, "silent", 25);
    const living = await lockedJob(at.database, "living");
    const silent = await lockedJob(at.database, "silent");
    const unknown = await lockedJob(at.database, "unknown");
    const young = await lockedJob(at.database, "young");
    await at.database.sql`update deltahook_queue._private_jobs set locked_at = now() where key = ${young}`;

    const [row] = await at.database.sql<{ dead: string[] }[]>`select deltahook.free_dead_locks('20 seconds') as dead`;
    expect(row?.dead.sort()).toEqual(["silent", "unknown"]);
    expect(await isLocked(at.database, living)).toBe(true);
    expect(await isLocked(at.database, young)).toBe(true);
    expect(await isLocked(at.database, silent)).toBe(false);
    expect(await isLocked(at.database, unknown)).toBe(false);
  });

  test("is done at once by a node that is alone, whatever the dead one's last beat", async () => {
    const at = await fresh();
    await beat(at.database, "killed", 1);
    const key = await lockedJob(at.database, "killed");
    node(at, true);
    await until(async () => !(await isLocked(at.database, key)));
  });

  test("is left alone by a node that has just come", async () => {
    const at = await fresh();
    const key = await lockedJob(at.database, "killed");
    const membership = join(at, "newcomer");
    await membership.join("pool", "deliver");
    await Bun.sleep(100);
    expect(await isLocked(at.database, key)).toBe(true);
  });

  test("lets a job be freed more often than any queue would try it", async () => {
    const at = await fresh();
    const key = await lockedJob(at.database, "x");
    await at.database.sql`update deltahook_queue._private_jobs set attempts = 30 where key = ${key}`;
    await at.database.sql`select deltahook.free_dead_locks('20 seconds')`;
    const [job] = await at.database.sql`select is_available from deltahook_queue._private_jobs where key = ${key}`;
    expect(job?.is_available).toBe(true);
  });
});

describe("a pool's row", () => {
  test("stands from joining to leaving, which frees what it held", async () => {
    const at = await fresh();
    const membership = join(at, "node");
    await membership.join("pool", "deliver");
    const key = await lockedJob(at.database, "pool");
    expect(await at.database.sql`select node_id, pool from deltahook.nodes`).toEqual([
      { node_id: "node", pool: "deliver" },
    ] as never);
    await membership.leave("pool");
    expect(await at.database.sql`select from deltahook.nodes`).toHaveLength(0);
    expect(await isLocked(at.database, key)).toBe(false);
  });

  test("that others took for dead is not revived: its node is told", async () => {
    const at = await fresh();
    const given: string[] = [];
    const membership = join(at, "node", (ids) => void given.push(...ids));
    await membership.join("dead", "deliver");
    await membership.join("fine", "poll");
    await at.database.sql`update deltahook.nodes set beat_at = now() - interval '1 minute' where pool_id = 'dead'`;
    await until(() => given.length > 0);
    expect(given).toEqual(["dead"]);
  });
});

test("a node taken for dead goes on under new ids", async () => {
  const at = await fresh();
  const member = node(at, false);
  const seen: string[] = [];
  const task = async (payload: unknown) => void seen.push((payload as { key: string }).key);
  const pools = member.startPools([{ name: "deliver", tasks: { deliver: task }, concurrency: 4 }]);
  cleanUps.push(() => pools.stop());
  const ids = async () =>
    (await at.database.sql<{ pool_id: string }[]>`select pool_id from deltahook.nodes`).map((row) => row.pool_id);
  await until(async () => pools.running() && (await ids()).length === 1);
  const [first] = await ids();
  await at.database.sql`delete from deltahook.nodes`;
  await until(async () => pools.running() && (await ids()).length === 1);
  expect(await ids()).not.toEqual([first]);
  await at.database.sql`select deltahook.enqueue('deliver', array['k'], array['{"key":"after"}'::json])`;
  await until(() => seen.includes("after"));
});

test("the shares of all nodes add up to the cap, none off by more than one", async () => {
  const at = await fresh();
  const nodes = ["a", "b", "c"].map((id) => join(at, id));
  for (const [i, member] of nodes.entries()) await member.join(`pool ${i}`, "deliver");
  await nodes[1]?.join("pollers do not count", "poll");
  // Each learned its place when it joined; whoever came before learns of the others with a beat, or by joining again.
  for (const [i, member] of nodes.entries()) await member.join(`pool ${i}`, "deliver");
  for (const cap of [1, 2, 3, 7, 32, 100]) {
    const shares = nodes.map((member) => member.share(cap));
    expect(shares.reduce((sum, share) => sum + share, 0)).toBe(cap);
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
  }
});
