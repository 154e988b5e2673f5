import type { SqlRunner } from "../platform/database.ts";

/** What is owed and not yet under way. A count that reaches {@link COUNTED_TO} means at least that many. */
export type QueueDepth = {
  /** Jobs that are due; a job may hold several first tries. */
  jobs: number;
  /** Deliveries whose next try waits for its time, and those that their endpoint cannot take now. */
  waiting: number;
  parked: number;
  /** How long the longest-waiting due job has been due, in milliseconds; 0 for an empty queue. */
  oldestMs: number;
};

export const COUNTED_TO = 10_000;

/** Reads no more than the first {@link COUNTED_TO} entries of each partial index, whatever the backlog. */
export async function readQueueDepth(sql: SqlRunner): Promise<QueueDepth> {
  const [row] = await sql<QueueDepth[]>`
    select
      (select count(*) from (
        select from deltahook_queue.jobs where run_at <= now() limit ${COUNTED_TO}) as jobs) as jobs,
      (select count(*) from (
        select from deltahook.deliveries
        where state = 'pending' and not parked and job is null limit ${COUNTED_TO}) as waiting) as waiting,
      (select count(*) from (
        select from deltahook.deliveries where parked limit ${COUNTED_TO}) as parked) as parked,
      coalesce((
        select extract(epoch from now() - run_at) * 1000 from deltahook_queue.jobs
        where run_at <= now() and locked_at is null order by priority, run_at limit 1), 0)::float8 as "oldestMs"`;
  return row ?? { jobs: 0, waiting: 0, parked: 0, oldestMs: 0 };
}
