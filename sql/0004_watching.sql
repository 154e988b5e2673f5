-- Watching at run time: long intervals, what adaptive schedules have learned, holds per credential.

-- 30 days in milliseconds is more than an int holds.
alter table deltahook.watch_schedule
  alter column interval_ms type bigint,
  alter column phase_ms type bigint;

-- What an adaptive schedule has learned: {changes, watchedMs, quick, at}. Written when the source changed, and while
-- quick polls are still due; the rest follows from the time that has passed.
alter table deltahook.watch_status
  add column pace json,
  add column last_success_at timestamptz; -- of the last poll that wrote state; unchanged ones are in their log

-- A source that asks for patience means the credential too: another customer's key is not slowed down by it.
create table deltahook.host_holds (
  host text not null,
  credential text not null default '', -- the secret's id, or '' for none
  hold_until timestamptz not null,
  reason text not null,
  primary key (host, credential)
);
alter table deltahook.hosts
  drop column hold_until,
  drop column hold_reason;
