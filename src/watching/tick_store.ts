import type { Sql } from "../platform/database.ts";

/** Watches a job: a job costs more than a poll, so that they travel together (64 measured best). */
export const CHUNK = 64;

export type Claim = {
  /** Due watches of ordinary speed, and of the slow lane, that are taken at most. */
  limit: number;
  slowLimit: number;
  /** How long a claimed watch is not claimed again, should its poll get lost. */
  leaseMs: number;
};

export type Claimed = { watches: number; slow: number; nextDueInMs: number | null };

/**
 * Takes what is due, moves each to its next slot (the first after now, so once after a downtime) and enqueues the polls:
 * one statement, so that no watch can be claimed without a job. Answers also when the next one comes due.
 *
 * The slot is that of an equal interval. Other schedules have no phase: their polls set the next time themselves, and
 * until then they would come due again when the claim ends.
 */
export async function claimDue(sql: Sql, { limit, slowLimit, leaseMs }: Claim): Promise<Claimed> {
  const [row] = await sql<{ watches: number; slow: number; next_ms: number | null }[]>`
    with
    moment as materialized (
      select (extract(epoch from now()) * 1000)::bigint as ms, now() + ${leaseMs}::float8 * interval '1 millisecond' as lease_ends
    ),
    fast as materialized (
      select watch_id, next_poll_at, interval_ms, phase_ms from deltahook.watch_schedule
      where next_poll_at <= now() and (busy_until is null or busy_until <= now()) and not slow
      order by next_poll_at limit ${limit}
      for update skip locked
    ),
    slow as materialized (
      select watch_id, next_poll_at, interval_ms, phase_ms from deltahook.watch_schedule
      where next_poll_at <= now() and (busy_until is null or busy_until <= now()) and slow
      order by next_poll_at limit ${slowLimit}
      for update skip locked
    ),
    numbered as (
      select *, 'poll' as task, (row_number() over (order by next_poll_at) - 1) / ${CHUNK}::int as chunk from fast
      union all
      select *, 'poll_slow', row_number() over (order by next_poll_at) from slow
    ),
    chunks as materialized (
      select task, chunk, deltahook.uuid7() as job from numbered group by task, chunk
    ),
    claimed as (
      update deltahook.watch_schedule schedule
      set due_at = numbered.next_poll_at,
          next_poll_at = coalesce(to_timestamp((moment.ms + numbered.interval_ms
            - mod(moment.ms - numbered.phase_ms, numbered.interval_ms)) / 1000.0), moment.lease_ends),
          busy_until = moment.lease_ends,
          job = chunks.job
      from numbered join chunks using (task, chunk), moment
      where schedule.watch_id = numbered.watch_id
      returning schedule.watch_id, chunks.task, chunks.job, schedule.next_poll_at
    ),
    jobs as (
      select task, job, json_build_object('job', job, 'watches', json_agg(watch_id)) as payload
      from claimed group by task, job
    ),
    enqueued as (
      select deltahook.enqueue(task, array_agg(job::text), array_agg(payload)) from jobs group by task
    )
    select
      (select count(*) from enqueued) as tasks,
      (select count(*) from fast) as watches,
      (select count(*) from slow) as slow,
      (extract(epoch from least(
        (select min(next_poll_at) from claimed),
        (select min(next_poll_at) from deltahook.watch_schedule where next_poll_at > now())
      ) - clock_timestamp()) * 1000)::float8 as next_ms`;
  return { watches: row?.watches ?? 0, slow: row?.slow ?? 0, nextDueInMs: row?.next_ms ?? null };
}
