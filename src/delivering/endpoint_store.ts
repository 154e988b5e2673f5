import type { Sql, SqlRunner, Transaction } from "../platform/database.ts";
import type { StoredHeaders } from "../vault/headers.ts";
import type { EndpointKind } from "./endpoint.ts";
import type { RetryPolicy } from "./retry.ts";
import type { StoredSigning } from "./signing_secrets.ts";

/** What people decide about an endpoint. Durations are milliseconds, `plugin_options` is JSON text. */
export type EndpointSettings = {
  name: string;
  url: string;
  event_types: readonly string[];
  filter: string | null;
  headers: StoredHeaders;
  secret_id: string | null;
  plugin: readonly string[];
  plugin_options: string;
  retry: RetryPolicy | null;
  timeout_ms: number | null;
  rate_limit_max: number | null;
  rate_limit_per_ms: number | null;
  max_in_flight: number;
  ordered: boolean;
  auto_pause: boolean;
};

/** With what it has become, and how its deliveries go. */
export type EndpointRow = EndpointSettings & {
  id: string;
  kind: EndpointKind;
  signing: StoredSigning;
  revision: number;
  updated_at: Date;
  paused_reason: "manual" | "gone" | "failing" | null;
  paused_since: Date | null;
  failing_since: Date | null;
  hold_until: Date | null;
  probe_at: Date | null;
  has_parked: boolean;
};

export type EndpointFilter = { kind: EndpointKind | undefined; cursor: string | null; limit: number };

/** Sealed parts are bound to the id, so the id is made before the row. */
export async function newId(sql: SqlRunner): Promise<string> {
  const rows = await sql<{ id: string }[]>`select deltahook.uuid7() as id`;
  return rows.map((row) => row.id).join();
}

/**
 * The endpoint and its row of health, in one statement; one with an origin is an implicit one.
 * @returns false when a direct endpoint of that origin, or nothing of that secret_id, is there
 */
export async function insertEndpoint(
  sql: SqlRunner,
  endpoint: EndpointSettings & { id: string; origin: string | null; signing: StoredSigning; kind?: "listen" },
): Promise<boolean> {
  const kind = endpoint.kind ?? (endpoint.origin === null ? "subscribed" : "direct");
  const rows = await sql`
    with made as (
      insert into deltahook.endpoints (
        id, kind, origin, name, url, event_types, filter, headers, secret_id, plugin, plugin_options, retry, timeout_ms,
        rate_limit_max, rate_limit_per_ms, max_in_flight, ordered, auto_pause, signing)
      values (
        ${endpoint.id}, ${kind}, ${endpoint.origin}, ${endpoint.name},
        ${endpoint.url}, ${endpoint.event_types as string[]}::text[], ${endpoint.filter}, ${json(endpoint.headers)}::text::json,
        ${endpoint.secret_id}, ${endpoint.plugin as string[]}::text[], ${endpoint.plugin_options}::text::json,
        ${json(endpoint.retry)}::text::json, ${endpoint.timeout_ms}, ${endpoint.rate_limit_max},
        ${endpoint.rate_limit_per_ms}, ${endpoint.max_in_flight}, ${endpoint.ordered}, ${endpoint.auto_pause},
        ${json(endpoint.signing)}::text::json)
      on conflict (origin) do nothing
      returning id
    ),
    healthy as (insert into deltahook.endpoint_health (endpoint_id) select id from made)
    select id from made`;
  return rows.length > 0;
}

/** Only if nobody changed it since `revision`. */
export async function updateEndpoint(
  sql: SqlRunner,
  endpoint: EndpointSettings & { id: string; revision: number },
): Promise<boolean> {
  const result = await sql`
    update deltahook.endpoints set
      name = ${endpoint.name}, url = ${endpoint.url}, event_types = ${endpoint.event_types as string[]}::text[],
      filter = ${endpoint.filter}, headers = ${json(endpoint.headers)}::text::json, secret_id = ${endpoint.secret_id},
      plugin = ${endpoint.plugin as string[]}::text[], plugin_options = ${endpoint.plugin_options}::text::json,
      retry = ${json(endpoint.retry)}::text::json, timeout_ms = ${endpoint.timeout_ms},
      rate_limit_max = ${endpoint.rate_limit_max}, rate_limit_per_ms = ${endpoint.rate_limit_per_ms},
      max_in_flight = ${endpoint.max_in_flight}, ordered = ${endpoint.ordered}, auto_pause = ${endpoint.auto_pause},
      revision = revision + 1, updated_at = now()
    where id = ${endpoint.id} and revision = ${endpoint.revision}`;
  return result.count > 0;
}

/** Only if nobody changed the endpoint since `revision`. */
export async function updateSigning(
  sql: SqlRunner,
  endpoint: { id: string; revision: number; signing: StoredSigning },
): Promise<boolean> {
  const result = await sql`
    update deltahook.endpoints
    set signing = ${json(endpoint.signing)}::text::json, revision = revision + 1, updated_at = now()
    where id = ${endpoint.id} and revision = ${endpoint.revision}`;
  return result.count > 0;
}

/** Newest first. */
export function listEndpoints(sql: SqlRunner, { kind, cursor, limit }: EndpointFilter): Promise<EndpointRow[]> {
  return sql<EndpointRow[]>`
    ${readEndpoint(sql)}
    where true ${kind ? sql`and endpoint.kind = ${kind}` : sql``} ${cursor ? sql`and endpoint.id < ${cursor}` : sql``}
    order by endpoint.id desc limit ${limit}`;
}

export async function findEndpoint(sql: SqlRunner, id: string): Promise<EndpointRow | undefined> {
  const [row] = await sql<EndpointRow[]>`${readEndpoint(sql)} where endpoint.id = ${id}`;
  return row;
}

function readEndpoint(sql: SqlRunner) {
  return sql`
    select endpoint.id, endpoint.kind, name, url, event_types, filter, headers, secret_id, plugin,
      plugin_options::text as plugin_options, retry, timeout_ms, rate_limit_max, rate_limit_per_ms, max_in_flight, ordered,
      auto_pause, signing, revision, updated_at, paused_reason, paused_since, failing_since,
      case when hold_until > now() then hold_until end as hold_until, probe_at, has_parked
    from deltahook.endpoints endpoint
    join deltahook.endpoint_health health on health.endpoint_id = endpoint.id`;
}

/** @returns whether it was not paused by a person already */
export async function pauseEndpoint(sql: SqlRunner, id: string): Promise<boolean> {
  const result = await sql`
    update deltahook.endpoint_health
    set paused_reason = 'manual', paused_since = now(), probe_at = null, probe_step = 0
    where endpoint_id = ${id} and paused_reason is distinct from 'manual'`;
  return result.count > 0;
}

/** Forgets every failure: the endpoint starts anew. @returns whether it was paused */
export async function resumeEndpoint(sql: SqlRunner, id: string): Promise<boolean> {
  const result = await sql`
    update deltahook.endpoint_health
    set paused_reason = null, paused_since = null, failing_since = null, warned = 0, window_at = null, window_tries = 0,
      window_failures = 0, probe_at = null, probe_step = 0
    where endpoint_id = ${id} and paused_reason is not null`;
  return result.count > 0;
}

/**
 * Removes the endpoint. Its health is locked first, as publishers do: whoever publishes either comes before, or does not
 * find it any more. What it is owed is cancelled afterwards.
 * @returns whether it was there
 */
export async function deleteEndpoint(sql: Transaction, id: string): Promise<boolean> {
  await sql`select from deltahook.endpoint_health where endpoint_id = ${id} for update`;
  const result = await sql`delete from deltahook.endpoints where id = ${id}`;
  return result.count > 0;
}

const CANCELLED_AT_ONCE = 5_000;

/**
 * Cancels what is owed to an endpoint that was deleted, the backlog in bounded batches, and not in the transaction of the
 * deletion: all who publish would wait for that. What a crash leaves, the hourly maintenance finds.
 */
export async function cancelOwed(sql: Sql, id: string): Promise<void> {
  const cancelled = sql`
    state = 'cancelled', finished_at = now(), due_at = null, job = null, parked = false, probe = false,
    last_error = 'The endpoint was deleted.'`;
  for (;;) {
    const result = await sql`
      with chosen as materialized (
        select id from deltahook.deliveries where endpoint_id = ${id} and parked
        limit ${CANCELLED_AT_ONCE} for update skip locked)
      update deltahook.deliveries set ${cancelled}
      where id = any(array(select id from chosen)) and state = 'pending'`;
    if (result.count < CANCELLED_AT_ONCE) break;
  }
  await sql`update deltahook.deliveries set ${cancelled} where endpoint_id = ${id} and state = 'pending'`;
}

/** Those of the given endpoints that exist, with their kind. */
export function existingEndpoints(
  sql: SqlRunner,
  ids: readonly string[],
): Promise<{ id: string; kind: EndpointKind }[]> {
  return sql<{ id: string; kind: EndpointKind }[]>`
    select id, kind from deltahook.endpoints where id = any(${ids as string[]}::uuid[])`;
}

/** The implicit endpoints of these origins. */
export function directEndpoints(sql: SqlRunner, origins: readonly string[]): Promise<{ id: string; origin: string }[]> {
  return sql<{ id: string; origin: string }[]>`
    select id, origin from deltahook.endpoints where origin = any(${origins as string[]}::text[])`;
}

function json(value: unknown): string | null {
  return value === null ? null : JSON.stringify(value);
}
