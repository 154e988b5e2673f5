import type { SqlRunner } from "../platform/database.ts";
import type { NewEvent } from "./new_event.ts";

export type NewDelivery = {
  id: string;
  eventId: string;
  endpointId: string;
  ordered: boolean;
  seq: number | null;
  parked: boolean;
  job: string | null;
};

/** Whether any of these endpoints is paused or has a backlog. */
export async function isAnyBlocked(sql: SqlRunner, endpointIds: string[]): Promise<boolean> {
  const [row] = await sql<{ blocked: boolean }[]>`
    select exists (select from deltahook.endpoint_health
                   where endpoint_id = any(${endpointIds}::uuid[]) and (has_parked or paused_reason is not null)) as blocked`;
  return row?.blocked ?? false;
}

/**
 * The endpoints among these whose deliveries must wait behind others. Their rows and those of ordered endpoints are
 * locked until the commit, all at once in id order, so that nobody can find the backlog empty while we add to it.
 */
export async function lockBlocked(sql: SqlRunner, endpointIds: string[], orderedIds: string[]): Promise<Set<string>> {
  const rows = await sql<{ endpoint_id: string; blocked: boolean }[]>`
    select endpoint_id, has_parked or paused_reason is not null as blocked from deltahook.endpoint_health
    where endpoint_id = any(${endpointIds}::uuid[])
      and (has_parked or paused_reason is not null or endpoint_id = any(${orderedIds}::uuid[]))
    order by endpoint_id
    for update`;
  return new Set(rows.filter((row) => row.blocked).map((row) => row.endpoint_id));
}

/** Takes places in the lines of ordered endpoints, whose rows are locked until the commit, so that seq is commit order. */
export async function nextInLine(
  sql: SqlRunner,
  deliveries: readonly { endpointId: string }[],
): Promise<Map<string, { seq: number; free: boolean }>> {
  const wanted = new Map<string, number>();
  for (const { endpointId } of deliveries) wanted.set(endpointId, (wanted.get(endpointId) ?? 0) + 1);
  const ids = [...wanted.keys()].sort();
  const rows = await sql<{ endpoint_id: string; first: number; free: boolean }[]>`
    update deltahook.endpoint_health health
    set seq = health.seq + wanted.places
    from unnest(${ids}::uuid[], ${ids.map((id) => wanted.get(id) ?? 0)}::int[]) as wanted(id, places)
    where health.endpoint_id = wanted.id
    returning health.endpoint_id, health.seq - wanted.places + 1 as first,
      not exists (select from deltahook.deliveries
                  where endpoint_id = health.endpoint_id and state = 'pending' and not parked and seq is not null)
      and not health.has_parked as free`;
  return new Map(rows.map((row) => [row.endpoint_id, { seq: row.first, free: row.free }]));
}

/** Events, deliveries, the mark of a backlog and the jobs: one statement, so one transaction even without a caller's. */
export async function insertPublication(
  sql: SqlRunner,
  publication: {
    ids: string[];
    events: readonly NewEvent[];
    deliveries: NewDelivery[];
    jobs: { id: string; deliveries: string[] }[];
  },
): Promise<void> {
  const { ids, events, deliveries, jobs } = publication;
  const parkedAt = [
    ...new Set(deliveries.filter((delivery) => delivery.parked).map((delivery) => delivery.endpointId)),
  ].sort();
  await sql`
    with
    stated as (
      insert into deltahook.events (id, type, data, origin, watch_id, endpoint_ids, about_endpoint, target, idempotency_key)
      select id, type, data::json, origin, watch_id,
             case when endpoint_ids = '' then null else string_to_array(endpoint_ids, ',')::uuid[] end,
             about_endpoint, target::json, idempotency_key
      from unnest(
        ${ids}::uuid[], ${events.map((event) => event.type)}::text[], ${events.map((event) => event.data)}::text[],
        ${events.map((event) => event.origin)}::text[], ${events.map((event) => event.watchId ?? null)}::uuid[],
        ${events.map((event) => event.endpointIds?.join(",") ?? "")}::text[],
        ${events.map((event) => event.aboutEndpoint ?? null)}::uuid[],
        ${events.map((event) => event.target?.stored ?? null)}::text[],
        ${events.map((event) => event.idempotencyKey ?? null)}::text[]
      ) as event(id, type, data, origin, watch_id, endpoint_ids, about_endpoint, target, idempotency_key)
    ),
    owed as (
      insert into deltahook.deliveries (id, event_id, endpoint_id, due_at, seq, parked, job)
      select id, event_id, endpoint_id, now(), seq, job is null, job
      from unnest(
        ${deliveries.map((delivery) => delivery.id)}::uuid[], ${deliveries.map((delivery) => delivery.eventId)}::uuid[],
        ${deliveries.map((delivery) => delivery.endpointId)}::uuid[], ${deliveries.map((delivery) => delivery.seq)}::bigint[], ${deliveries.map((delivery) => delivery.job)}::uuid[]
      ) as delivery(id, event_id, endpoint_id, seq, job)
    ),
    backlog as (
      update deltahook.endpoint_health set has_parked = true
      where endpoint_id = any(${parkedAt}::uuid[]) and not has_parked
    )
    select deltahook.enqueue('deliver', ${jobs.map((job) => job.id)}::text[],
      ${jobs.map((job) => JSON.stringify({ job: job.id, deliveries: job.deliveries }))}::text[]::json[])`;
}
