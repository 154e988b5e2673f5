import type { Sql, SqlRunner } from "../platform/database.ts";

/** Ids are UUIDs. */
export type LiveFilter = {
  show: "all" | "polls" | "deliveries" | "failed";
  watch?: string | undefined;
  endpoint?: string | undefined;
};

/** A poll or a try of a delivery, as it was written down; names are null when what they name is gone. */
export type LiveRow = {
  kind: "poll" | "attempt";
  id: string;
  /** The watch, or the delivery. */
  subject: string;
  outcome: string;
  status: number | null;
  ms: number;
  changes: number;
  problem: string | null;
  name: string | null;
  /** Of an attempt: the endpoint and the event's type. */
  endpoint: string | null;
  type: string | null;
  number: number;
  /** Of all rows that the look found, these included. */
  total: number;
};

/** How far a reader has come: what the snapshot shows was seen, and each table has grown to so many blocks. */
export type Position = { snapshot: string; blocks: Record<string, number> };

const TABLES = ["polls_unchanged", "polls", "attempts"] as const;
type LogTable = (typeof TABLES)[number];

/** Writers that extend a table at the same time leave a few blocks behind them to be filled. */
const SLACK_BLOCKS = 64;
/** After a long absence no more than the end of each table is read. */
const MOST_BLOCKS = 8_192;

/** Where the log ends now. A partition is written to for a little longer than its time: polls take up to some minutes. */
export async function readPosition(sql: SqlRunner): Promise<Position> {
  const [row] = await sql<Position[]>`
    select pg_current_snapshot()::text as snapshot, coalesce(json_object_agg(name, blocks), '{}'::json) as blocks
    from (
      select name, pg_relation_size(oid) / current_setting('block_size')::int as blocks
      from (
        select child.oid, child.relname as name,
          lag(substring(child.relname from '_p(.*)$')) over (partition by parent.relname order by child.relname desc) as newer
        from pg_class parent
        join pg_namespace namespace on namespace.oid = parent.relnamespace and namespace.nspname = 'deltahook'
        join pg_inherits link on link.inhparent = parent.oid
        join pg_class child on child.oid = link.inhrelid
        where parent.relname = any(${TABLES as unknown as string[]}::text[])
          and substring(child.relname from '_p(.*)$') <= to_char(now() at time zone 'UTC', 'YYYYMMDD"t"HH24')
      ) as known
      where newer is null or newer > to_char((now() - interval '5 minutes') at time zone 'UTC', 'YYYYMMDD"t"HH24')
    ) as written`;
  return row ?? { snapshot: "1:1:", blocks: {} };
}

/**
 * What was committed between two positions, the newest `limit` rows of it, the newest first. Ids tell when a request
 * began, and not when its row came, so rows are found by where they lie (the end of each partition) and by the
 * snapshot that did not show them yet: each row exactly once, at a cost that follows what is new.
 */
export async function readBetween(
  sql: Sql,
  from: Position,
  to: Position,
  filter: LiveFilter,
  limit: number,
): Promise<LiveRow[]> {
  const leaves = Object.keys(to.blocks).filter((name) => isWanted(tableOf(name), filter));
  if (leaves.length === 0) return [];
  const parts = leaves.map((name) => {
    const seen = Math.max((from.blocks[name] ?? 0) - SLACK_BLOCKS, (to.blocks[name] ?? 0) - MOST_BLOCKS, 0);
    return sql`(select ${columnsOf(sql, tableOf(name))}
      from (select *, ${xidOf(sql, from.snapshot)} as xid from ${sql(`deltahook.${name}`)} log
            where log.ctid >= ${`(${seen},0)`}::text::tid) log
      where not ${isSeen(sql, from.snapshot)} and ${isSeen(sql, to.snapshot)} ${matches(sql, tableOf(name), filter)})`;
  });
  const found = parts.reduce((all, part) => sql`${all} union all ${part}`);
  return sql<LiveRow[]>`
    select recent.kind, recent.id, recent.subject, recent.outcome, recent.status, recent.ms, recent.changes,
      recent.problem, recent.number, recent.total,
      coalesce(watch.name, endpoint.name) as name, endpoint.id as endpoint, event.type
    from (select found.*, count(*) over ()::int as total from (${found}) as found order by id desc limit ${limit}) recent
    left join deltahook.watches watch on recent.kind = 'poll' and watch.id = recent.subject
    left join deltahook.deliveries delivery on recent.kind = 'attempt' and delivery.id = recent.subject
    left join deltahook.endpoints endpoint on endpoint.id = delivery.endpoint_id
    left join deltahook.events event on event.id = delivery.event_id
    order by recent.id desc`;
}

/**
 * Who wrote a row, counted as snapshots count: `xmin` has 32 bits only, and `age` tells how far two of them are apart.
 * Numbers instead of `pg_visible_in_snapshot`, whose argument would have to be made from text for each row.
 */
function xidOf(sql: SqlRunner, snapshot: string) {
  // Numbers below 3 have a meaning of their own.
  const known = parseSnapshot(snapshot).xmax + 3;
  return sql`(select ${known}::bigint + age(${String(known % 2 ** 32)}::text::xid)) - age(log.xmin)`;
}

/** Whether a snapshot shows what `xid` wrote. */
function isSeen(sql: SqlRunner, snapshot: string) {
  const { xmin, xmax, running } = parseSnapshot(snapshot);
  return sql`(log.xid < ${xmin}::bigint or (log.xid < ${xmax}::bigint and log.xid <> all(${running}::bigint[])))`;
}

/** `xmin:xmax:xip_list`, as Postgres writes a snapshot. */
function parseSnapshot(snapshot: string): { xmin: number; xmax: number; running: number[] } {
  const [xmin = "", xmax = "", running = ""] = snapshot.split(":");
  const list = running === "" ? [] : running.split(",").map(Number);
  return { xmin: Number(xmin), xmax: Number(xmax), running: list };
}

function columnsOf(sql: SqlRunner, table: LogTable) {
  if (table === "attempts") {
    return sql`'attempt' as kind, log.id, log.delivery_id as subject, log.outcome, log.status, log.ms, 0 as changes,
      log.error as problem, log.number`;
  }
  const changes = table === "polls" ? sql`log.changes` : sql`0`;
  return sql`'poll' as kind, log.id, log.watch_id as subject, log.outcome, log.status, log.ms, ${changes} as changes,
    log.problem, 0 as number`;
}

function isWanted(table: LogTable, { show, watch, endpoint }: LiveFilter): boolean {
  if (table === "attempts") return show !== "polls" && watch === undefined;
  if (endpoint !== undefined || show === "deliveries") return false;
  return table === "polls" || show !== "failed";
}

function matches(sql: SqlRunner, table: LogTable, { show, watch, endpoint }: LiveFilter) {
  const failed = show === "failed" ? sql`and log.outcome in ('failed', 'held')` : sql``;
  if (table !== "attempts") return watch === undefined ? failed : sql`${failed} and log.watch_id = ${watch}`;
  if (endpoint === undefined) return failed;
  return sql`${failed} and log.delivery_id in (select id from deltahook.deliveries where endpoint_id = ${endpoint})`;
}

function tableOf(leaf: string): LogTable {
  const name = leaf.replace(/_p\w+$/, "");
  return TABLES.find((table) => table === name) ?? "polls";
}
