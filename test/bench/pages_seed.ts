import { parseId } from "../../src/platform/ids.ts";
import type { WholeApp } from "../trust/whole_app.ts";

/** UUIDs of rows to ask for: busy and quiet ones, and ones deep in their lists. */
export type Seeded = {
  busyWatch: string;
  deepWatch: string;
  busyEndpoint: string;
  quietEndpoint: string;
  deepEvent: string;
  deepDelivery: string;
  letter: string;
};

const DAYS = 5;
const ENDPOINTS = 50;
const DEEP = 0.2;

/**
 * Fills a database as some days of work would: half of the deliveries go to the first endpoint and hardly any to the
 * last, every tenth event is of one watch, and of each thousand deliveries five are dead, five cancelled, two wait and
 * three are parked. A tenth have an attempt.
 */
export async function seedPages(app: WholeApp, size: { watches: number; deliveries: number }): Promise<Seeded> {
  const { sql } = app.database;
  const startMs = Date.now() - DAYS * 86_400_000;
  const spanMs = DAYS * 86_400_000 - 60_000;
  const { endpoints, definition } = await createFirst(app);
  await sql`
    create function public.id_at(ms bigint, tail text) returns uuid language sql immutable parallel safe as $$
      select (lpad(to_hex(ms), 12, '0') || '7' || substr(md5(tail), 1, 3) || '8' || substr(md5(tail), 4, 15))::uuid $$`;
  await addPastPartitions(app);
  await seedWatches(app, { ...size, startMs, definition });

  // One row each of events and deliveries per n, 1 ms apart; the arrays are read by place.
  await sql`
    create unlogged table public.owed as
    select n, ${startMs}::bigint + (n::float8 * ${spanMs} / ${size.deliveries})::bigint as ms,
      (${endpoints}::uuid[])[case when n % 2 = 0 then 1 when n = ${Math.floor(size.deliveries / 10)} then ${ENDPOINTS}
        else 2 + n % ${ENDPOINTS - 2} end] as endpoint_id,
      case when n % 10 = 0 then 1 else 1 + n % ${size.watches} end as watch
    from generate_series(1, ${size.deliveries}::int) n`;
  await sql`
    insert into deltahook.events (id, type, data, origin, watch_id)
    select id_at(ms, 'event' || n),
      case when n < ${size.deliveries / 1_000} then 'seldom' when n % 10 < 9 then 'watch.changed' else 'order.paid' end,
      json_build_object('order', n, 'status', 'paid', 'note', repeat('x', 100)), 'watch', id_at(${startMs}::bigint + watch, 'watch')
    from public.owed`;
  await sql`
    insert into deltahook.deliveries (id, event_id, endpoint_id, state, parked, due_at, finished_at, last_status, last_error, attempt)
    select id_at(ms + 1, 'delivery' || n), id_at(ms, 'event' || n), endpoint_id,
      case when n % 1000 < 5 then 'dead' when n % 1000 < 10 then 'cancelled' when n % 1000 < 15 then 'pending' else 'delivered' end,
      n % 1000 between 10 and 12,
      case when n % 1000 between 10 and 14 then now() + interval '1 hour' end,
      case when n % 1000 not between 10 and 14 then to_timestamp((ms + 50) / 1000.0) end,
      case when n % 1000 < 5 then 503 else 200 end, case when n % 1000 < 5 then 'The endpoint answered 503.' end, 2
    from public.owed`;
  await sql`
    insert into deltahook.attempts (id, delivery_id, number, outcome, status, ms, url, request_headers, response_headers, response_body)
    select id_at(ms + 20, 'attempt' || n), id_at(ms + 1, 'delivery' || n), 1, 'delivered', 200, 20, 'https://hooks.example.com/',
      '{"content-type":"application/json"}', '{"content-type":"text/plain"}', 'ok'
    from public.owed where n % 10 = 0`;
  await sql`
    insert into deltahook.dead_letters (delivery_id, event_id, endpoint_id, watch_id, type, data, reason, attempts, last_status, died_at)
    select id_at(ms + 1, 'delivery' || n), id_at(ms, 'event' || n), endpoint_id, id_at(${startMs}::bigint + watch, 'watch'),
      case when n < ${size.deliveries / 1_000} then 'seldom' else 'watch.changed' end,
      json_build_object('order', n, 'note', repeat('x', 100)),
      case when n < ${size.deliveries / 100} then 'rejected' else 'exhausted' end, 8, 503, to_timestamp(ms / 1000.0)
    from public.owed where n % 1000 < 5`;
  await sql`update deltahook.endpoint_health set has_parked = true`;
  await seedPolls(app, { watches: size.watches, startMs, polls: Math.floor(size.deliveries / 4), spanMs });
  await seedRollups(app);

  const deep = Math.floor((size.deliveries * DEEP) / 10) * 10;
  const [row] = await sql<Pick<Seeded, "busyWatch" | "deepWatch" | "deepEvent" | "deepDelivery" | "letter">[]>`
    select id_at(${startMs}::bigint + 1, 'watch') as "busyWatch",
      id_at(${startMs}::bigint + ${Math.floor(size.watches * DEEP)}::bigint, 'watch') as "deepWatch",
      id_at(ms, 'event' || n) as "deepEvent", id_at(ms + 1, 'delivery' || n) as "deepDelivery",
      (select max(delivery_id::text)::uuid from deltahook.dead_letters) as letter
    from public.owed where n = ${deep}`;
  await sql`drop table public.owed`;
  await sql.unsafe("vacuum analyze");
  const [busyEndpoint, quietEndpoint] = [endpoints[0], endpoints.at(-1)];
  if (!row || busyEndpoint === undefined || quietEndpoint === undefined) throw new Error("nothing was seeded");
  return { ...row, busyEndpoint, quietEndpoint };
}

/** By the API, so that what is sealed and checked is as it should be. */
async function createFirst(app: WholeApp): Promise<{ endpoints: string[]; definition: string }> {
  const endpoints: string[] = [];
  for (let n = 0; n < ENDPOINTS; n++) {
    const body = { name: `Shop ${n}`, url: "https://203.0.113.7/hook", event_types: ["*"] };
    const { json, text } = await app.call("POST", "/v1/endpoints", body);
    const uuid = parseId("endpoint", String(json?.id));
    if (uuid === null) throw new Error(`no endpoint was created: ${text}`);
    endpoints.push(uuid);
  }
  const watch = {
    name: "First",
    request: { url: "https://203.0.113.7/orders" },
    schedule: { every: "1h" },
    fields: { status: "$.order.status", total: "$.order.total" },
  };
  const { status, text } = await app.call("POST", "/v1/watches", watch);
  const [row] = await app.database.sql<{ definition: string }[]>`
    select definition::text as definition from deltahook.watches`;
  if (!row) throw new Error(`no watch was created: ${status} ${text}`);
  return { endpoints, definition: row.definition };
}

/** Unchanged polls are kept for a day only, so their past partitions are few. */
async function addPastPartitions({ database: { sql } }: WholeApp): Promise<void> {
  await sql`select deltahook.ensure_partitions(now() - interval '1 day')`;
  await sql.begin(async (tx) => {
    await tx`delete from deltahook.partitioned where parent = 'polls_unchanged'`;
    await tx`select deltahook.ensure_partitions(now() - ${DAYS}::int * interval '1 day')`;
    await tx`insert into deltahook.partitioned (parent, step, ahead) values ('polls_unchanged', '1 hour', '2 days')`;
  });
}

async function seedWatches(
  { database: { sql } }: WholeApp,
  { watches, startMs, definition }: { watches: number; startMs: number; definition: string },
): Promise<void> {
  await sql`
    insert into deltahook.watches (id, name, definition, host, paused_at)
    select id_at(${startMs}::bigint + n, 'watch'), 'Order ' || n, ${definition}::text::json,
      'host-' || n % 1000 || '.example.com', case when n % 500 = 0 then now() end
    from generate_series(1, ${watches}::int) n`;
  await sql`
    insert into deltahook.watch_status (watch_id, sequence, failures, failing, problem)
    select id_at(${startMs}::bigint + n, 'watch'), 3, 0, n % 200 = 0, case when n % 200 = 0 then 'The source answered 503.' end
    from generate_series(1, ${watches}::int) n`;
  await sql`
    insert into deltahook.watch_schedule (watch_id, next_poll_at, interval_ms, phase_ms, due_at)
    select id_at(${startMs}::bigint + n, 'watch'), case when n % 500 > 0 then now() + interval '1 hour' end, 3600000,
      n % 3600000, now() - interval '30 minutes'
    from generate_series(1, ${watches}::int) n`;
  await sql`
    insert into deltahook.watch_state (watch_id, key, value)
    select id_at(${startMs}::bigint + n, 'watch'), key, '{"s":{"v":"paid"}}'
    from generate_series(1, ${watches}::int) n, unnest(array['f:status', 'f:total']) as key`;
}

/** Three unchanged polls of each watch within the last hours, and all others spread over the days. */
async function seedPolls(
  { database: { sql } }: WholeApp,
  { watches, startMs, polls, spanMs }: { watches: number; startMs: number; polls: number; spanMs: number },
): Promise<void> {
  await sql`
    insert into deltahook.polls_unchanged (id, watch_id, ms, lag_ms, bytes, status, outcome)
    select id_at(${Date.now()}::bigint - hour * 3600000 + n % 1800000, 'poll' || n), id_at(${startMs}::bigint + n, 'watch'),
      45, 4, 900, 200, 'unchanged'
    from generate_series(1, ${watches}::int) n, generate_series(1, 3) hour`;
  await sql`
    insert into deltahook.polls (id, watch_id, ms, lag_ms, bytes, status, changes, outcome)
    select id_at(${startMs}::bigint + (n::float8 * ${spanMs} / ${polls})::bigint, 'changed' || n),
      id_at(${startMs}::bigint + case when n % 10 = 0 then 1 else 1 + n % ${watches} end, 'watch'), 45, 4, 900, 200, 1, 'changed'
    from generate_series(1, ${polls}::int) n`;
}

/** Thirty days of minutes of one node. */
async function seedRollups({ database: { sql } }: WholeApp): Promise<void> {
  await sql`
    insert into deltahook.rollups (minute, node_id, metric, count, buckets)
    select minute, 'node', metric, 1000, case when metric like '%\_ms' then shape.buckets end
    from generate_series(date_trunc('minute', now()) - interval '30 days', now(), interval '1 minute') minute,
      unnest(array['events', 'deliveries_delivered', 'deliveries_failed', 'deliveries_dead', 'polls_unchanged', 'polls_changed',
        'polls_failed', 'polls_held', 'delivery_latency_ms', 'attempt_ms', 'poll_lag_ms', 'poll_ms']) metric,
      (select array_agg(case when place between 20 and 60 then place else 0 end order by place) as buckets
       from generate_series(1, 80) place) shape`;
  // As the maintenance does each hour.
  await sql`select deltahook.sum_rollup_hours()`;
}
