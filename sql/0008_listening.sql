-- Listening: temporary endpoints whose deliveries somebody's command line answers (`deltahook listen`).

alter table deltahook.endpoints drop constraint endpoints_kind_check;
alter table deltahook.endpoints add constraint endpoints_kind_check check (kind in ('subscribed', 'direct', 'listen'));

-- The lease of an endpoint of the kind 'listen'. Whoever follows it renews it; it ends some time after the last look.
create table deltahook.listeners (
  endpoint_id uuid primary key references deltahook.endpoints on delete cascade,
  opened_by text not null,     -- 'user:<id>' or 'api_key:<id>': nobody else may follow or answer
  stream uuid not null unique, -- the connection that is served; an earlier one has lost its claim
  seen_at timestamptz not null default now()
) with (fillfactor = 50);
create index listeners_seen on deltahook.listeners (seen_at);

-- Tries that wait for an answer: put by the node that delivers, read by the one that holds the stream, answered through
-- any. Unlogged, since the delivery itself is safe: what a crash of Postgres takes away is put again by who waits.
create unlogged table deltahook.listen_requests (
  id uuid primary key,
  endpoint_id uuid not null references deltahook.listeners on delete cascade,
  stream uuid,                 -- the connection that it was last written to
  deadline_at timestamptz not null,
  headers json not null,
  body bytea not null,
  answer json                  -- {status, headers, body} or {error}
);
create index listen_requests_endpoint on deltahook.listen_requests (endpoint_id);
