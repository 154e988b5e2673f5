import type { Clock } from "./clock.ts";
import type { ConnectionTarget, Database } from "./database.ts";
import type { Log } from "./log.ts";
import { joinNodes, type Membership } from "./nodes.ts";
import { type QueueTask, startPool, type WorkerPool } from "./queue.ts";

export type PoolPlan = { name: string; tasks: Record<string, QueueTask>; concurrency: number };

export type Pools = {
  /** Whether every pool holds an id under which it works. */
  running(): boolean;
  stop(): Promise<void>;
};

/** This node's place among all nodes, before and while its pools run. */
export type Node = {
  share(cap: number): number;
  startPools(plans: readonly PoolPlan[]): Pools;
  leave(): Promise<void>;
};

/**
 * Makes this process a node: its pools beat, dead nodes' jobs are freed, and a node that was taken for dead goes on
 * under new ids.
 */
export function createNode(deps: {
  database: Database;
  target: ConnectionTarget;
  clock: Clock;
  log: Log;
  nodeId: string;
  alone: boolean;
}): Node {
  const pools = new Map<string, WorkerPool>();
  const membership: Membership = joinNodes({
    ...deps,
    sql: deps.database.sql,
    onGivenUp(poolIds) {
      for (const pool of pools.values()) if (poolIds.includes(pool.poolId() ?? "")) pool.renew();
    },
  });

  return {
    share: (cap) => membership.share(cap),
    startPools(plans) {
      for (const plan of plans) {
        pools.set(
          plan.name,
          startPool({
            ...plan,
            target: deps.target,
            log: deps.log,
            onStarted: (poolId) => membership.join(poolId, plan.name),
            onStopped: (poolId) => membership.leave(poolId),
          }),
        );
      }
      return {
        running: () => [...pools.values()].every((pool) => pool.poolId() !== null),
        async stop() {
          await Promise.all([...pools.values()].map((pool) => pool.stop()));
        },
      };
    },
    leave: () => membership.stop(),
  };
}
