import { planEachTime, type SqlRunner } from "../platform/database.ts";
import type { Revived } from "./delivery_store.ts";

export const DEATHS = ["exhausted", "gone", "expired", "rejected"] as const;

export type DeadLetterRow = {
  id: string;
  event_id: string;
  original_id: string | null;
  endpoint_id: string;
  endpoint_name: string | null;
  watch_id: string | null;
  type: string;
  url: string | null;
  reason: (typeof DEATHS)[number];
  attempts: number;
  last_status: number | null;
  last_error: string | null;
  died_at: Date;
};

/** Ids are UUIDs, times RFC 3339. */
export type LetterFilter = {
  endpoint?: string | undefined;
  event?: string | undefined;
  watch?: string | undefined;
  type?: string | undefined;
  reason?: (typeof DEATHS)[number] | undefined;
  since?: string | undefined;
  until?: string | undefined;
};

/** The newest deliveries first. */
export function listLetters(
  sql: SqlRunner,
  filter: LetterFilter,
  page: { cursor: string | null; limit: number },
): Promise<DeadLetterRow[]> {
  return planEachTime(sql<DeadLetterRow[]>`
    select ${columns(sql)}
    from deltahook.dead_letters dead left join deltahook.endpoints endpoint on endpoint.id = dead.endpoint_id
    where ${matches(sql, filter)} ${page.cursor ? sql`and delivery_id < ${page.cursor}` : sql``}
    order by delivery_id desc limit ${page.limit}`);
}

/** With the payload, byte for byte. */
export async function findLetter(
  sql: SqlRunner,
  deliveryId: string,
): Promise<(DeadLetterRow & { data: string }) | undefined> {
  const [row] = await sql<(DeadLetterRow & { data: string })[]>`
    select ${columns(sql)}, dead.data::text as data
    from deltahook.dead_letters dead left join deltahook.endpoints endpoint on endpoint.id = dead.endpoint_id
    where delivery_id = ${deliveryId}`;
  return row;
}

function columns(sql: SqlRunner) {
  return sql`
    delivery_id as id, event_id, original_id, endpoint_id, endpoint.name as endpoint_name, watch_id, type,
    coalesce(target->>'url', endpoint.url) as url, reason, attempts, last_status, last_error, died_at`;
}

/** The letters of a filter that can be requeued: those whose endpoint exists. */
export async function countLetters(sql: SqlRunner, filter: LetterFilter): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from deltahook.dead_letters dead
    where ${matches(sql, filter)} and exists (select from deltahook.endpoints where id = dead.endpoint_id)`;
  return row?.count ?? 0;
}

/** All letters of a filter, those of deleted endpoints too. */
export async function countDiscardable(sql: SqlRunner, filter: LetterFilter): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from deltahook.dead_letters dead where ${matches(sql, filter)}`;
  return row?.count ?? 0;
}

/** The next letters behind a position, the oldest delivery first. */
export async function lettersAfter(
  sql: SqlRunner,
  filter: LetterFilter,
  position: string,
  limit: number,
): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    select delivery_id as id from deltahook.dead_letters dead
    where ${matches(sql, filter)} and delivery_id > ${position}
    order by delivery_id limit ${limit}`;
  return rows.map(({ id }) => id);
}

function matches(sql: SqlRunner, { endpoint, event, watch, type, reason, since, until }: LetterFilter) {
  return sql`true
    ${endpoint === undefined ? sql`` : sql`and dead.endpoint_id = ${endpoint}`}
    ${event === undefined ? sql`` : sql`and dead.event_id = ${event}`}
    ${watch === undefined ? sql`` : sql`and dead.watch_id = ${watch}`}
    ${type === undefined ? sql`` : sql`and dead.type = ${type}`}
    ${reason === undefined ? sql`` : sql`and dead.reason = ${reason}`}
    ${since === undefined ? sql`` : sql`and dead.died_at >= ${since}::text::timestamptz`}
    ${until === undefined ? sql`` : sql`and dead.died_at < ${until}::text::timestamptz`}`;
}

/**
 * Owes dead letters again, with a fresh schedule: the letter is removed and its delivery pending, in one statement. A
 * delivery older than `inPlaceFrom` would soon be dropped with its partition (or is gone): a copy of event and delivery
 * takes its place, under the same `webhook-id`. Letters whose endpoint is gone, or that somebody else holds, stay.
 */
export function requeueLetters(
  sql: SqlRunner,
  ids: readonly string[],
  options: { park: boolean; inPlaceFrom: string; operationId: string | null },
): Promise<Revived[]> {
  return sql<Revived[]>`
    with
    chosen as (
      delete from deltahook.dead_letters dead
      where delivery_id in (
          select delivery_id from deltahook.dead_letters where delivery_id = any(${ids as string[]}::uuid[])
          order by delivery_id for update skip locked)
        and exists (select from deltahook.endpoints where id = dead.endpoint_id)
      returning *
    ),
    revived as (
      update deltahook.deliveries delivery
      set state = 'pending', tries = 0, finished_at = null, due_at = now(), job = null, probe = false,
        parked = ${options.park} or seq is not null, operation_id = ${options.operationId}
      from chosen
      where delivery.id = chosen.delivery_id and delivery.id = any(${ids as string[]}::uuid[]) and delivery.state = 'dead'
        and delivery.id >= ${options.inPlaceFrom} and delivery.event_id >= ${options.inPlaceFrom}
        and exists (select from deltahook.events where id = delivery.event_id)
      returning delivery.id, delivery.endpoint_id, delivery.parked
    ),
    -- An ordered endpoint's line begins with them, in the order of their age.
    lost as (
      select chosen.*, deltahook.uuid7() as new_event, deltahook.uuid7() as new_delivery,
        case when endpoint.ordered
          then (extract(epoch from deltahook.uuid7_time(chosen.delivery_id)) * 1000)::bigint - 1000000000000000 end as seq
      from chosen
      join deltahook.endpoints endpoint on endpoint.id = chosen.endpoint_id
      where chosen.delivery_id not in (select id from revived)
        and not exists (select from deltahook.deliveries
                        where id = chosen.delivery_id and state in ('pending', 'delivered'))
    ),
    copied as (
      insert into deltahook.events (id, type, data, origin, watch_id, original_id, endpoint_ids, target)
      select new_event, type, data, case when watch_id is null then 'api' else 'watch' end, watch_id,
        coalesce(original_id, event_id), case when target is null then array[endpoint_id] end, target
      from lost
    ),
    owed as (
      insert into deltahook.deliveries (id, event_id, endpoint_id, due_at, seq, parked, operation_id)
      select new_delivery, new_event, endpoint_id, now(), seq, ${options.park} or seq is not null, ${options.operationId}
      from lost
      returning id, endpoint_id, parked
    )
    select id, endpoint_id as "endpointId", parked from revived
    union all
    select id, endpoint_id, parked from owed`;
}

/** @returns whether it was there */
export async function deleteLetter(sql: SqlRunner, deliveryId: string): Promise<boolean> {
  const result = await sql`delete from deltahook.dead_letters where delivery_id = ${deliveryId}`;
  return result.count > 0;
}

/** Of those given; those that somebody requeues right now stay. @returns how many */
export async function deleteLetters(sql: SqlRunner, deliveryIds: readonly string[]): Promise<number> {
  // Chosen once: as a subquery it might be asked again for each row, and answer otherwise.
  const result = await sql`
    with chosen as materialized (
      select delivery_id from deltahook.dead_letters
      where delivery_id = any(${deliveryIds as string[]}::uuid[]) order by delivery_id for update skip locked)
    delete from deltahook.dead_letters where delivery_id in (select delivery_id from chosen)`;
  return result.count;
}
