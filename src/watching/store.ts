import type { SqlRunner } from "../platform/database.ts";
import { arrayOf } from "./array.ts";

/** A claimed watch as its poll needs it. Times are milliseconds since 1970 on the database's clock. */
export type Due = {
  id: string;
  name: string;
  revision: number;
  /** The stored definition's text; null where the caller has this revision. */
  definition: string | null;
  secretId: string | null;
  secretRevision: number | null;
  dueAt: number;
  /** The next slot; null while the watch is paused. */
  nextPollAt: number | null;
  intervalMs: number;
  /** The end of the claim: nobody else polls this watch before. */
  busyUntil: number;
  slow: boolean;
  pace: string | null;
  stateVersion: number;
  /** All rows as one JSON object; null where the caller has this version, or where there is none. */
  state: string | null;
  etag: string | null;
  lastModified: string | null;
  fullPollAt: number | null;
  failures: number;
  failing: boolean;
  authFailed: boolean;
  held: boolean;
  /** The last poll named a problem though it did not fail as a whole. */
  troubled: boolean;
};

/** What a caller has in memory already; -1: nothing. */
export type Known = { id: string; revision: number; stateVersion: number };

/** The watches of a job that are still its own: one that was claimed again since, or paused, belongs to another. */
export async function loadDue(sql: SqlRunner, job: string, known: readonly Known[]): Promise<Due[]> {
  return sql<Due[]>`
    select
      watch.id, watch.name, watch.revision, watch.secret_id as "secretId", secret.revision as "secretRevision",
      case when watch.revision <> known.revision then watch.definition::text end as definition,
      (extract(epoch from schedule.due_at) * 1000)::float8 as "dueAt",
      (extract(epoch from schedule.next_poll_at) * 1000)::float8 as "nextPollAt",
      schedule.interval_ms as "intervalMs",
      (extract(epoch from schedule.busy_until) * 1000)::float8 as "busyUntil",
      schedule.slow, schedule.pace::text as pace,
      status.state_version as "stateVersion",
      case when status.state_version <> known.state_version then (
        select json_object_agg(key, value order by place)::text from deltahook.watch_state where watch_id = watch.id
      ) end as state,
      status.etag, status.last_modified as "lastModified",
      (extract(epoch from status.full_poll_at) * 1000)::float8 as "fullPollAt",
      status.failures, status.failing, status.auth_failed as "authFailed", status.held is not null as held,
      status.problem is not null as troubled
    from unnest(
      ${arrayOf(known, (each) => each.id)}::uuid[], ${arrayOf(known, (each) => each.revision)}::int[],
      ${arrayOf(known, (each) => each.stateVersion)}::bigint[]
    ) as known(id, revision, state_version)
    join deltahook.watch_schedule schedule on schedule.watch_id = known.id
    join deltahook.watches watch on watch.id = known.id
    join deltahook.watch_status status on status.watch_id = known.id
    left join deltahook.secrets secret on secret.id = watch.secret_id
    where schedule.job = ${job} and schedule.busy_until is not null`;
}

/** The rows of one watch, if they are still of that version. */
export async function loadState(
  sql: SqlRunner,
  id: string,
  stateVersion: number,
): Promise<{ state: string | null } | null> {
  const [row] = await sql<{ state: string | null }[]>`
    select (select json_object_agg(key, value order by place)::text from deltahook.watch_state where watch_id = status.watch_id) as state
    from deltahook.watch_status status where watch_id = ${id} and state_version = ${stateVersion}`;
  return row ?? null;
}

/**
 * Takes one watch for a poll at once, outside the tick.
 * @returns null when it does not exist, `busy` while a poll is in flight.
 */
export async function claimNow(
  sql: SqlRunner,
  claim: { id: string; job: string; leaseMs: number },
): Promise<"claimed" | "busy" | null> {
  // A poll that found no change leaves its claim standing until it ends by itself; that it is over shows in the log.
  const [row] = await sql<{ claimed: boolean }[]>`
    with found as (
      select watch_id,
        busy_until is null or busy_until <= now()
        or exists (select from deltahook.polls_unchanged poll where poll.watch_id = schedule.watch_id and poll.id > schedule.job)
        or exists (select from deltahook.polls poll where poll.watch_id = schedule.watch_id and poll.id > schedule.job) as free
      from deltahook.watch_schedule schedule where watch_id = ${claim.id}
      for update
    ),
    taken as (
      update deltahook.watch_schedule schedule
      set due_at = now(), busy_until = now() + ${claim.leaseMs}::float8 * interval '1 millisecond', job = ${claim.job}
      from found where schedule.watch_id = found.watch_id and found.free
      returning 1
    )
    select exists (select from taken) as claimed from found`;
  if (!row) return null;
  return row.claimed ? "claimed" : "busy";
}

/** How a poll leaves the schedule of its watch. */
export type Settled = {
  watchId: string;
  job: string;
  /** Null leaves the slot that the tick has chosen. */
  nextPollAt: number | null;
  slow: boolean;
  pace: string | null;
};

/** Ends claims, as far as they are still those of the jobs named. A paused watch stays paused. */
export async function settle(sql: SqlRunner, settled: readonly Settled[]): Promise<void> {
  await sql`
    update deltahook.watch_schedule schedule
    set busy_until = null, slow = done.slow, pace = coalesce(done.pace::json, schedule.pace),
        next_poll_at = case when schedule.next_poll_at is not null
                            then coalesce(to_timestamp(done.next_ms / 1000), schedule.next_poll_at) end
    from unnest(
      ${arrayOf(settled, (each) => each.watchId)}::uuid[], ${arrayOf(settled, (each) => each.job)}::uuid[],
      ${arrayOf(settled, (each) => each.nextPollAt)}::float8[], ${arrayOf(settled, (each) => each.slow)}::boolean[],
      ${settled.map((each) => each.pace)}::text[]
    ) as done(watch_id, job, next_ms, slow, pace)
    where schedule.watch_id = done.watch_id and schedule.job = done.job`;
}

/** A poll that found what was known. */
export type Unchanged = {
  id: string;
  watchId: string;
  nextPollAt: number | null;
  ms: number;
  lagMs: number;
  bytes: number;
  status: number | null;
  outcome: "unchanged" | "not_modified";
};

export async function insertUnchanged(sql: SqlRunner, polls: readonly Unchanged[]): Promise<void> {
  await sql`
    insert into deltahook.polls_unchanged (id, watch_id, next_poll_at, ms, lag_ms, bytes, status, outcome)
    select id, watch_id, to_timestamp(next_ms / 1000), ms, lag_ms, bytes, status, outcome
    from unnest(
      ${arrayOf(polls, (poll) => poll.id)}::uuid[], ${arrayOf(polls, (poll) => poll.watchId)}::uuid[],
      ${arrayOf(polls, (poll) => poll.nextPollAt)}::float8[], ${arrayOf(polls, (poll) => poll.ms)}::int[],
      ${arrayOf(polls, (poll) => poll.lagMs)}::int[], ${arrayOf(polls, (poll) => poll.bytes)}::int[],
      ${arrayOf(polls, (poll) => poll.status)}::smallint[], ${arrayOf(polls, (poll) => poll.outcome)}::text[]
    ) as poll(id, watch_id, next_ms, ms, lag_ms, bytes, status, outcome)`;
}

/** What a source gave to ask with next time. */
export type Validators = {
  watchId: string;
  stateVersion: number;
  etag: string | null;
  lastModified: string | null;
  fullPollAt: number;
};

/** Only for the state that the reply was judged against. */
export async function saveValidators(sql: SqlRunner, validators: readonly Validators[]): Promise<void> {
  await sql`
    update deltahook.watch_status status
    set etag = learned.etag, last_modified = learned.last_modified, full_poll_at = to_timestamp(learned.full_ms / 1000)
    from unnest(
      ${validators.map((each) => each.watchId)}::uuid[], ${validators.map((each) => each.stateVersion)}::bigint[],
      ${validators.map((each) => each.etag)}::text[], ${validators.map((each) => each.lastModified)}::text[],
      ${validators.map((each) => each.fullPollAt)}::float8[]
    ) as learned(watch_id, state_version, etag, last_modified, full_ms)
    where status.watch_id = learned.watch_id and status.state_version = learned.state_version`;
}
