-- Watching at run time: schedules, what polls learn, the poll log's notes, holds per credential.

alter table deltahook.watch_schedule
  alter column interval_ms type bigint, -- 30 days in milliseconds is more than an int holds
  alter column phase_ms type bigint,
  alter column phase_ms drop not null,  -- null: no equal interval, each poll decides when the next one is
  add column pace json;                 -- what an adaptive schedule has learned

alter table deltahook.watch_status
  add column last_success_at timestamptz, -- the start of the last successful poll that wrote state; others are in the log
  add column auth_failed boolean not null default false;

-- The order in which rows came: a window of the latest forgets its oldest items first.
alter table deltahook.watch_state add column place bigint generated always as identity;

-- What failed though the poll did not, and what else there is to say: a new reference, changes kept back by conditions.
alter table deltahook.polls_unchanged
  add column problem text,
  add column note text;
alter table deltahook.polls add column note text;

-- A source that asks for patience means the credential too: another customer's key is not slowed down by it.
create table deltahook.host_holds (
  host text not null,
  credential text not null default '', -- the secret's id, or '' for none
  hold_until timestamptz not null,
  reason text not null,
  primary key (host, credential)
);
alter table deltahook.hosts
  alter column rate type double precision,
  drop column hold_until,
  drop column hold_reason;
