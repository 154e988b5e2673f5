import type { Sql, SqlRunner } from "../platform/database.ts";
import type { Connection, Partition } from "../platform/partitions.ts";

const EXPIRED = "It waited longer than RETAIN_EVENTS allows.";

/** Turns deliveries below an id that are still owed into dead letters, with their own copy. @returns how many */
export async function expireOwed(sql: SqlRunner, below: string, limit: number): Promise<number> {
  const result = await sql`
    with
    old as (
      select id from deltahook.deliveries where state = 'pending' and id < ${below}
      order by id limit ${limit} for update skip locked
    ),
    moved as (
      update deltahook.deliveries delivery
      set state = 'dead', finished_at = now(), due_at = null, job = null, parked = false, probe = false,
        last_error = coalesce(delivery.last_error, ${EXPIRED})
      from old where delivery.id = old.id
      returning delivery.*
    ),
    buried as (${bury(sql, sql`moved`, sql`deltahook.events`)})
    select id from moved`;
  return result.length;
}

/** Ends what is owed to endpoints that were deleted while it was being stated. @returns how many */
export async function cancelOrphans(sql: SqlRunner): Promise<number> {
  const result = await sql`
    update deltahook.deliveries delivery
    set state = 'cancelled', finished_at = now(), due_at = null, job = null, parked = false, probe = false,
      last_error = 'The endpoint was deleted.'
    where state = 'pending' and not exists (select from deltahook.endpoints where id = delivery.endpoint_id)`;
  return result.count;
}

/** Whether a partition of deliveries still holds one that is owed. */
export async function owesAnything(sql: SqlRunner, { from, to }: Partition): Promise<boolean> {
  const [row] = await sql<{ owed: boolean }[]>`
    select exists (select from deltahook.deliveries where state = 'pending' and id >= ${from} and id < ${to}) as owed`;
  return row?.owed ?? false;
}

/** Whether an event of a partition is still owed to somebody, or not yet fanned out. */
export async function isStillTold(sql: SqlRunner, { from, to }: Partition): Promise<boolean> {
  const [row] = await sql<{ told: boolean }[]>`
    select exists (select from deltahook.deliveries where state = 'pending' and event_id >= ${from} and event_id < ${to})
      or exists (select from deltahook.events where awaits_fan_out and id >= ${from} and id < ${to}) as told`;
  return row?.told ?? false;
}

/** Saves what became owed in a partition of deliveries between the question and its leaving. */
export async function buryLateDeliveries(sql: Connection, { name }: Partition): Promise<void> {
  await bury(
    sql,
    sql`(select * from ${sql(`deltahook.${name}`)} where state = 'pending') as moved`,
    sql`deltahook.events`,
  );
}

/** Saves what came to be owed of a partition's events between the question and its leaving. */
export async function buryLateEvents(sql: Connection, { name, from, to }: Partition): Promise<void> {
  await sql`
    with
    moved as (
      update deltahook.deliveries
      set state = 'dead', finished_at = now(), due_at = null, job = null, parked = false, probe = false
      where state = 'pending' and event_id >= ${from} and event_id < ${to}
      returning *
    )
    ${bury(sql, sql`moved`, sql`${sql(`deltahook.${name}`)}`)}`;
}

type Fragment = ReturnType<Sql>;

function bury(sql: SqlRunner | Connection, moved: Fragment, events: Fragment) {
  return sql`
    insert into deltahook.dead_letters (delivery_id, event_id, original_id, endpoint_id, watch_id, type, data, target,
                                        reason, attempts, last_status, last_error)
    select moved.id, event.id, event.original_id, moved.endpoint_id, event.watch_id, event.type, event.data, event.target,
           'expired', moved.attempt - 1, moved.last_status, coalesce(moved.last_error, ${EXPIRED})
    from ${moved} join ${events} event on event.id = moved.event_id
    on conflict (delivery_id) do nothing`;
}

/** @returns how many */
export async function pruneDeadLetters(sql: SqlRunner, before: Date, limit: number): Promise<number> {
  const result = await sql`
    delete from deltahook.dead_letters where delivery_id in (
      (select delivery_id from deltahook.dead_letters
       where died_at < ${before} and target->>'keepMs' is null order by died_at limit ${limit})
      union all
      (select delivery_id from deltahook.dead_letters
       where target->>'keepMs' is not null and died_at < now() - (target->>'keepMs')::bigint * interval '1 millisecond'
       limit ${limit}))`;
  return result.count;
}

/** @returns how many */
export async function pruneIdempotencyKeys(sql: SqlRunner, limit: number): Promise<number> {
  const result = await sql`
    delete from deltahook.idempotency_keys where key in (
      select key from deltahook.idempotency_keys where created_at < now() - interval '24 hours' limit ${limit})`;
  return result.count;
}

/** Sums whole hours, for plots of many days. */
export async function sumRollupHours(sql: SqlRunner): Promise<void> {
  await sql`select deltahook.sum_rollup_hours()`;
}

/** Minutes that no window is read from any more (7 days), and hours beyond the longest plot (30 days). @returns how many minutes */
export async function pruneRollups(sql: SqlRunner, limit: number): Promise<number> {
  await sql`delete from deltahook.rollup_hours where hour < now() - interval '31 days'`;
  const result = await sql`
    delete from deltahook.rollups where (minute, node_id, metric) in (
      select minute, node_id, metric from deltahook.rollups where minute < now() - interval '8 days' limit ${limit})`;
  return result.count;
}
