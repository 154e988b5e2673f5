import type { Database } from "../../src/platform/database.ts";

const ID = "01900000-0000-7000-8000-00000000000";

/** Rows in every table that a backup holds, with everything in them that a text format could spoil. */
export async function seedAll({ sql }: Database): Promise<void> {
  await sql.unsafe(`
    select deltahook.ensure_partitions(now() - interval '40 days');

    insert into deltahook.users (id, email, name, role, disabled_at) values
      ('${ID}1', 'ann@example.com', E'Ann\\tO\\'Neill\\n\\\\N 木 🎣', 'admin', null),
      ('${ID}2', 'bob@example.com', '', 'viewer', '2026-01-02 03:04:05.678901+00');
    insert into deltahook.passwords (user_id, hash) values ('${ID}1', '$argon2id$v=19$m=1,t=1,p=1$c2FsdA$aGFzaA');
    insert into deltahook.known_addresses (user_id, address) values ('${ID}1', '192.0.2.1');
    insert into deltahook.revoked_tokens (id, expires_at) values ('${ID}3', now() + interval '1 hour');
    insert into deltahook.api_keys (id, name, role, key_hash, hint, created_by) values
      ('${ID}4', 'CI', 'editor', '\\x00ff0a5c', 'dhk_a', '${ID}1');
    insert into deltahook.audit_log (actor_kind, actor_name, action, resource_kind, detail) values
      ('cli', 'cli', 'create', 'user', '{"a": 1.0,  "a": 12345678901234567890}');
    insert into deltahook.secrets (id, name, kind, sealed) values ('${ID}5', 'ERP', 'bearer', 'x.y.z.a.b');

    insert into deltahook.watches (id, name, definition, host, secret_id) values
      ('${ID}6', 'Order 42', '{"name":"Order 42"}', 'erp.example.com', '${ID}5');
    insert into deltahook.watch_schedule (watch_id, next_poll_at, interval_ms, phase_ms) values
      ('${ID}6', now() + interval '1 day', 2592000000, null);
    insert into deltahook.watch_status (watch_id, state_version, sequence, etag) values ('${ID}6', 7, 3, '"quoted"');
    insert into deltahook.watch_state (watch_id, key, value) values
      ('${ID}6', 'f:total', '{"seen": 1.50}'), ('${ID}6', E'i:a\\nb', 'null');
    insert into deltahook.watch_bodies (watch_id, id, digest, body) values
      ('${ID}6', '${ID}7', -9223372036854775808, decode(repeat('00ff0a5c27', 300000), 'hex'));
    insert into deltahook.hosts (host, concurrency, rate) values ('erp.example.com', 4, 0.1);
    insert into deltahook.host_holds (host, hold_until, reason) values ('erp.example.com', 'infinity', '429');

    insert into deltahook.endpoints (id, name, url, event_types, max_in_flight, signing, plugin) values
      ('${ID}8', 'Billing', 'https://billing.example.com/hook', array['a,b', '"', '{}', 'null'], 32, '[]', '{}');
    insert into deltahook.endpoint_health (endpoint_id, seq) values ('${ID}8', 41);
    insert into deltahook.listeners (endpoint_id, opened_by, stream) values ('${ID}8', 'user:1', '${ID}9');
    insert into deltahook.operations (kind, state, request, created_by, finished_at) values
      ('recover', 'done', '{}', 'ann@example.com', now());
    insert into deltahook.idempotency_keys (key, request_hash, event_id, deliveries) values
      ('key', '\\x01', deltahook.uuid7(), 1);
    insert into deltahook.dead_letters (delivery_id, event_id, endpoint_id, type, data, reason, attempts) values
      (deltahook.uuid7(), deltahook.uuid7(), '${ID}8', 'order.paid', '{"total": 1.0}', 'exhausted', 9);

    -- Today's partitions, and some that only retention knew of.
    insert into deltahook.events (id, type, data, origin)
    select id, 'order.paid', E'{"amount": 12345678901234567890, "note": "tab\\\\tand \\\\u0041 \\\\\\\\N", "twice": 1, "twice": 1.0}', 'api'
    from (select deltahook.uuid7() as id from generate_series(1, 2000)
          union all select deltahook.uuid7_floor(now() - interval '40 days')) as made;
    insert into deltahook.deliveries (id, event_id, endpoint_id, finished_at, state)
    select case when deltahook.uuid7_time(id) < now() - interval '1 day' then id else deltahook.uuid7() end, id, '${ID}8', now(), 'delivered'
    from deltahook.events;
    insert into deltahook.attempts (id, delivery_id, number, outcome, ms, url, request_headers, response_body)
    select id, id, 1, 'delivered', 3, 'https://billing.example.com/hook', '{}', E'\\b\\f\\r\\n\\t\\v\\\\.\\n\\\\.'
    from deltahook.deliveries;
    insert into deltahook.polls (id, watch_id, ms, lag_ms, bytes, outcome, problem) values
      (deltahook.uuid7(), '${ID}6', 1, 1, 1, 'failed', ''), (deltahook.uuid7_floor(now() - interval '40 days'), '${ID}6', 1, 1, 1, 'failed', null);
    insert into deltahook.polls_unchanged (id, watch_id, ms, lag_ms, bytes, outcome) values (deltahook.uuid7(), '${ID}6', 1, 1, 1, 'unchanged');
    insert into deltahook.rollups (minute, node_id, metric, count, buckets) values (date_trunc('minute', now()), 'n', 'polls', 3, '{1,null,2}');
    insert into deltahook.rollup_hours (hour, metric, count) values (date_trunc('hour', now()), 'polls', 3)`);
}

/** How many rows a table has and what is in them all, as text. */
export async function contentOf(
  { sql }: Pick<Database, "sql">,
  table: string,
): Promise<{ rows: number; digest: string }> {
  const [found] = await sql<{ rows: number; digest: string }[]>`
    select count(*) as rows, coalesce(md5(string_agg(row::text, E'\n' order by row::text)), '') as digest
    from ${sql(`deltahook.${table}`)} as row`;
  return { rows: found?.rows ?? 0, digest: found?.digest ?? "" };
}
