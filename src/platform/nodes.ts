import type { Clock } from "./clock.ts";
import type { Sql } from "./database.ts";
import type { Log } from "./log.ts";
import { repeat } from "./repeat.ts";
import { VERSION } from "./version.ts";

export const BEAT_MS = 5_000;
/** A pool without a beat for this long is given up; so is a judge's right to judge after a gap of its own. */
const DEAD_AFTER_MS = 20_000;

/** This process among the others: its pools beat, and it frees what dead pools hold. */
export type Membership = {
  /** A pool begins to work under this id. */
  join(poolId: string, pool: string): Promise<void>;
  leave(poolId: string): Promise<void>;
  /** This node's part of a cap that all live worker nodes share: floor(cap/n), one more for the first cap mod n. */
  share(cap: number): number;
  stop(): Promise<void>;
};

/**
 * Keeps the beat of this node's worker pools on the database's clock. graphile-worker itself would wait four hours for
 * a dead worker's jobs.
 *
 * @param alone nobody else can be on this database (the embedded one): whoever else is listed is dead
 * @param onGivenUp the others took this node for dead: its pools must go on under new ids
 */
export function joinNodes(deps: {
  sql: Sql;
  clock: Clock;
  log: Log;
  nodeId: string;
  alone: boolean;
  onGivenUp(poolIds: string[]): void;
}): Membership {
  const { sql, nodeId } = deps;
  const mine = new Map<string, string>();
  /** Ended pools whose jobs are still to be freed: Postgres may be away at that moment, and often is the cause. */
  const ended = new Set<string>();
  const place = { index: 0, of: 1 };
  let unbrokenSince: number | null = null;
  let lastBeatAt = 0;

  const beats = repeat({
    name: "beat",
    everyMs: BEAT_MS,
    log: deps.log,
    async work() {
      const now = performance.now();
      if (unbrokenSince === null || now - lastBeatAt > DEAD_AFTER_MS / 2) unbrokenSince = now;
      await freeEnded();
      await beat();
      lastBeatAt = performance.now();
      await deps.clock.synchronise(sql);
      await findPlace();
      if (deps.alone || lastBeatAt - unbrokenSince >= DEAD_AFTER_MS) await freeDead();
      return undefined;
    },
  });

  async function beat(): Promise<void> {
    const ids = [...mine.keys()];
    if (ids.length === 0) return;
    const alive = await sql<{ pool_id: string }[]>`
      update deltahook.nodes set beat_at = now()
      where pool_id = any(${ids}::text[]) and beat_at > now() - make_interval(secs => ${DEAD_AFTER_MS / 1000})
      returning pool_id`;
    const kept = new Set(alive.map((row) => row.pool_id));
    const lost = ids.filter((id) => !kept.has(id) && mine.has(id));
    if (lost.length === 0) return;
    deps.log.warn("this node was taken for dead; its worker pools start again", { pools: lost.length });
    for (const id of lost) mine.delete(id);
    deps.onGivenUp(lost);
  }

  async function freeEnded(): Promise<void> {
    for (const poolId of ended) {
      await sql`delete from deltahook.nodes where pool_id = ${poolId}`;
      await sql`select deltahook.free_pool(${poolId})`;
      ended.delete(poolId);
    }
  }

  async function findPlace(): Promise<void> {
    const [row] = await sql<{ index: number; of: number }[]>`
      with live as (
        select distinct node_id from deltahook.nodes
        where pool = 'deliver' and beat_at > now() - make_interval(secs => ${DEAD_AFTER_MS / 1000})
      )
      select (select count(*) from live where node_id < ${nodeId})::int as index,
             greatest(1, (select count(*) from live))::int as of`;
    if (row) Object.assign(place, row);
  }

  async function freeDead(): Promise<void> {
    if (deps.alone) await sql`delete from deltahook.nodes where node_id <> ${nodeId}`;
    const [row] = await sql<{ dead: string[] }[]>`
      select deltahook.free_dead_locks(make_interval(secs => ${DEAD_AFTER_MS / 1000})) as dead`;
    if (row && row.dead.length > 0) deps.log.warn("jobs of dead worker pools were freed", { pools: row.dead.length });
    await sql`delete from deltahook.nodes where beat_at < now() - interval '1 day'`;
  }

  return {
    async join(poolId, pool) {
      await sql`
        insert into deltahook.nodes (pool_id, node_id, pool, version) values (${poolId}, ${nodeId}, ${pool}, ${VERSION})
        on conflict (pool_id) do update set beat_at = now()`;
      mine.set(poolId, pool);
      await findPlace();
    },
    async leave(poolId) {
      mine.delete(poolId);
      ended.add(poolId);
      await freeEnded();
    },
    share(cap) {
      return Math.floor(cap / place.of) + (place.index < cap % place.of ? 1 : 0);
    },
    async stop() {
      await beats.stop();
    },
  };
}
