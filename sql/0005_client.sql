-- What the client library needs beyond deltahook.send, for a role that has no right on any table.

-- ── deltahook.send_to ────────────────────────────────────────────────────────────────────────────────────────────

-- deltahook.send to one address, with headers, retry policy, timeout of a try and term of its dead letter of its own, in
-- the caller's transaction.
-- retry, in milliseconds: {"delays": [5000, 300000]} or {"attempts": 5, "first": 5000, "factor": 2, "max": 86400000}.
-- Credentials are refused as headers: SQL has no key to seal them with, and they must not lie readable in a table.
create function deltahook.send_to(
  url text, data json, type text default 'webhook', headers json default null, retry json default null,
  idempotency_key text default null, timeout_ms int default null, keep_ms bigint default null
) returns text language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  known boolean;
  event_id text;
  fault text := coalesce(deltahook.headers_fault(headers), deltahook.retry_fault(retry));
begin
  if url is null then
    raise exception 'deltahook.send_to needs a url'
      using errcode = 'invalid_parameter_value', hint = 'deltahook.send states an event to its subscribers.';
  elsif fault is not null then
    raise exception '%', fault using errcode = 'invalid_parameter_value';
  elsif timeout_ms not between 100 and 300000 then
    raise exception 'the timeout must be from 100ms to 5m' using errcode = 'invalid_parameter_value';
  elsif keep_ms not between 3600000 and 315360000000 then
    raise exception 'a dead letter is kept from 1h to 3650d' using errcode = 'invalid_parameter_value';
  end if;
  known := exists (select from deltahook.idempotency_keys kept
                   where kept.key = idempotency_key and kept.created_at >= now() - interval '24 hours');
  event_id := deltahook.send(type, data, url, idempotency_key);
  -- An event that an earlier call stated, here or in a transaction that was waited for, keeps what it had.
  if not known then
    update deltahook.events event
    set target = json_strip_nulls(json_build_object(
      'url', url, 'retry', retry, 'timeoutMs', timeout_ms, 'keepMs', keep_ms, 'headers',
      (select json_object_agg(lower(header.key), header.value) from json_each(headers) header)))
    where event.id = substr(event_id, 5)::uuid and event.xmin = pg_current_xact_id()::xid;
  end if;
  return event_id;
end $$;

-- What is wrong with headers of one's own, as a sentence, or null.
create function deltahook.headers_fault(headers json) returns text language plpgsql immutable
set search_path = pg_catalog, pg_temp as $$
declare
  header record;
  names int := 0;
begin
  if headers is null then
    return null;
  elsif json_typeof(headers) <> 'object' then
    return 'headers must be an object of names and texts';
  end if;
  for header in select lower(key) as name, value from json_each(headers) loop
    names := names + 1;
    if names > 50 then
      return 'there may be at most 50 headers';
    elsif header.name !~ '^[a-z0-9!#$%&''*+.^_`|~-]{1,200}$' then
      return format('%L is not a header name', left(header.name, 100));
    elsif header.name ~ '^(webhook-.*|content-type|content-length|user-agent|x-deltahook-event|host|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect)$|^proxy-' then
      return format('the header %s is set by DeltaHook itself; take it out', header.name);
    elsif header.name ~ 'authori[sz]ation|(^|[-_])auth([-_]|$)|cookie|token|secret|password|passwd|credential|(api|access|private|auth)[-_]?key|signature|session' then
      return format('the header %s carries a credential, which cannot be sealed in SQL; send it over HTTP, or give its endpoint a secret', header.name);
    elsif json_typeof(header.value) <> 'string' or (header.value #>> '{}') !~ '^[\t -~]*$' or length(header.value #>> '{}') > 4000 then
      return format('the header %s must be a text of at most 4000 printable ASCII characters', header.name);
    end if;
  end loop;
  return null;
end $$;

-- What is wrong with a retry policy in milliseconds, as a sentence, or null.
create function deltahook.retry_fault(retry json) returns text language plpgsql immutable
set search_path = pg_catalog, pg_temp as $$
declare
  week constant numeric := 604800000;
  rule constant text := 'retry must be {"delays": [up to 50 delays]}, or {"attempts": 1 to 50, "first", "factor": 1 to 10, "max"}, delays in milliseconds up to 7 days';
  policy jsonb := retry::jsonb;
begin
  if policy is null then
    return null;
  elsif jsonb_typeof(policy) <> 'object' then
    return rule;
  elsif policy ? 'delays' then
    if policy - 'delays' <> '{}' or jsonb_typeof(policy->'delays') <> 'array' or jsonb_array_length(policy->'delays') > 50 then
      return rule;
    end if;
    return case when exists (
      select from jsonb_array_elements(policy->'delays') delay
      where not case jsonb_typeof(delay) when 'number' then delay::numeric between 0 and week else false end) then rule end;
  elsif not policy ?& array['attempts', 'first', 'factor', 'max'] or policy - array['attempts', 'first', 'factor', 'max'] <> '{}'
    or exists (select from jsonb_each(policy) where jsonb_typeof(value) <> 'number') then
    return rule;
  end if;
  return case when not (
    (policy->'attempts')::numeric between 1 and 50 and (policy->'attempts')::numeric % 1 = 0
    and (policy->'first')::numeric between 0 and week and (policy->'factor')::numeric between 1 and 10
    and (policy->'max')::numeric between 0 and week) then rule end;
end $$;

-- ── deltahook.status ─────────────────────────────────────────────────────────────────────────────────────────────

-- What became of an event: {"id", "type", "waiting": not yet handed to its endpoints, "deliveries": […]}; null when
-- there is no such event. Ids are unguessable, so whoever has one was told it.
create function deltahook.status(event_id text) returns json language sql stable security definer
set search_path = pg_catalog, pg_temp as $$
  with asked as (
    select case when event_id ~ '^evt_[0-9a-f]{32}$' then substr(event_id, 5)::uuid end as id
  )
  select json_build_object(
    'id', event_id, 'type', event.type, 'waiting', event.awaits_fan_out,
    'deliveries', coalesce(
      (select json_agg(json_build_object(
         'id', 'dlv_' || replace(delivery.id::text, '-', ''),
         'url', coalesce(event.target->>'url', endpoint.url),
         'status', delivery.state,
         'tries', delivery.attempt - 1,
         'due_at', case when delivery.state = 'pending' and not delivery.parked
                        then to_char(delivery.due_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') end,
         'finished_at', to_char(delivery.finished_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
         'last_status', delivery.last_status,
         'last_error', delivery.last_error) order by delivery.id)
       from deltahook.deliveries delivery
       left join deltahook.endpoints endpoint on endpoint.id = delivery.endpoint_id
       where delivery.event_id = event.id
         and delivery.id >= deltahook.uuid7_floor(deltahook.uuid7_time(event.id) - interval '1 hour')),
      '[]'::json))
  from asked join deltahook.events event on event.id = asked.id
$$;

-- Dead letters with a term of their own.
create index dead_letters_kept on deltahook.dead_letters (died_at) where target->>'keepMs' is not null;

-- ── rights ───────────────────────────────────────────────────────────────────────────────────────────────────────

revoke all on function deltahook.send_to(text, json, text, json, json, text, int, bigint) from public;
revoke all on function deltahook.status(text) from public;

do $$
begin
  if exists (select from pg_roles where rolname = 'deltahook_sender') then
    grant execute on function deltahook.send_to(text, json, text, json, json, text, int, bigint) to deltahook_sender;
    grant execute on function deltahook.status(text) to deltahook_sender;
  end if;
end $$;
