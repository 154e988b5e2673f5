import type { Sql, SqlRunner } from "../platform/database.ts";
import type { Verdict } from "./outcome.ts";

/** A delivery that is owed now, with the event to send and how its endpoint stands. */
export type Owed = {
  id: string;
  job: string;
  eventId: string;
  originalId: string | null;
  type: string;
  data: string;
  target: string | null;
  endpointId: string;
  endpointRevision: number;
  attempt: number;
  tries: number;
  seq: number | null;
  /** Paused, held by a Retry-After, or behind a backlog: its endpoint takes nothing now. */
  blocked: boolean;
  probe: boolean;
  /** The endpoint has failures on record: its next success must be written down too. */
  troubled: boolean;
};

/** The deliveries of these jobs that still belong to them; whatever was delivered, moved or cancelled is left out. */
export async function loadOwed(sql: SqlRunner, ids: readonly string[], jobs: readonly string[]): Promise<Owed[]> {
  return sql<Owed[]>`
    select
      delivery.id, delivery.job, delivery.event_id as "eventId", event.original_id as "originalId", event.type,
      event.data::text as data, event.target::text as target, delivery.endpoint_id as "endpointId",
      endpoint.revision as "endpointRevision", delivery.attempt, delivery.tries, delivery.seq, delivery.probe,
      (health.paused_reason is not null or coalesce(health.hold_until > now(), false)) and not delivery.probe as blocked,
      health.failing_since is not null or health.window_at is not null or health.paused_reason is not null as troubled
    from unnest(${ids as string[]}::uuid[], ${jobs as string[]}::uuid[]) as wanted(id, job)
    join deltahook.deliveries delivery on delivery.id = wanted.id and delivery.job = wanted.job
    join deltahook.events event on event.id = delivery.event_id
    join deltahook.endpoints endpoint on endpoint.id = delivery.endpoint_id
    join deltahook.endpoint_health health on health.endpoint_id = delivery.endpoint_id
    where delivery.state = 'pending' and not delivery.parked`;
}

/** One HTTP try and what it means for its delivery. */
export type Recorded = {
  attemptId: string;
  delivery: Owed;
  outcome: "delivered" | "failed" | "interrupted" | "skipped";
  verdict: Verdict;
  status: number | null;
  ms: number;
  url: string;
  requestHeaders: string;
  requestBody: string | null;
  responseHeaders: string | null;
  responseBody: string | null;
  error: string | null;
  plugins: string | null;
};

/**
 * Writes a batch of tries in one statement: each attempt as a row, each delivery moved only if this try was still the
 * one it waited for, and a dead letter with its own copy for each that died.
 * @returns the ids of the deliveries that moved
 */
export async function recordTries(sql: SqlRunner, tries: readonly Recorded[]): Promise<Set<string>> {
  const moves = tries.map(moveOf);
  const rows = await sql<{ id: string }[]>`
    with
    logged as (
      insert into deltahook.attempts (id, delivery_id, number, outcome, probe, status, ms, url, request_headers, request_body,
                                      response_headers, response_body, error, plugins)
      select id, delivery_id, number, outcome, probe = 1, status, ms, url, request_headers::json, request_body,
             response_headers::json, response_body, error, plugins::json
      from unnest(
        ${tries.map((entry) => entry.attemptId)}::uuid[], ${tries.map((entry) => entry.delivery.id)}::uuid[],
        ${tries.map((entry) => entry.delivery.attempt)}::int[], ${tries.map((entry) => entry.outcome)}::text[],
        ${tries.map((entry) => Number(entry.delivery.probe))}::int[], ${tries.map((entry) => entry.status)}::smallint[],
        ${tries.map((entry) => entry.ms)}::int[], ${tries.map((entry) => entry.url)}::text[],
        ${tries.map((entry) => entry.requestHeaders)}::text[], ${tries.map((entry) => entry.requestBody)}::text[],
        ${tries.map((entry) => entry.responseHeaders)}::text[], ${tries.map((entry) => entry.responseBody)}::text[],
        ${tries.map((entry) => entry.error)}::text[], ${tries.map((entry) => entry.plugins)}::text[]
      ) as attempt(id, delivery_id, number, outcome, probe, status, ms, url, request_headers, request_body,
                   response_headers, response_body, error, plugins)
      on conflict do nothing -- written before, by a commit whose answer was lost
    ),
    moved as (
      update deltahook.deliveries delivery
      set state = move.state,
          attempt = delivery.attempt + 1,
          tries = delivery.tries + move.counts,
          due_at = to_timestamp(move.due_at / 1000.0),
          finished_at = case when move.state = 'pending' then null else now() end,
          job = null,
          probe = false,
          last_status = move.status,
          last_error = move.error
      from unnest(
        ${tries.map((entry) => entry.delivery.id)}::uuid[], ${tries.map((entry) => entry.delivery.attempt)}::int[],
        ${tries.map((entry) => entry.delivery.job)}::uuid[], ${moves.map((move) => move.state)}::text[],
        ${moves.map((move) => move.counts)}::int[], ${moves.map((move) => move.dueAt)}::float8[],
        ${tries.map((entry) => entry.status)}::smallint[], ${moves.map((move) => move.error)}::text[]
      ) as move(id, attempt, job, state, counts, due_at, status, error)
      where delivery.id = move.id and delivery.id = any(${tries.map((entry) => entry.delivery.id)}::uuid[])
        and delivery.state = 'pending' and delivery.attempt = move.attempt and delivery.job = move.job
      returning delivery.id
    ),
    buried as (
      insert into deltahook.dead_letters (delivery_id, event_id, original_id, endpoint_id, watch_id, type, data, target,
                                          reason, attempts, last_status, last_error)
      select dead.id, event.id, event.original_id, dead.endpoint_id, event.watch_id, event.type, event.data, event.target,
             dead.reason, dead.attempts, dead.status, dead.error
      from unnest(
        ${tries.map((entry) => entry.delivery.id)}::uuid[], ${tries.map((entry) => entry.delivery.eventId)}::uuid[],
        ${tries.map((entry) => entry.delivery.endpointId)}::uuid[], ${moves.map((move) => move.reason)}::text[],
        ${tries.map((entry) => entry.delivery.attempt)}::int[], ${tries.map((entry) => entry.status)}::smallint[],
        ${moves.map((move) => move.error)}::text[]
      ) as dead(id, event_id, endpoint_id, reason, attempts, status, error)
      join moved on moved.id = dead.id
      join deltahook.events event on event.id = dead.event_id
      where dead.reason is not null
      on conflict (delivery_id) do nothing
    )
    select id from moved`;
  return new Set(rows.map((row) => row.id));
}

type Move = { state: string; counts: number; dueAt: number | null; error: string | null; reason: string | null };

function moveOf(entry: Recorded): Move {
  const { verdict } = entry;
  const counts = entry.delivery.probe ? 0 : 1;
  switch (verdict.kind) {
    case "delivered":
      return { state: "delivered", counts, dueAt: null, error: null, reason: null };
    case "retry":
      return { state: "pending", counts, dueAt: verdict.dueAt, error: verdict.error, reason: null };
    case "interrupted":
      return { state: "pending", counts: 0, dueAt: verdict.dueAt, error: null, reason: null };
    case "dead":
      return { state: "dead", counts, dueAt: null, error: verdict.error, reason: verdict.reason };
    case "cancelled":
      return { state: "cancelled", counts, dueAt: null, error: verdict.error, reason: null };
  }
}

/** Gives deliveries back untried (shutdown): due as they were, without a job, for whoever sweeps next. */
export async function releaseOwed(sql: SqlRunner, deliveries: readonly { id: string; job: string }[]): Promise<void> {
  await sql`
    update deltahook.deliveries delivery set job = null
    from unnest(${deliveries.map((owed) => owed.id)}::uuid[], ${deliveries.map((owed) => owed.job)}::uuid[]) as back(id, job)
    where delivery.id = back.id and delivery.id = any(${deliveries.map((owed) => owed.id)}::uuid[])
      and delivery.state = 'pending' and delivery.job = back.job`;
}

/** Sets deliveries aside that their endpoint cannot take now. No try is used; the endpoint is marked as having a backlog. */
export async function parkOwed(
  sql: SqlRunner,
  deliveries: readonly { id: string; job: string; endpointId: string }[],
): Promise<void> {
  const endpointIds = [...new Set(deliveries.map((owed) => owed.endpointId))].sort();
  await sql`
    with
    backlog as ( -- judged by the locked row: the mark may have been cleared since this statement began
      update deltahook.endpoint_health health set has_parked = true
      from (select endpoint_id, has_parked from deltahook.endpoint_health
            where endpoint_id = any(${endpointIds}::uuid[]) order by endpoint_id for update) locked
      where health.endpoint_id = locked.endpoint_id and not locked.has_parked
    )
    update deltahook.deliveries delivery set parked = true, job = null, probe = false
    from unnest(${deliveries.map((owed) => owed.id)}::uuid[], ${deliveries.map((owed) => owed.job)}::uuid[]) as aside(id, job)
    where delivery.id = aside.id and delivery.id = any(${deliveries.map((owed) => owed.id)}::uuid[])
      and delivery.state = 'pending' and not delivery.parked and delivery.job = aside.job`;
}

/**
 * Takes the oldest parked deliveries of an endpoint out again, as one job per `chunk`. An ordered endpoint gives only
 * the head of its line, and none while a head is out: there nothing locked is skipped, so that of two who take at once
 * the later finds the same head, and finds it taken.
 * @returns how many were taken
 */
export async function unpark(sql: SqlRunner, endpointId: string, limit: number, chunk: number): Promise<number> {
  const [row] = await sql<{ taken: number }[]>`
    with
    room as (
      select endpoint.ordered,
             case when not endpoint.ordered then ${limit}::int
                  when exists (select from deltahook.deliveries
                               where endpoint_id = endpoint.id and state = 'pending' and not parked and seq is not null) then 0
                  else 1 end as places
      from deltahook.endpoints endpoint
      join deltahook.endpoint_health health on health.endpoint_id = endpoint.id
      where endpoint.id = ${endpointId} and health.paused_reason is null and coalesce(health.hold_until <= now(), true)
    ),
    crowd as (
      select id, seq from deltahook.deliveries
      where endpoint_id = ${endpointId} and parked
      order by seq, id limit coalesce((select places from room where not ordered), 0)
      for update skip locked
    ),
    head as (
      select id, seq from deltahook.deliveries
      where endpoint_id = ${endpointId} and parked
      order by seq, id limit coalesce((select places from room where ordered), 0)
    ),
    oldest as (
      select id, row_number() over (order by seq, id) as place
      from (select * from crowd union all select * from head) waiting
    ),
    jobs as (
      select (place - 1) / ${chunk}::int as number, deltahook.uuid7() as job, array_agg(id) as ids
      from oldest group by 1
    ),
    taken as (
      update deltahook.deliveries delivery set parked = false, due_at = now(), job = jobs.job
      from jobs, unnest(jobs.ids) as chosen(id)
      where delivery.id = chosen.id and delivery.parked
      returning delivery.id
    ),
    enqueued as (
      select deltahook.enqueue('deliver', array_agg(job::text),
                               array_agg(json_build_object('job', job, 'deliveries', ids))) as jobs
      from jobs
    )
    select (select count(*) from taken)::int as taken, (select jobs from enqueued) as jobs`;
  return row?.taken ?? 0;
}

/** An endpoint with parked deliveries; `perSecond` is its rate limit. */
export type Backlogged = { id: string; maxInFlight: number; perSecond: number | null };

/** The endpoints that have a backlog and could take some of it now. */
export async function endpointsToUnpark(sql: SqlRunner): Promise<Backlogged[]> {
  return sql<Backlogged[]>`
    select endpoint.id, endpoint.max_in_flight as "maxInFlight",
      (endpoint.rate_limit_max * 1000.0 / endpoint.rate_limit_per_ms)::float8 as "perSecond"
    from deltahook.endpoint_health health
    join deltahook.endpoints endpoint on endpoint.id = health.endpoint_id
    where health.has_parked and health.paused_reason is null and coalesce(health.hold_until <= now(), true)
    order by endpoint.id`;
}

/** Clears the mark of a backlog, once it is really gone: whoever parks holds the row, so we look after locking it. */
export async function clearBacklogMark(sql: Sql, endpointId: string): Promise<void> {
  await sql.begin(async (tx) => {
    await tx`select from deltahook.endpoint_health where endpoint_id = ${endpointId} for update`;
    await tx`
      update deltahook.endpoint_health set has_parked = false
      where endpoint_id = ${endpointId}
        and not exists (select from deltahook.deliveries where endpoint_id = ${endpointId} and parked)`;
  });
}

/**
 * Gives a job to every delivery whose time has come.
 * @returns how many, and when the next is due (milliseconds since 1970) or null
 */
export async function enqueueDue(
  sql: Sql,
  limit: number,
  chunk: number,
): Promise<{ taken: number; nextDueAt: number | null }> {
  const [row] = await sql<{ taken: number; next_due_at: number | null }[]>`
    with
    due as (
      select id, row_number() over (order by due_at) as place
      from (select id, due_at from deltahook.deliveries
            where state = 'pending' and not parked and job is null and due_at <= now()
            order by due_at limit ${limit}
            for update skip locked) waiting
    ),
    jobs as (
      select (place - 1) / ${chunk}::int as number, deltahook.uuid7() as job, array_agg(id) as ids from due group by 1
    ),
    taken as (
      update deltahook.deliveries delivery set job = jobs.job
      from jobs, unnest(jobs.ids) as chosen(id)
      where delivery.id = chosen.id
      returning delivery.id
    ),
    enqueued as (
      select deltahook.enqueue('deliver', array_agg(job::text),
                               array_agg(json_build_object('job', job, 'deliveries', ids))) as jobs
      from jobs
    )
    select (select count(*) from taken)::int as taken, (select jobs from enqueued) as jobs,
      (select extract(epoch from min(due_at)) * 1000 from deltahook.deliveries
       where state = 'pending' and not parked and job is null and due_at > now())::float8 as next_due_at`;
  return { taken: row?.taken ?? 0, nextDueAt: row?.next_due_at ?? null };
}

/**
 * Finds deliveries whose job is gone (deleted by hand, or lost in a way nobody thought of) and makes them due again.
 * Looks at what has waited past its time for `graceSeconds`, so that nothing just being published is judged. One that
 * was published while its endpoint was being deleted would come by here for ever: it is cancelled.
 */
export async function freeLost(sql: Sql, graceSeconds: number): Promise<number> {
  const freed = await sql`
    update deltahook.deliveries delivery
    set job = null, probe = false,
      state = case when lost.unowned then 'cancelled' else 'pending' end,
      finished_at = case when lost.unowned then now() end,
      due_at = case when lost.unowned then null else delivery.due_at end,
      last_error = case when lost.unowned then 'The endpoint was deleted.' else delivery.last_error end
    from (
      select id, job,
        not exists (select from deltahook.endpoints endpoint where endpoint.id = deliveries.endpoint_id) as unowned
      from deltahook.deliveries
      where state = 'pending' and not parked and job is not null and due_at < now() - make_interval(secs => ${graceSeconds})
        and not exists (select from deltahook.job_keys where key = job::text)
      limit 20000
    ) lost
    where delivery.id = lost.id and delivery.state = 'pending' and delivery.job = lost.job`;
  return freed.count;
}

/** Fan-outs that SQL asked for and whose job is gone. */
export async function enqueueLostFanOuts(sql: Sql, graceSeconds: number): Promise<number> {
  const [row] = await sql<{ jobs: number }[]>`
    select deltahook.enqueue('fan_out', array_agg('fan_out:' || id), array_agg(json_build_object('event', id))) as jobs
    from (
      select id from deltahook.events
      where awaits_fan_out and id < deltahook.uuid7_floor(now() - make_interval(secs => ${graceSeconds}))
        and not exists (select from deltahook.job_keys where key = 'fan_out:' || id)
      limit 10000
    ) lost`;
  return row?.jobs ?? 0;
}
