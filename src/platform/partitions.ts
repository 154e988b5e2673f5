import type { ReservedSql } from "postgres";
import type { SqlRunner } from "./database.ts";
import { uuidFloor, uuidTime } from "./ids.ts";

/** One partition of a log-like table: the ids of its rows lie in [from, to). */
export type Partition = {
  parent: string;
  name: string;
  from: string;
  to: string;
  /** When its time is over, in milliseconds since 1970. */
  endsAt: number;
  bytes: number;
  /** A drop that was interrupted may have left it half-way out of its parent, or all the way. */
  attached: "yes" | "leaving" | "no";
};

/** One connection, outside of any transaction. */
export type Connection = ReservedSql<{ int8: number }>;

/** The partitions of a table, the oldest first, with those that an interrupted drop left behind. */
export async function listPartitions(sql: SqlRunner, parent: string): Promise<Partition[]> {
  const rows = await sql<
    { name: string; bound: string | null; leaving: boolean | null; step: number; bytes: number }[]
  >`
    select child.relname as name, pg_get_expr(child.relpartbound, child.oid) as bound, link.inhdetachpending as leaving,
      (extract(epoch from rule.step) * 1000)::float8 as step, pg_total_relation_size(child.oid)::float8 as bytes
    from deltahook.partitioned rule
    join pg_class child on child.relkind = 'r' and child.relname ~ ('^' || rule.parent || '_p[0-9]{8}t[0-9]{2}$')
    join pg_namespace namespace on namespace.oid = child.relnamespace and namespace.nspname = 'deltahook'
    left join pg_inherits link on link.inhrelid = child.oid
    where rule.parent = ${parent}
    order by child.relname`;
  return rows.map(({ name, bound, leaving, step, bytes }) => {
    const startsAt = startOf(name);
    const [from = uuidFloor(startsAt), to = uuidFloor(startsAt + step)] = bound?.match(/[0-9a-f-]{36}/g) ?? [];
    const attached = leaving === null ? "no" : leaving ? "leaving" : "yes";
    return { parent, name, from, to, endsAt: uuidTime(to), bytes, attached };
  });
}

/**
 * Drops a partition without ever blocking the traffic of its parent: it leaves the parent concurrently, which waits for
 * the transactions that may still see it, and only then goes. What is interrupted half-way goes on at the next call.
 * @param lastLook runs when no new transaction can reach the rows any more: what must not be lost is saved there
 */
export async function dropPartition(
  connection: Connection,
  { parent, name, attached }: Pick<Partition, "parent" | "name" | "attached">,
  lastLook: () => Promise<void> = async () => {},
): Promise<void> {
  const leave = `alter table deltahook.${parent} detach partition deltahook.${name}`;
  if (attached === "yes") await connection.unsafe(`${leave} concurrently`);
  if (attached === "leaving") await connection.unsafe(`${leave} finalize`);
  await lastLook();
  await connection.unsafe(`drop table deltahook.${name}`);
}

/** `events_p20261121t00` → that hour in UTC. */
function startOf(name: string): number {
  const [, year, month, day, hour] = /_p(\d{4})(\d\d)(\d\d)t(\d\d)$/.exec(name) ?? [];
  return Date.UTC(Number(year), Number(month) - 1, Number(day), Number(hour));
}
