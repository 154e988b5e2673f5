-- The foundation: ids, people, credentials, watches, endpoints, the log-like tables and their partitions.
-- Runs inside one transaction, after graphile-worker has installed its own schema, deltahook_queue.

-- ── ids ──────────────────────────────────────────────────────────────────────────────────────────────────────────

-- UUIDv7 (RFC 9562, 5.7) on the database's clock; Postgres has its own from 18 on.
create function deltahook.uuid7() returns uuid language sql volatile parallel safe as $$
  select encode(
    set_bit(set_bit(
      overlay(uuid_send(gen_random_uuid())
              placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3)
              from 1 for 6),
      52, 1), 53, 1), 'hex')::uuid
$$;

-- The smallest id of a moment: the bound of a partition, and of every search by time.
create function deltahook.uuid7_floor(at timestamptz) returns uuid language sql immutable parallel safe as $$
  select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid
$$;

create function deltahook.uuid7_time(id uuid) returns timestamptz language sql immutable parallel safe as $$
  select to_timestamp(('x0000' || substr(replace(id::text, '-', ''), 1, 12))::bit(64)::bigint / 1000.0)
$$;

-- ── partitions ───────────────────────────────────────────────────────────────────────────────────────────────────

-- Log-like tables are ranges of UUIDv7: the key prunes by time, and retention drops whole tables.
create table deltahook.partitioned (
  parent text primary key,
  step interval not null,
  ahead interval not null
);

create function deltahook.ensure_partitions(now_at timestamptz default now()) returns int language plpgsql as $$
declare
  rule record;
  slot timestamptz;
  child text;
  made int := 0;
begin
  for rule in select * from deltahook.partitioned loop
    slot := date_bin(rule.step, now_at - greatest(rule.step, interval '1 hour'), timestamptz '2020-01-01 00:00:00+00');
    while slot < now_at + rule.ahead loop
      child := format('%s_p%s', rule.parent, to_char(slot at time zone 'UTC', 'YYYYMMDD"t"HH24'));
      if to_regclass(format('deltahook.%I', child)) is null then
        execute format('create table deltahook.%I partition of deltahook.%I for values from (%L) to (%L)',
          child, rule.parent, deltahook.uuid7_floor(slot), deltahook.uuid7_floor(slot + rule.step));
        made := made + 1;
      end if;
      slot := slot + rule.step;
    end loop;
  end loop;
  return made;
end $$;

-- ── jobs ─────────────────────────────────────────────────────────────────────────────────────────────────────────

-- The one way into the queue. max_attempts is the largest there is: a lease freed 25 times must not bury a job.
create function deltahook.enqueue(task text, keys text[], payloads json[]) returns int language plpgsql as $$
begin
  if coalesce(cardinality(keys), 0) = 0 then
    return 0;
  end if;
  perform deltahook_queue.add_jobs(array(
    select row(task, job.payload, null, null, 32767, job.key, 0, null)::deltahook_queue.job_spec
    from unnest(keys, payloads) as job(key, payload)));
  return cardinality(keys);
end $$;

-- Which jobs there are, for the sweep that looks for lost ones.
create view deltahook.job_keys as select key from deltahook_queue._private_jobs where key is not null;

-- Frees what pools without a living row still hold: crashed ones, and zombies that locked once more. A lock younger
-- than 5 s may belong to a pool that is only just being announced.
create function deltahook.free_dead_locks(dead_after interval) returns text[] language plpgsql as $$
declare
  dead text[];
begin
  select array_agg(distinct job.locked_by) into dead
  from deltahook_queue._private_jobs job
  where job.locked_at < now() - interval '5 seconds'
    and not exists (select from deltahook.nodes node
                    where node.pool_id = job.locked_by and node.beat_at > now() - dead_after);
  if dead is not null then
    perform deltahook_queue.force_unlock_workers(dead);
  end if;
  return coalesce(dead, '{}');
end $$;

-- Frees what one pool still holds, when its node knows that the pool has ended.
create function deltahook.free_pool(pool_id text) returns void language plpgsql as $$
begin
  perform deltahook_queue.force_unlock_workers(array[pool_id]);
end $$;

-- One row per worker pool, beating on the database's clock; a pool without a beat for 20 s is given up.
create table deltahook.nodes (
  pool_id text primary key,
  node_id text not null,
  pool text not null,
  version text not null,
  started_at timestamptz not null default now(),
  beat_at timestamptz not null default now()
) with (fillfactor = 50);

-- ── people ───────────────────────────────────────────────────────────────────────────────────────────────────────

create table deltahook.users (
  id uuid primary key default deltahook.uuid7(),
  email text not null,
  name text not null default '',
  role text not null check (role in ('admin', 'editor', 'viewer')),
  disabled_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create unique index users_email on deltahook.users (lower(email));

-- Apart from the people themselves: no query about users can bring a hash along.
create table deltahook.passwords (
  user_id uuid primary key references deltahook.users on delete cascade,
  hash text not null,
  changed_at timestamptz not null default now()
);

create table deltahook.sessions (
  token_hash bytea primary key,
  user_id uuid not null references deltahook.users on delete cascade,
  created_at timestamptz not null default now(),
  seen_at timestamptz not null default now(),
  address text,
  user_agent text
);
create index sessions_user on deltahook.sessions (user_id);

create table deltahook.login_throttle (
  subject text primary key, -- 'account:<hash>' or 'address:<ip>'
  failures int not null,
  last_failure_at timestamptz not null
);

create table deltahook.setup_links (
  token_hash bytea primary key,
  created_at timestamptz not null default now()
);

create table deltahook.api_keys (
  id uuid primary key default deltahook.uuid7(),
  name text not null,
  role text not null check (role in ('admin', 'editor', 'viewer')),
  key_hash bytea not null unique,
  hint text not null, -- the first characters, to tell keys apart
  rate_limit json,
  created_by uuid references deltahook.users on delete set null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  last_used_at timestamptz
);

create table deltahook.audit_log (
  id uuid primary key default deltahook.uuid7(),
  actor_kind text not null check (actor_kind in ('user', 'api_key', 'system', 'cli')),
  actor_id uuid,
  actor_name text not null,
  action text not null,
  resource_kind text not null,
  resource_id text,
  address text,
  detail json
);

-- ── credentials ──────────────────────────────────────────────────────────────────────────────────────────────────

create table deltahook.secrets (
  id uuid primary key default deltahook.uuid7(),
  name text not null unique,
  kind text not null check (kind in ('bearer', 'basic', 'header', 'query', 'oauth2_client_credentials')),
  sealed text not null, -- a compact JWE; the id and kind are bound into its protected header
  revision int not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

-- Tokens fetched with an OAuth2 secret, shared by all nodes.
create table deltahook.oauth_tokens (
  secret_id uuid primary key references deltahook.secrets on delete cascade,
  sealed text not null,
  secret_revision int not null,
  fetched_at timestamptz not null default now(),
  expires_at timestamptz not null
);

-- ── watches ──────────────────────────────────────────────────────────────────────────────────────────────────────

-- Changed by people only; what a poll changes lies in the narrow tables below.
create table deltahook.watches (
  id uuid primary key default deltahook.uuid7(),
  name text not null,
  definition json not null, -- the body as it was accepted, defaults applied
  host text not null,
  secret_id uuid references deltahook.secrets,
  paused_at timestamptz,
  revision int not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);
create index watches_host on deltahook.watches (host);
create index watches_secret on deltahook.watches (secret_id) where secret_id is not null;

-- The only table that the tick writes. next_poll_at is null while the watch is paused.
create table deltahook.watch_schedule (
  watch_id uuid primary key references deltahook.watches on delete cascade,
  next_poll_at timestamptz,
  interval_ms int not null,
  phase_ms int not null,
  due_at timestamptz,       -- the slot that the running poll serves: lag is measured against it
  busy_until timestamptz,   -- a poll in flight is not started again; a lost one is, after this
  job uuid,                 -- the chunk that owns the running poll; any other is out of date
  slow boolean not null default false
) with (fillfactor = 50);
create index watch_schedule_due on deltahook.watch_schedule (next_poll_at);

-- What polls learn: written only when it changes.
create table deltahook.watch_status (
  watch_id uuid primary key references deltahook.watches on delete cascade,
  state_version bigint not null default 0,
  sequence bigint not null default 0,
  etag text,
  last_modified text,
  full_poll_at timestamptz,
  failures int not null default 0,
  failing boolean not null default false,
  problem text,
  held json
) with (fillfactor = 50);

create index watch_status_attention on deltahook.watch_status (watch_id) where failing or held is not null;

create table deltahook.watch_state (
  watch_id uuid not null references deltahook.watches on delete cascade,
  key text not null, -- 'f:<field>' or 'i:<item key>'
  value json not null,
  primary key (watch_id, key)
) with (fillfactor = 70);

create table deltahook.hosts (
  host text primary key,
  concurrency int,
  rate real,
  hold_until timestamptz,
  hold_reason text
);

-- Unchanged polls: many, short-lived, hourly partitions. The key is the only index.
create table deltahook.polls_unchanged (
  id uuid not null,
  watch_id uuid not null,
  next_poll_at timestamptz,
  ms int not null,
  lag_ms int not null,
  bytes int not null,
  status smallint,
  outcome text not null check (outcome in ('unchanged', 'not_modified')),
  primary key (watch_id, id)
) partition by range (id);
create index polls_unchanged_time on deltahook.polls_unchanged using brin (id);

create table deltahook.polls (
  id uuid not null,
  watch_id uuid not null,
  next_poll_at timestamptz,
  ms int not null,
  lag_ms int not null,
  bytes int not null,
  status smallint,
  changes int not null default 0,
  outcome text not null check (outcome in ('baseline', 'changed', 'held', 'failed')),
  problem text,
  primary key (watch_id, id)
) partition by range (id);
create index polls_time on deltahook.polls using brin (id);

-- ── endpoints ────────────────────────────────────────────────────────────────────────────────────────────────────

create table deltahook.endpoints (
  id uuid primary key default deltahook.uuid7(),
  kind text not null default 'subscribed' check (kind in ('subscribed', 'direct')),
  origin text unique check ((kind = 'direct') = (origin is not null)),
  name text not null,
  url text not null,
  event_types text[] not null,
  filter text,
  headers json not null default '{}',
  secret_id uuid references deltahook.secrets,
  plugin text[] not null default '{}',
  plugin_options json not null default '{}',
  retry json,
  timeout_ms int,
  rate_limit_max int,
  rate_limit_per_ms int,
  max_in_flight int not null,
  ordered boolean not null default false,
  auto_pause boolean not null default true,
  signing json not null, -- [{sealed, expires_at}], the newest first
  revision int not null default 1,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check ((rate_limit_max is null) = (rate_limit_per_ms is null))
);
create index endpoints_secret on deltahook.endpoints (secret_id) where secret_id is not null;

-- What deliveries learn about an endpoint: narrow, and locked in id order by whoever locks several.
create table deltahook.endpoint_health (
  endpoint_id uuid primary key references deltahook.endpoints on delete cascade,
  paused_reason text check (paused_reason in ('manual', 'gone', 'failing')),
  paused_since timestamptz,
  has_parked boolean not null default false, -- while true, publish parks too
  hold_until timestamptz,                    -- Retry-After of a 429 or 503
  failing_since timestamptz,                 -- the first failure since the last success
  warned int not null default 0,             -- 50, 70, 90: the last endpoint.failing stated
  window_at timestamptz,                     -- breaker: start of the 5 minutes
  window_tries int not null default 0,
  window_failures int not null default 0,
  probe_at timestamptz,
  probe_step int not null default 0,
  paced_until timestamptz,                   -- GCRA: theoretical arrival time
  seq bigint not null default 0,             -- ordered endpoints: the last place given out
  check ((paused_reason is null) = (paused_since is null))
) with (fillfactor = 50);
create index endpoint_health_parked on deltahook.endpoint_health (endpoint_id) where has_parked;

-- Publishers keep the subscriptions in memory and look at this one number.
create table deltahook.subscriptions (
  only_row boolean primary key default true check (only_row),
  version bigint not null default 1
);
insert into deltahook.subscriptions default values;

create function deltahook.subscriptions_changed() returns trigger language plpgsql as $$
begin
  update deltahook.subscriptions set version = version + 1;
  return null;
end $$;
create trigger subscriptions_changed after insert or delete or update of event_types, filter, url, ordered on deltahook.endpoints
  for each statement execute function deltahook.subscriptions_changed();

-- ── events and deliveries ────────────────────────────────────────────────────────────────────────────────────────

create table deltahook.events (
  id uuid not null primary key,
  type text not null,
  data json not null, -- json, not jsonb: the sender's bytes
  origin text not null check (origin in ('watch', 'api', 'sql', 'system')),
  watch_id uuid,
  original_id uuid,         -- a replay of an event whose own row is gone keeps its webhook-id
  endpoint_ids uuid[],      -- exactly these; null: whoever subscribes
  about_endpoint uuid,      -- a system event never reaches the endpoint that it concerns
  target json,              -- a direct send: {url, headers, retry}
  idempotency_key text,
  awaits_fan_out boolean not null default false
) partition by range (id);
create index events_type on deltahook.events (type, id);
create index events_watch on deltahook.events (watch_id, id) where watch_id is not null;
create index events_fan_out on deltahook.events (id) where awaits_fan_out;

create table deltahook.deliveries (
  id uuid not null primary key,
  event_id uuid not null,
  endpoint_id uuid not null,
  due_at timestamptz,        -- when the next try is due; every pending, unparked delivery has it
  finished_at timestamptz,
  job uuid,                  -- the job that owns the next try; null while it waits for due_at
  seq bigint,                -- place in an ordered endpoint's line
  attempt int not null default 1,  -- number of the next HTTP try
  tries int not null default 0,    -- tries used of the retry schedule
  last_status smallint,
  state text not null default 'pending' check (state in ('pending', 'delivered', 'dead', 'cancelled')),
  parked boolean not null default false,
  probe boolean not null default false, -- the next try asks whether a failing endpoint is back
  last_error text,
  operation_id uuid,
  check ((state = 'pending') = (finished_at is null)),
  check (state <> 'pending' or parked or due_at is not null),
  check (not parked or (state = 'pending' and job is null))
) partition by range (id);
create index deliveries_due on deltahook.deliveries (due_at) where state = 'pending' and not parked and job is null;
-- The head of each ordered endpoint's line.
create index deliveries_head on deltahook.deliveries (endpoint_id) where state = 'pending' and not parked and seq is not null;
create index deliveries_parked on deltahook.deliveries (endpoint_id, seq, id) where parked;
create index deliveries_event on deltahook.deliveries (event_id);
create index deliveries_endpoint on deltahook.deliveries (endpoint_id, id);
create index deliveries_state on deltahook.deliveries (state, id) where state <> 'delivered';

create table deltahook.attempts (
  id uuid not null,
  delivery_id uuid not null,
  number int not null,
  outcome text not null check (outcome in ('delivered', 'failed', 'interrupted', 'skipped')),
  probe boolean not null default false,
  status smallint,
  ms int not null,
  url text not null,
  request_headers json not null,
  request_body text, -- only when a plugin changed it
  response_headers json,
  response_body text,
  error text,
  plugins json,      -- [{name, version}] that made this body
  primary key (delivery_id, id)
) partition by range (id);
create index attempts_time on deltahook.attempts using brin (id);

-- Kept by their own term, with their own copy of the event.
create table deltahook.dead_letters (
  delivery_id uuid primary key,
  event_id uuid not null,
  endpoint_id uuid not null,
  watch_id uuid,
  type text not null,
  data json not null,
  target json,
  reason text not null check (reason in ('exhausted', 'gone', 'expired', 'rejected')),
  attempts int not null,
  last_status smallint,
  last_error text,
  died_at timestamptz not null default now()
);
create index dead_letters_endpoint on deltahook.dead_letters (endpoint_id, delivery_id);
create index dead_letters_event on deltahook.dead_letters (event_id);
create index dead_letters_died on deltahook.dead_letters (died_at);

create table deltahook.idempotency_keys (
  key text primary key,
  request_hash bytea not null,
  event_id uuid not null,
  deliveries int not null,
  created_at timestamptz not null default now()
);
create index idempotency_keys_age on deltahook.idempotency_keys (created_at);

create table deltahook.operations (
  id uuid primary key default deltahook.uuid7(),
  kind text not null check (kind in ('recover', 'requeue')),
  state text not null default 'running' check (state in ('running', 'done', 'cancelled', 'failed')),
  request json not null,
  done bigint not null default 0,
  total bigint,
  position uuid, -- where to go on after a crash
  problem text,
  created_by text not null,
  updated_at timestamptz not null default now(),
  finished_at timestamptz,
  check ((state = 'running') = (finished_at is null))
);
create index operations_running on deltahook.operations (id) where state = 'running';

-- ── counters ─────────────────────────────────────────────────────────────────────────────────────────────────────

-- One row per minute, node and subject; histograms are counts in logarithmic buckets.
create table deltahook.rollups (
  minute timestamptz not null,
  node_id text not null,
  metric text not null,
  count bigint not null default 0,
  buckets int[],
  primary key (minute, node_id, metric)
) with (fillfactor = 70);

insert into deltahook.partitioned (parent, step, ahead) values
  ('polls_unchanged', '1 hour', '2 days'),
  ('polls', '1 day', '7 days'),
  ('events', '1 day', '7 days'),
  ('deliveries', '1 day', '7 days'),
  ('attempts', '1 day', '7 days');
select deltahook.ensure_partitions();
