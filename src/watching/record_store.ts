import type { SqlRunner } from "../platform/database.ts";
import { arrayOf } from "./array.ts";
import type { Finding } from "./finding.ts";
import { writeRow } from "./state_text.ts";

/** A watch's status row, locked until the commit. Times are milliseconds since 1970. */
export type LockedStatus = { watchId: string; stateVersion: number; sequence: number; lastSuccessAt: number | null };

/** Locks in id order, so that two batches cannot wait for each other. A watch that is gone is left out. */
export async function lockStatus(sql: SqlRunner, watchIds: readonly string[]): Promise<Map<string, LockedStatus>> {
  const rows = await sql<LockedStatus[]>`
    select watch_id as "watchId", state_version as "stateVersion", sequence,
      (extract(epoch from last_success_at) * 1000)::float8 as "lastSuccessAt"
    from deltahook.watch_status where watch_id = any(${[...watchIds].sort()}::uuid[])
    order by watch_id for update`;
  return new Map(rows.map((row) => [row.watchId, row]));
}

/** The last poll of each watch that found no change, by id; only those after `since` (milliseconds) are looked for. */
export async function lastUnchanged(
  sql: SqlRunner,
  wanted: readonly { watchId: string; since: number; before: string }[],
): Promise<Map<string, string>> {
  const rows = await sql<{ watchId: string; pollId: string }[]>`
    select wanted.watch_id as "watchId", poll.id as "pollId"
    from unnest(
      ${wanted.map((each) => each.watchId)}::uuid[], ${wanted.map((each) => each.since)}::float8[],
      ${wanted.map((each) => each.before)}::uuid[]
    ) as wanted(watch_id, since, before)
    cross join lateral (
      select id from deltahook.polls_unchanged
      where watch_id = wanted.watch_id and id < wanted.before
        and id >= deltahook.uuid7_floor(to_timestamp(wanted.since / 1000))
      order by id desc limit 1
    ) poll`;
  return new Map(rows.map((row) => [row.watchId, row.pollId]));
}

/** State, log, status and schedule of findings whose events are stated in the same transaction: one statement. */
export async function writeFindings(
  sql: SqlRunner,
  findings: readonly (Finding & { sequence: number })[],
): Promise<void> {
  const upserts = findings.flatMap(({ watch, state }) => state.upserts.map((row) => ({ id: watch.id, row })));
  const deletes = findings.flatMap(({ watch, state }) => state.deletes.map((key) => ({ id: watch.id, key })));
  const of = <T>(value: (finding: Finding & { sequence: number }) => T): T[] => findings.map(value);
  await sql`
    with
    known as (
      insert into deltahook.watch_state (watch_id, key, value)
      select watch_id, key, value::json
      from unnest(${upserts.map(({ id }) => id)}::uuid[], ${upserts.map(({ row }) => row.key)}::text[],
                  ${upserts.map(({ row }) => writeRow(row))}::text[]) as row(watch_id, key, value)
      on conflict (watch_id, key) do update set value = excluded.value
    ),
    forgotten as (
      delete from deltahook.watch_state state
      using unnest(${deletes.map(({ id }) => id)}::uuid[], ${deletes.map(({ key }) => key)}::text[]) as row(watch_id, key)
      where state.watch_id = row.watch_id and state.key = row.key
    ),
    finding as (
      select *, to_timestamp(next_ms / 1000) as next_poll_at
      from unnest(
        ${of(({ poll }) => poll.id)}::uuid[], ${of(({ watch }) => watch.id)}::uuid[], ${of(({ job }) => job)}::uuid[],
        ${of(({ nextPollAt }) => nextPollAt)}::float8[], ${of(({ poll }) => Math.round(poll.ms))}::int[],
        ${of(({ poll }) => Math.round(poll.lagMs))}::int[], ${of(({ poll }) => poll.bytes)}::int[],
        ${of(({ poll }) => poll.status)}::smallint[], ${of(({ changes }) => changes)}::int[],
        ${of(({ outcome }) => outcome)}::text[], ${of(({ problem }) => problem)}::text[], ${of(({ note }) => note)}::text[],
        ${of(({ sequence }) => sequence)}::bigint[], ${of(({ poll }) => poll.startedAt)}::float8[],
        ${of(({ status }) => status.failures)}::int[], ${arrayOf(findings, ({ status }) => status.failing)}::boolean[],
        ${arrayOf(findings, ({ status }) => status.authFailed)}::boolean[], ${of(({ status }) => status.held)}::text[],
        ${arrayOf(findings, ({ slow }) => slow)}::boolean[], ${of(({ pace }) => pace)}::text[]
      ) as finding(id, watch_id, job, next_ms, ms, lag_ms, bytes, status, changes, outcome, problem, note, sequence,
                   started_ms, failures, failing, auth_failed, held, slow, pace)
    ),
    quiet as (
      insert into deltahook.polls_unchanged (id, watch_id, next_poll_at, ms, lag_ms, bytes, status, outcome, problem, note)
      select id, watch_id, next_poll_at, ms, lag_ms, bytes, status, outcome, problem, note
      from finding where outcome = 'unchanged'
    ),
    logged as (
      insert into deltahook.polls (id, watch_id, next_poll_at, ms, lag_ms, bytes, status, changes, outcome, problem, note)
      select id, watch_id, next_poll_at, ms, lag_ms, bytes, status, changes, outcome, problem, note
      from finding where outcome <> 'unchanged'
    ),
    learned as (
      update deltahook.watch_status status
      set state_version = status.state_version + 1, sequence = finding.sequence, failures = finding.failures,
          failing = finding.failing, auth_failed = finding.auth_failed, problem = finding.problem,
          held = case when finding.held = 'keep' then status.held else finding.held::json end,
          last_success_at = case when finding.outcome in ('failed', 'held') then status.last_success_at
                                 else to_timestamp(finding.started_ms / 1000) end,
          -- The next poll is a full one: only a reply that changed nothing may be asked for by its validators.
          etag = case when finding.outcome = 'failed' then status.etag end,
          last_modified = case when finding.outcome = 'failed' then status.last_modified end
      from finding where status.watch_id = finding.watch_id
    )
    update deltahook.watch_schedule schedule
    set busy_until = null, slow = finding.slow, pace = coalesce(finding.pace::json, schedule.pace),
        next_poll_at = case when schedule.next_poll_at is not null
                            then coalesce(finding.next_poll_at, schedule.next_poll_at) end
    from finding where schedule.watch_id = finding.watch_id and schedule.job = finding.job`;
}
