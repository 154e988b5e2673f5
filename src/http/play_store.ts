import type { SqlRunner } from "../platform/database.ts";

/** The built-in source, and the built-in receivers: one that takes everything, and one that refuses everything. */
export const PLAY_SOURCE = "deltahook://sample";
export const PLAY_RECEIVER = "deltahook://play";
export const PLAY_FAILING = "deltahook://play/fail";
const RECEIVERS = [PLAY_RECEIVER, PLAY_FAILING];

/** What people have set up to try things out, the oldest first. Ids are UUIDs. */
export type Playground = {
  watches: { id: string; name: string }[];
  endpoints: { id: string; name: string; url: string }[];
};

/** A try that reached a built-in receiver; the event is null when retention has dropped it. */
export type ReceivedRow = {
  id: string;
  delivery_id: string;
  endpoint_id: string;
  endpoint_name: string;
  number: number;
  status: number;
  url: string;
  request_headers: Record<string, string>;
  request_body: string | null;
  event_id: string;
  original_id: string | null;
  event_type: string | null;
  data: string | null;
};

const MOST_SHOWN = 20;

export async function readPlayground(sql: SqlRunner): Promise<Playground> {
  const [watches, endpoints] = await Promise.all([
    sql<Playground["watches"]>`
      select id, name from deltahook.watches
      where host = 'sample' and definition->'request'->>'url' = ${PLAY_SOURCE}
      order by id limit ${MOST_SHOWN}`,
    sql<Playground["endpoints"]>`
      select id, name, url from deltahook.endpoints
      where kind = 'subscribed' and url = any(${RECEIVERS}::text[])
      order by id limit ${MOST_SHOWN}`,
  ]);
  return { watches, endpoints };
}

/** The newest webhooks that arrived at the built-in receivers, the newest first, looked for in each endpoint's latest deliveries. */
export function listReceived(sql: SqlRunner): Promise<ReceivedRow[]> {
  return sql<ReceivedRow[]>`
    select attempt.id, attempt.delivery_id, recent.endpoint_id, recent.endpoint_name, attempt.number, attempt.status,
      attempt.url, attempt.request_headers, attempt.request_body,
      recent.event_id, event.original_id, event.type as event_type, event.data::text as data
    from (
      select delivery.id, delivery.event_id, endpoint.id as endpoint_id, endpoint.name as endpoint_name
      from (
        select id, name from deltahook.endpoints
        where kind = 'subscribed' and url = any(${RECEIVERS}::text[])
        order by id limit ${MOST_SHOWN}
      ) as endpoint
      cross join lateral (
        select id, event_id from deltahook.deliveries
        where endpoint_id = endpoint.id order by id desc limit ${MOST_SHOWN}
      ) as delivery
    ) as recent
    join deltahook.attempts attempt on attempt.delivery_id = recent.id
      and attempt.id >= deltahook.uuid7_floor(deltahook.uuid7_time(recent.id) - interval '1 hour')
    left join deltahook.events event on event.id = recent.event_id
    where attempt.status is not null and attempt.url = any(${RECEIVERS}::text[])
    order by attempt.id desc limit ${MOST_SHOWN}`;
}
