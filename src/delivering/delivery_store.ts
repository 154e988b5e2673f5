import { planEachTime, type SqlRunner } from "../platform/database.ts";

export type DeliveryState = "pending" | "delivered" | "dead" | "cancelled";

/** Event and endpoint may be gone: their columns are null then. */
export type DeliveryRow = {
  id: string;
  event_id: string;
  event_type: string | null;
  original_id: string | null;
  watch_id: string | null;
  endpoint_id: string;
  endpoint_name: string | null;
  url: string | null;
  state: DeliveryState;
  parked: boolean;
  attempt: number;
  due_at: Date | null;
  finished_at: Date | null;
  last_status: number | null;
  last_error: string | null;
};

export type AttemptRow = {
  id: string;
  number: number;
  outcome: "delivered" | "failed" | "interrupted" | "skipped";
  probe: boolean;
  status: number | null;
  ms: number;
  url: string;
  request_headers: Record<string, string>;
  request_body: string | null;
  response_headers: Record<string, string> | null;
  response_body: string | null;
  error: string | null;
  /** That made the body. */
  plugins: { name: string; version: string }[] | null;
};

/** Ids are UUIDs. */
export type DeliveryFilter = {
  status?: DeliveryState | undefined;
  endpoint?: string | undefined;
  event?: string | undefined;
  watch?: string | undefined;
  cursor: string | null;
  limit: number;
};

/** Newest first; what was delivered, or all, of one watch by its events. */
export function listDeliveries(sql: SqlRunner, filter: DeliveryFilter): Promise<DeliveryRow[]> {
  const { status, endpoint, event, watch, cursor, limit } = filter;
  const byEvent = watch !== undefined && (status === undefined || status === "delivered");
  return planEachTime(sql<DeliveryRow[]>`
    select ${columns(sql)}
    from ${byEvent ? ofEvents(sql, watch, cursor) : withEvents(sql, watch)}
    left join deltahook.endpoints endpoint on endpoint.id = delivery.endpoint_id
    where true
      ${status === undefined ? sql`` : sql`and ${inState(sql, status)}`}
      ${endpoint === undefined ? sql`` : sql`and delivery.endpoint_id = ${endpoint}`}
      ${event === undefined ? sql`` : sql`and delivery.event_id = ${event}`}
      ${byEvent ? behindEvent(sql, cursor) : behind(sql, cursor)}
    order by ${byEvent ? sql`event.id desc,` : sql``} delivery.id desc limit ${limit}`);
}

/** Deliveries with their events, as far as these are still there; those of a watch only when it is named. */
function withEvents(sql: SqlRunner, watch: string | undefined) {
  if (watch === undefined) {
    return sql`deltahook.deliveries delivery left join deltahook.events event on event.id = delivery.event_id`;
  }
  // The states asked for are few and have an index of their own; `offset` keeps the planner from beginning with the events.
  return sql`deltahook.deliveries delivery
    join lateral (select * from deltahook.events where id = delivery.event_id and watch_id = ${watch} offset 0) event on true`;
}

/**
 * The events of a watch from the end of their index, and what is owed for each: a page of a watch that states much is read
 * without sorting all that was ever owed for it. `offset` keeps the planner from merging two whole indexes instead (at 10
 * million deliveries 4 s instead of 7 ms). Deliveries are younger than their events, but for clocks.
 */
function ofEvents(sql: SqlRunner, watch: string, cursor: string | null) {
  const behind = cursor === null ? sql`` : sql`and id <= ${eventOf(sql, cursor)}`;
  return sql`(select * from deltahook.events where watch_id = ${watch} ${behind} order by id desc) event
    join lateral (
      select * from deltahook.deliveries
      where event_id = event.id and id >= deltahook.uuid7_floor(deltahook.uuid7_time(event.id) - interval '1 hour')
      offset 0
    ) delivery on true`;
}

/** Written out: a plan for any state could not use the index that leaves out what was delivered. */
function inState(sql: SqlRunner, state: DeliveryState) {
  if (state === "delivered") return sql`delivery.state = 'delivered'`;
  if (state === "pending") return sql`delivery.state = 'pending'`;
  return state === "dead" ? sql`delivery.state = 'dead'` : sql`delivery.state = 'cancelled'`;
}

function behind(sql: SqlRunner, cursor: string | null) {
  return cursor === null ? sql`` : sql`and delivery.id < ${cursor}`;
}

function behindEvent(sql: SqlRunner, cursor: string | null) {
  return cursor === null ? sql`` : sql`and (event.id < ${eventOf(sql, cursor)} or delivery.id < ${cursor})`;
}

/** The event that a page ended with; a delivery that is gone is younger than its event. */
function eventOf(sql: SqlRunner, cursor: string) {
  return sql`(select coalesce(max(event_id::text)::uuid, ${cursor}) from deltahook.deliveries where id = ${cursor})`;
}

/** With the event's payload, as long as that is there. */
export async function findDelivery(
  sql: SqlRunner,
  id: string,
): Promise<(DeliveryRow & { data: string | null; direct: boolean }) | undefined> {
  const [row] = await sql<(DeliveryRow & { data: string | null; direct: boolean })[]>`
    select ${columns(sql)}, event.data::text as data, event.target is not null as direct
    from deltahook.deliveries delivery
    left join deltahook.events event on event.id = delivery.event_id
    left join deltahook.endpoints endpoint on endpoint.id = delivery.endpoint_id
    where delivery.id = ${id}`;
  return row;
}

function columns(sql: SqlRunner) {
  return sql`
    delivery.id, delivery.event_id, event.type as event_type, event.original_id, event.watch_id, delivery.endpoint_id,
    endpoint.name as endpoint_name, coalesce(event.target->>'url', endpoint.url) as url, delivery.state, delivery.parked,
    delivery.attempt, delivery.due_at, delivery.finished_at, delivery.last_status, delivery.last_error`;
}

/** All tries of a delivery, the first one first. They are younger than it, which spares older partitions. */
export function listAttempts(sql: SqlRunner, deliveryId: string): Promise<AttemptRow[]> {
  return sql<AttemptRow[]>`
    select id, number, outcome, probe, status, ms, url, request_headers, request_body, response_headers, response_body, error,
      plugins
    from deltahook.attempts
    where delivery_id = ${deliveryId}
      and id >= deltahook.uuid7_floor(deltahook.uuid7_time(${deliveryId}) - interval '1 hour')
    order by id`;
}

/**
 * Makes a waiting delivery due now; one whose job is under way already is left alone. A place in an ordered line is
 * never jumped.
 * @returns false when it is no longer pending, or waits in a line
 */
export async function makeDueNow(sql: SqlRunner, id: string): Promise<boolean> {
  const result = await sql`
    update deltahook.deliveries
    set due_at = case when job is null then now() else due_at end, parked = false
    where id = ${id} and state = 'pending' and not (parked and seq is not null)`;
  return result.count > 0;
}

/** @returns false when it was no longer pending */
export async function cancelDelivery(sql: SqlRunner, id: string, reason: string): Promise<boolean> {
  const result = await sql`
    update deltahook.deliveries
    set state = 'cancelled', finished_at = now(), due_at = null, job = null, parked = false, probe = false,
      last_error = ${reason}
    where id = ${id} and state = 'pending'`;
  return result.count > 0;
}

export type Revived = { id: string; endpointId: string; parked: boolean };

/**
 * Owes cancelled or dead deliveries again, with a fresh schedule, if event and endpoint still exist. In an ordered line
 * they take their old places; with `park` all of them join their endpoint's backlog (see {@link markBacklogs}).
 */
export function reviveDeliveries(
  sql: SqlRunner,
  ids: readonly string[],
  options: { from: "cancelled" | "dead"; park: boolean; operationId: string | null },
): Promise<Revived[]> {
  return sql<Revived[]>`
    update deltahook.deliveries delivery
    set state = 'pending', tries = 0, finished_at = null, due_at = now(), job = null, probe = false,
      parked = ${options.park} or seq is not null, operation_id = ${options.operationId}
    where delivery.id = any(${ids as string[]}::uuid[]) and delivery.state = ${options.from}
      and exists (select from deltahook.endpoints where id = delivery.endpoint_id)
      and exists (select from deltahook.events where id = delivery.event_id)
    returning delivery.id, delivery.endpoint_id as "endpointId", delivery.parked`;
}

/** Owes what was delivered once more, as new deliveries of the same events, parked. */
export function repeatDelivered(sql: SqlRunner, ids: readonly string[], operationId: string): Promise<Revived[]> {
  return sql<Revived[]>`
    insert into deltahook.deliveries (id, event_id, endpoint_id, due_at, seq, parked, operation_id)
    select deltahook.uuid7(), event_id, endpoint_id, now(), seq, true, ${operationId}
    from deltahook.deliveries delivery
    where id = any(${ids as string[]}::uuid[]) and state = 'delivered'
      and exists (select from deltahook.endpoints where id = delivery.endpoint_id)
      and exists (select from deltahook.events where id = delivery.event_id)
    order by id
    returning id, endpoint_id as "endpointId", parked`;
}

/** Says of endpoints that they have a backlog, in the transaction that parks; rows are locked in id order. */
export async function markBacklogs(sql: SqlRunner, revived: readonly Revived[]): Promise<void> {
  const endpointIds = [...new Set(revived.filter(({ parked }) => parked).map(({ endpointId }) => endpointId))].sort();
  if (endpointIds.length === 0) return;
  await sql`
    update deltahook.endpoint_health set has_parked = true
    where endpoint_id in (
      select endpoint_id from deltahook.endpoint_health
      where endpoint_id = any(${endpointIds}::uuid[]) order by endpoint_id for update)`;
}
