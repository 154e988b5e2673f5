import type { ReservedSql } from "postgres";
import type { SqlRunner } from "./database.ts";
import { uuidTime } from "./ids.ts";

/** One partition of a log-like table: its rows' ids lie in [from, to). */
export type Partition = {
  parent: string;
  name: string;
  from: string;
  to: string;
  /** When its time ends, in milliseconds since 1970. */
  endsAt: number;
  bytes: number;
  /** Already taken out of its parent, by a drop that was interrupted. */
  detached: boolean;
};

/** What runs outside of any transaction, on one connection. */
export type Connection = ReservedSql<{ int8: number }>;

/** A drop that other transactions hold up for longer is given up; the next run goes on with it. */
const PATIENCE_MS = 30_000;

/** The partitions of a table, the oldest first, those included that a drop left behind. */
export async function listPartitions(sql: SqlRunner, parent: string): Promise<Partition[]> {
  const rows = await sql<{ name: string; bound: string | null; step_ms: number; bytes: number }[]>`
    select class.relname as name, pg_get_expr(class.relpartbound, class.oid) as bound,
      (extract(epoch from rule.step) * 1000)::float8 as step_ms, pg_total_relation_size(class.oid)::float8 as bytes
    from pg_class class
    join pg_namespace namespace on namespace.oid = class.relnamespace and namespace.nspname = 'deltahook'
    join deltahook.partitioned rule on rule.parent = ${parent}
    where class.relkind = 'r' and class.relname ~ ${`^${parent}_p\\d{8}t\\d{2}$`}
    order by class.relname`;
  const detaching = await pendingDetaches(sql);
  return rows.map(({ name, step_ms, bytes }) => {
    const startsAt = startOf(name);
    return {
      parent,
      name,
      from: uuidOf(startsAt),
      to: uuidOf(startsAt + step_ms),
      endsAt: startsAt + step_ms,
      bytes,
      detached: false,
    };
  });
}
