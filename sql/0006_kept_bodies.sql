-- The last bodies of a watch, for backtests: as many as its keep_bodies says, each only when it differs from the one before.

create table deltahook.watch_bodies (
  watch_id uuid not null references deltahook.watches on delete cascade,
  id uuid not null,       -- the poll that brought it
  digest bigint not null, -- of the bytes that the source sent
  body bytea not null,    -- {"complete", "pages"} as JSON, compressed by zstd
  primary key (watch_id, id)
);
alter table deltahook.watch_bodies alter column body set storage external; -- it is compressed already
