import type { SqlRunner } from "../platform/database.ts";

/** A watch with what is known of it. Times are RFC 3339 or null. */
export type WatchRow = {
  id: string;
  name: string;
  definition: string;
  secretId: string | null;
  revision: number;
  pausedAt: Date | null;
  createdAt: Date;
  updatedAt: Date;
  nextPollAt: Date | null;
  failures: number;
  failing: boolean;
  problem: string | null;
  held: string | null;
  lastPoll: PollRow | null;
};

export type PollRow = {
  id: string;
  outcome: string;
  status: number | null;
  bytes: number;
  ms: number;
  changes: number;
  problem: string | null;
  note: string | null;
  nextPollAt: Date | string | null;
};

export type NewWatch = {
  id: string;
  name: string;
  definition: string;
  host: string;
  secretId: string | null;
  intervalMs: number;
  phaseMs: number | null;
};

export type WatchFilter = { name?: string | undefined; host?: string | undefined; paused?: boolean | undefined };

/** Watches, their schedule (due now: the first poll takes the reference) and their status: all or none. */
export async function insertWatches(sql: SqlRunner, watches: readonly NewWatch[]): Promise<void> {
  const of = <T>(value: (watch: NewWatch) => T): T[] => watches.map(value);
  await sql`
    with
    given as (
      select * from unnest(
        ${of(({ id }) => id)}::uuid[], ${of(({ name }) => name)}::text[], ${of(({ definition }) => definition)}::text[],
        ${of(({ host }) => host)}::text[], ${of(({ secretId }) => secretId)}::uuid[],
        ${of(({ intervalMs }) => intervalMs)}::bigint[], ${of(({ phaseMs }) => phaseMs)}::bigint[]
      ) as given(id, name, definition, host, secret_id, interval_ms, phase_ms)
    ),
    watches as (
      insert into deltahook.watches (id, name, definition, host, secret_id)
      select id, name, definition::json, host, secret_id from given
    ),
    statuses as (
      insert into deltahook.watch_status (watch_id) select id from given
    )
    insert into deltahook.watch_schedule (watch_id, next_poll_at, interval_ms, phase_ms)
    select id, now(), interval_ms, phase_ms from given`;
}

/** Only if nobody changed it since `revision`. What was polled for the earlier one no longer counts. */
export async function updateWatch(
  sql: SqlRunner,
  watch: NewWatch & { revision: number; fieldKeys: string[]; hasItems: boolean; keepBodies: number },
): Promise<boolean> {
  const rows = await sql`
    with
    changed as (
      update deltahook.watches
      set name = ${watch.name}, definition = ${watch.definition}::text::json, host = ${watch.host},
          secret_id = ${watch.secretId}, revision = revision + 1, updated_at = now()
      where id = ${watch.id} and revision = ${watch.revision}
      returning id, paused_at
    ),
    status as (
      update deltahook.watch_status
      set state_version = state_version + 1, etag = null, last_modified = null, full_poll_at = null, held = null
      from changed where watch_id = changed.id
    ),
    schedule as (
      update deltahook.watch_schedule
      set interval_ms = ${watch.intervalMs}, phase_ms = ${watch.phaseMs}, job = null, busy_until = null, pace = null,
          next_poll_at = case when changed.paused_at is null then now() end
      from changed where watch_id = changed.id
    ),
    bodies as (
      delete from deltahook.watch_bodies body using changed
      where body.watch_id = changed.id and body.id not in (
        select id from deltahook.watch_bodies kept where kept.watch_id = changed.id order by id desc limit ${watch.keepBodies}
      )
    ),
    forgotten as (
      delete from deltahook.watch_state state using changed
      where state.watch_id = changed.id
        and case when state.key like 'f:%' then not state.key = any(${watch.fieldKeys}::text[]) else not ${watch.hasItems}::boolean end
    )
    select from changed`;
  return rows.count === 1;
}

/** Taken first by whoever changes a watch, as by whoever records its polls: else each could wait for the other. */
export async function lockWatch(sql: SqlRunner, id: string): Promise<void> {
  await sql`select from deltahook.watch_status where watch_id = ${id} for update`;
}

export async function deleteWatch(sql: SqlRunner, id: string): Promise<boolean> {
  const rows = await sql`delete from deltahook.watches where id = ${id}`;
  return rows.count === 1;
}

/** A poll in flight is not recorded any more. */
export async function pauseWatch(sql: SqlRunner, id: string): Promise<boolean> {
  const rows = await sql`
    with
    paused as (
      update deltahook.watches set paused_at = coalesce(paused_at, now()) where id = ${id} returning id
    ),
    status as (
      update deltahook.watch_status set state_version = state_version + 1 from paused where watch_id = paused.id
    ),
    schedule as (
      update deltahook.watch_schedule set next_poll_at = null, job = null, busy_until = null
      from paused where watch_id = paused.id
    )
    select from paused`;
  return rows.count === 1;
}

/** Polls at once. One that was not paused goes on as it was. */
export async function resumeWatch(sql: SqlRunner, id: string): Promise<boolean> {
  const rows = await sql`
    with
    before as (select id, paused_at from deltahook.watches where id = ${id} for update),
    resumed as (
      update deltahook.watches watch set paused_at = null from before where watch.id = before.id and before.paused_at is not null
    ),
    schedule as (
      update deltahook.watch_schedule set next_poll_at = now() from before where watch_id = before.id and before.paused_at is not null
    )
    select from before`;
  return rows.count === 1;
}

export async function findWatch(sql: SqlRunner, id: string): Promise<WatchRow | undefined> {
  const [row] = await sql<WatchRow[]>`${rowsWhere(sql)} where watch.id = ${id}`;
  return row;
}

export async function findWatches(sql: SqlRunner, ids: readonly string[]): Promise<WatchRow[]> {
  return sql<WatchRow[]>`${rowsWhere(sql)} where watch.id = any(${[...ids]}::uuid[])`;
}

/** Newest first. `name` matches anywhere, whatever the case. */
export async function listWatches(
  sql: SqlRunner,
  { filter, cursor, limit }: { filter: WatchFilter; cursor: string | null; limit: number },
): Promise<WatchRow[]> {
  const { name, host, paused } = filter;
  const pattern = `%${name?.replace(/[\\%_]/g, "\\$&")}%`;
  return sql<WatchRow[]>`
    ${rowsWhere(sql)}
    where watch.id in (
      select id from deltahook.watches
      where true
        ${cursor === null ? sql`` : sql`and id < ${cursor}`}
        ${name === undefined ? sql`` : sql`and name ilike ${pattern}`}
        ${host === undefined ? sql`` : sql`and host = ${host}`}
        ${paused === undefined ? sql`` : paused ? sql`and paused_at is not null` : sql`and paused_at is null`}
      order by id desc limit ${limit})
    order by watch.id desc`;
}

/** Both logs as one, newest first. */
export async function listPolls(
  sql: SqlRunner,
  { watchId, cursor, limit }: { watchId: string; cursor: string | null; limit: number },
): Promise<PollRow[]> {
  return sql<PollRow[]>`
    select id, outcome, status, bytes, ms, changes, problem, note, next_poll_at as "nextPollAt"
    from (
      (select id, outcome, status, bytes, ms, 0 as changes, problem, note, next_poll_at from deltahook.polls_unchanged
       where watch_id = ${watchId} and (${cursor}::uuid is null or id < ${cursor}::uuid) order by id desc limit ${limit})
      union all
      (select id, outcome, status, bytes, ms, changes, problem, note, next_poll_at from deltahook.polls
       where watch_id = ${watchId} and (${cursor}::uuid is null or id < ${cursor}::uuid) order by id desc limit ${limit})
    ) as poll
    order by id desc limit ${limit}`;
}

/** The rows whose key begins so, in the order in which they came; their values as JSON text. */
export async function listState(
  sql: SqlRunner,
  { watchId, prefix, limit }: { watchId: string; prefix: "f:" | "i:"; limit: number },
): Promise<{ key: string; value: string }[]> {
  return sql<{ key: string; value: string }[]>`
    select key, value::text as value from deltahook.watch_state
    where watch_id = ${watchId} and starts_with(key, ${prefix}) order by place limit ${limit}`;
}

export async function countItems(sql: SqlRunner, watchId: string): Promise<number> {
  const [row] = await sql<{ items: number }[]>`
    select count(*) as items from deltahook.watch_state where watch_id = ${watchId} and starts_with(key, 'i:')`;
  return row?.items ?? 0;
}

/** Of these ids the ones that exist. */
export async function existing(
  sql: SqlRunner,
  table: "secrets" | "endpoints",
  ids: readonly string[],
): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const rows = await sql<{ id: string }[]>`
    select id from ${sql(`deltahook.${table}`)} where id = any(${[...ids]}::uuid[])`;
  return new Set(rows.map(({ id }) => id));
}

/** What is held of a watch, its rows locked until the commit. */
export async function lockHeld(
  sql: SqlRunner,
  watchId: string,
): Promise<
  { held: string | null; sequence: number; lastSuccessAt: number | null; definition: string; name: string } | undefined
> {
  const [row] = await sql<
    { held: string | null; sequence: number; lastSuccessAt: number | null; definition: string; name: string }[]
  >`
    select status.held::text as held, status.sequence, watch.name, watch.definition::text as definition,
      (extract(epoch from status.last_success_at) * 1000)::float8 as "lastSuccessAt"
    from deltahook.watch_status status join deltahook.watches watch on watch.id = status.watch_id
    where status.watch_id = ${watchId} for update of status`;
  return row;
}

/** The values of a held poll become the reference. */
export async function applyHeld(
  sql: SqlRunner,
  held: { watchId: string; sequence: number; upserts: { key: string; value: string }[]; deletes: string[] },
): Promise<void> {
  await sql`
    with
    known as (
      insert into deltahook.watch_state (watch_id, key, value)
      select ${held.watchId}, key, value::json
      from unnest(${held.upserts.map(({ key }) => key)}::text[], ${held.upserts.map(({ value }) => value)}::text[]) as row(key, value)
      on conflict (watch_id, key) do update set value = excluded.value
    ),
    forgotten as (
      delete from deltahook.watch_state where watch_id = ${held.watchId} and key = any(${held.deletes}::text[])
    )
    update deltahook.watch_status
    set held = null, problem = null, sequence = ${held.sequence}, state_version = state_version + 1, etag = null, last_modified = null
    where watch_id = ${held.watchId}`;
}

function rowsWhere(sql: SqlRunner) {
  // The last poll is looked for from the one before the last slot on, so that few partitions are read.
  return sql`
    select watch.id, watch.name, watch.definition::text as definition, watch.secret_id as "secretId", watch.revision,
      watch.paused_at as "pausedAt", watch.created_at as "createdAt", watch.updated_at as "updatedAt",
      schedule.next_poll_at as "nextPollAt", status.failures, status.failing, status.problem,
      case when status.held is not null then json_build_object('poll_id', status.held->>'poll_id', 'at', status.held->>'at',
        'changes', status.held->'changes', 'problem', status.held->>'problem')::text end as held,
      last_poll.poll as "lastPoll"
    from deltahook.watches watch
    join deltahook.watch_schedule schedule on schedule.watch_id = watch.id
    join deltahook.watch_status status on status.watch_id = watch.id
    left join lateral (
      select json_build_object('id', id, 'outcome', outcome, 'status', status, 'bytes', bytes, 'ms', ms, 'changes', changes,
        'problem', problem, 'note', note, 'nextPollAt', next_poll_at) as poll
      from (
        (select id, outcome, status, bytes, ms, 0 as changes, problem, note, next_poll_at from deltahook.polls_unchanged
         where watch_id = watch.id and id >= deltahook.uuid7_floor(schedule.due_at - schedule.interval_ms * interval '1 millisecond' - interval '1 hour')
         order by id desc limit 1)
        union all
        (select id, outcome, status, bytes, ms, changes, problem, note, next_poll_at from deltahook.polls
         where watch_id = watch.id and id >= deltahook.uuid7_floor(schedule.due_at - schedule.interval_ms * interval '1 millisecond' - interval '1 hour')
         order by id desc limit 1)
      ) as poll
      order by id desc limit 1
    ) last_poll on true`;
}
