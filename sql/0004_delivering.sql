-- Delivering: what dead letters keep, and the way into DeltaHook from SQL.

-- The webhook-id of a letter whose event is itself a copy.
alter table deltahook.dead_letters add column original_id uuid;
create index dead_letters_watch on deltahook.dead_letters (watch_id, delivery_id) where watch_id is not null;

-- ── deltahook.send ───────────────────────────────────────────────────────────────────────────────────────────────

-- States an event in the caller's transaction: roll back, and nothing was ever sent. A worker finds out who wants it.
-- Runs with its owner's rights, so that a sender needs none on the tables.
create function deltahook.send(type text, data json, url text default null, idempotency_key text default null)
returns text language plpgsql volatile security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_variable
declare
  event_id uuid := deltahook.uuid7();
  asked bytea := sha256(convert_to(json_build_array(type, data::text, url)::text, 'UTF8'));
  earlier record;
begin
  if type is null or type !~ '^[A-Za-z0-9_.:/-]{1,200}$' then
    raise exception 'the event type % cannot be used', coalesce(quote_literal(left(type, 200)), 'null')
      using errcode = 'invalid_parameter_value', hint = 'Write 1 to 200 letters, digits and _ . : / -';
  elsif type like 'endpoint.%' or type in ('watch.failing', 'watch.recovered', 'watch.auth_failed', 'watch.held') then
    raise exception 'the event type % is stated by DeltaHook itself', quote_literal(type)
      using errcode = 'invalid_parameter_value', hint = 'Choose another type.';
  elsif data is null then
    raise exception 'an event needs data'
      using errcode = 'invalid_parameter_value', hint = 'Write ''null''::json for an event without any.';
  elsif octet_length(data::text) > 262144 then
    raise exception 'data has more than 262144 bytes (256 KiB)'
      using errcode = 'program_limit_exceeded', hint = 'Send less, or a link to the rest.';
  elsif url is not null and url !~ '^https?://[^\s/?#@]+([/?#]\S*)?$' then
    raise exception 'the url % cannot be called', quote_literal(left(url, 200))
      using errcode = 'invalid_parameter_value',
        hint = 'Write a whole http or https address, without a user name or password.';
  elsif idempotency_key is not null and idempotency_key !~ '^[^[:cntrl:]]{1,255}$' then
    raise exception 'the idempotency key cannot be used'
      using errcode = 'invalid_parameter_value', hint = 'Write 1 to 255 characters, none of them a control character.';
  end if;

  if idempotency_key is not null then
    -- Waits for a transaction that is using the key just now.
    insert into deltahook.idempotency_keys as kept (key, request_hash, event_id, deliveries)
    values (idempotency_key, asked, event_id, 0)
    on conflict (key) do update
      set request_hash = excluded.request_hash, event_id = excluded.event_id, deliveries = 0, created_at = now()
      where kept.created_at < now() - interval '24 hours';
    select kept.event_id, kept.request_hash into earlier
    from deltahook.idempotency_keys kept where kept.key = idempotency_key;
    if earlier.request_hash <> asked then
      raise exception 'the idempotency key % was used within the last 24 hours for another event', quote_literal(idempotency_key)
        using errcode = 'unique_violation', hint = 'Use a new key, or send the same event again.';
    elsif earlier.event_id <> event_id then
      return 'evt_' || replace(earlier.event_id::text, '-', '');
    end if;
  end if;

  insert into deltahook.events (id, type, data, origin, target, idempotency_key, awaits_fan_out)
  values (event_id, type, data, 'sql', case when url is not null then json_build_object('url', url) end,
          idempotency_key, true);
  perform deltahook.enqueue('fan_out', array['fan_out:' || event_id], array[json_build_object('event', event_id)]);
  return 'evt_' || replace(event_id::text, '-', '');
end $$;

revoke all on function deltahook.send(text, json, text, text) from public;

-- Roles belong to the whole cluster: there may be one already, and a managed database may not let us make one.
do $$
begin
  if not exists (select from pg_roles where rolname = 'deltahook_sender') then
    begin
      create role deltahook_sender nologin;
    exception
      when duplicate_object or unique_violation then null;
      when insufficient_privilege then
        raise notice 'deltahook_sender was not created: % may not create roles. Create it and grant it usage on schema deltahook and execute on function deltahook.send.', current_user;
    end;
  end if;
  if exists (select from pg_roles where rolname = 'deltahook_sender') then
    grant usage on schema deltahook to deltahook_sender;
    grant execute on function deltahook.send(text, json, text, text) to deltahook_sender;
  end if;
end $$;
