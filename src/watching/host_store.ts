import type { SqlRunner } from "../platform/database.ts";

/** What people set for a host; null: what the settings say. 0: no limit. */
export type HostLimits = { host: string; concurrency: number | null; rate: number | null };

/** Until when a host with a credential (a secret's UUID, or '') asked to be left alone. */
export type HostHold = { host: string; credential: string; untilMs: number };

export type HostRow = HostLimits & {
  watches: number;
  /** Requests a second that the watches' schedules ask for together. */
  asked: number;
  holds: { credential: string; until: string; reason: string }[];
};

export async function loadLimits(sql: SqlRunner): Promise<HostLimits[]> {
  return sql<HostLimits[]>`select host, concurrency, rate from deltahook.hosts`;
}

export async function loadHolds(sql: SqlRunner): Promise<HostHold[]> {
  return sql<HostHold[]>`
    select host, credential, (extract(epoch from hold_until) * 1000)::float8 as "untilMs"
    from deltahook.host_holds where hold_until > now()`;
}

/** A hold only ever grows: of several nodes' answers the longest counts. */
export async function saveHold(sql: SqlRunner, hold: HostHold & { reason: string }): Promise<void> {
  await sql`
    insert into deltahook.host_holds as known (host, credential, hold_until, reason)
    values (${hold.host}, ${hold.credential}, to_timestamp(${hold.untilMs / 1000}::float8), ${hold.reason})
    on conflict (host, credential) do update set hold_until = excluded.hold_until, reason = excluded.reason
    where known.hold_until < excluded.hold_until`;
}

/** Hosts that are watched or have limits of their own, by name. */
export async function hostNames(sql: SqlRunner, page: { after: string; limit: number }): Promise<string[]> {
  const rows = await sql<{ host: string }[]>`
    select host from deltahook.watches where host > ${page.after}
    union
    select host from deltahook.hosts where host > ${page.after}
    order by host limit ${page.limit}`;
  return rows.map(({ host }) => host);
}

export async function readHosts(sql: SqlRunner, hosts: readonly string[]): Promise<HostRow[]> {
  return sql<HostRow[]>`
    select name.host, own.concurrency, own.rate, load.watches, load.asked, hold.holds
    from unnest(${[...hosts]}::text[]) as name(host)
    left join deltahook.hosts own using (host)
    cross join lateral (
      select count(*) as known, count(*) filter (where watch.paused_at is null) as watches,
        coalesce(sum(1000.0 / schedule.interval_ms) filter (where watch.paused_at is null), 0)::float8 as asked
      from deltahook.watches watch join deltahook.watch_schedule schedule on schedule.watch_id = watch.id
      where watch.host = name.host
    ) load
    cross join lateral (
      select coalesce(json_agg(json_build_object('credential', credential, 'reason', reason,
        'until', to_char(hold_until at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))), '[]') as holds
      from deltahook.host_holds where host_holds.host = name.host and hold_until > now()
    ) hold
    where load.known > 0 or own.host is not null
    order by name.host`;
}

export async function saveLimits(sql: SqlRunner, limits: HostLimits): Promise<void> {
  await sql`
    insert into deltahook.hosts (host, concurrency, rate) values (${limits.host}, ${limits.concurrency}, ${limits.rate})
    on conflict (host) do update set concurrency = excluded.concurrency, rate = excluded.rate`;
}
