import { planEachTime, type SqlRunner } from "../platform/database.ts";

export type EventRow = {
  id: string;
  type: string;
  origin: "watch" | "api" | "sql" | "system";
  watch_id: string | null;
  original_id: string | null;
  endpoint_ids: string[] | null;
  url: string | null;
  idempotency_key: string | null;
};

export type EventFilter = {
  type?: string | undefined;
  watch?: string | undefined;
  cursor: string | null;
  limit: number;
};

/** Newest first, without the payloads. */
export function listEvents(sql: SqlRunner, { type, watch, cursor, limit }: EventFilter): Promise<EventRow[]> {
  return planEachTime(sql<EventRow[]>`
    select ${columns(sql)} from deltahook.events event
    where true ${type === undefined ? sql`` : sql`and type = ${type}`}
      ${watch === undefined ? sql`` : sql`and watch_id = ${watch}`} ${cursor ? sql`and id < ${cursor}` : sql``}
    order by id desc limit ${limit}`);
}

/** The newest of a watch with their payloads. */
export function listStated(sql: SqlRunner, watch: string, limit: number): Promise<(EventRow & { data: string })[]> {
  return planEachTime(sql<(EventRow & { data: string })[]>`
    select ${columns(sql)}, data::text as data from deltahook.events event
    where watch_id = ${watch} order by id desc limit ${limit}`);
}

/** With the payload, byte for byte. */
export async function findEvent(sql: SqlRunner, id: string): Promise<(EventRow & { data: string }) | undefined> {
  const [row] = await sql<(EventRow & { data: string })[]>`
    select ${columns(sql)}, data::text as data from deltahook.events event where id = ${id}`;
  return row;
}

function columns(sql: SqlRunner) {
  return sql`id, type, origin, watch_id, original_id, endpoint_ids, target->>'url' as url, idempotency_key`;
}

/** The endpoints that an event was owed to and that still exist. */
export async function recipientsSoFar(sql: SqlRunner, eventId: string): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    select id from deltahook.endpoints
    where id in (select endpoint_id from deltahook.deliveries where event_id = ${eventId})`;
  return rows.map(({ id }) => id);
}

/**
 * Owes an event to endpoints once more. Behind a backlog, a pause or in an ordered line the new deliveries are parked;
 * all others are due now, for the sweep to find.
 * @returns how many there are
 */
export async function insertReplays(sql: SqlRunner, eventId: string, endpointIds: readonly string[]): Promise<number> {
  const rows = await sql`
    with
    wanted as (
      select endpoint.id, endpoint.ordered,
             endpoint.ordered or health.has_parked or health.paused_reason is not null as waits
      from deltahook.endpoints endpoint
      join deltahook.endpoint_health health on health.endpoint_id = endpoint.id
      where endpoint.id = any(${endpointIds as string[]}::uuid[])
      order by endpoint.id
      for update of health
    ),
    line as (
      update deltahook.endpoint_health health
      set has_parked = true, seq = health.seq + case when wanted.ordered then 1 else 0 end
      from wanted where health.endpoint_id = wanted.id and wanted.waits
      returning health.endpoint_id, health.seq
    )
    insert into deltahook.deliveries (id, event_id, endpoint_id, due_at, seq, parked)
    select deltahook.uuid7(), ${eventId}, wanted.id, now(), case when wanted.ordered then line.seq end, wanted.waits
    from wanted left join line on line.endpoint_id = wanted.id
    returning id`;
  return rows.length;
}

/**
 * A `test.ping` event and its delivery, owned by a job that is nobody's: only the try that follows knows it. Until the
 * lease ends nobody takes the delivery for lost.
 */
export async function insertPing(
  sql: SqlRunner,
  ping: { event: string; delivery: string; job: string; endpoint: string; data: string; leaseMs: number },
): Promise<void> {
  await sql`
    with stated as (
      insert into deltahook.events (id, type, data, origin, endpoint_ids)
      values (${ping.event}, 'test.ping', ${ping.data}::text::json, 'api', array[${ping.endpoint}]::uuid[])
    )
    insert into deltahook.deliveries (id, event_id, endpoint_id, due_at, job)
    values (${ping.delivery}, ${ping.event}, ${ping.endpoint}, now() + make_interval(secs => ${ping.leaseMs / 1000}),
            ${ping.job})`;
}

/** An event that `deltahook.send` wrote and nobody has fanned out yet. */
export type Written = { id: string; type: string; data: string; url: string | null };

/** Whoever takes an event fans it out in the same transaction; another, later or meanwhile, finds nothing to do. */
export async function takeWritten(sql: SqlRunner, ids: readonly string[]): Promise<Written[]> {
  return sql<Written[]>`
    update deltahook.events event set awaits_fan_out = false
    from (select id from deltahook.events where id = any(${ids as string[]}::uuid[]) and awaits_fan_out
          order by id for update) waiting
    where event.id = waiting.id
    returning event.id, event.type, event.data::text as data, event.target->>'url' as url`;
}
