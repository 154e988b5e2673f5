import type { CopyConnection } from "../../platform/copy.ts";
import { AppError, messageOf } from "../../platform/errors.ts";
import { MIGRATION_LOCK } from "../../platform/migrate.ts";
import type { Manifest, Part } from "./archive.ts";
import { COUNTERS, LEFT_OUT } from "./tables.ts";

/** After this long without a beat a node is given up by the others too. */
const DEAD_AFTER_SECONDS = 20;

/** @throws AppError when a server works on the database, or there is anything in it */
export async function refuseUsed(copy: CopyConnection): Promise<void> {
  const present = await tablesPresent(copy);
  if (present.length === 0) return;
  await refuseLive(copy, present);
  const mayBeFilled = present.filter((name) => !(name in LEFT_OUT) && !COUNTERS.includes(name));
  if (mayBeFilled.length === 0) return;
  const questions = mayBeFilled.map((name) => `select '${name}' as name where exists (select from deltahook.${name})`);
  const filled = await copy.run<{ name: string }>(questions.join(" union all "));
  if (filled.length === 0) return;
  const named = filled.slice(0, 3).map(({ name }) => name);
  throw new AppError(
    "conflict",
    `This database is in use (rows in ${named.join(", ")}${filled.length > 3 ? ", …" : ""}); nothing was changed. Restore into an empty one: another DATA_DIR, or another database in DATABASE_URL.`,
  );
}

/** The migrations that a database without rows went through. @throws AppError when they go beyond those of the backup */
export async function refuseLaterTables(copy: CopyConnection, manifest: Manifest): Promise<void> {
  const present = await tablesPresent(copy);
  if (!present.includes("migrations")) return;
  const applied = await copy.run<{ name: string }>("select name from deltahook.migrations order by name");
  const later = applied.find(({ name }) => !manifest.migrations.includes(name));
  if (later === undefined) return;
  throw new AppError(
    "conflict",
    `The tables here are those of a later DeltaHook than the backup's (${later.name}), and empty: take another DATA_DIR or database, or drop the schema deltahook. The rows are loaded into tables as they were, and migrated then.`,
  );
}

/**
 * Loads everything in one transaction: killed or failed, it leaves the database as empty as it was. Servers that start
 * meanwhile wait for its end.
 * @param options `paused`: nothing is polled or sent until a person resumes it
 * @returns how many deliveries are owed
 */
export async function load(
  copy: CopyConnection,
  manifest: Manifest,
  parts: AsyncIterable<Part>,
  options: { paused: boolean },
): Promise<number> {
  await copy.run("begin");
  await copy.run("set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0");
  await copy.run(`select pg_advisory_xact_lock(${MIGRATION_LOCK})`);
  await refuseUsed(copy);
  await clear(copy);
  await makePartitions(copy, manifest);
  await copyAll(copy, manifest, parts);
  await advanceIdentities(copy);
  await forgetMoment(copy);
  if (options.paused) await pauseAll(copy);
  const [owed] = await copy.run<{ count: number }>(`
    select ((select count(*) from deltahook.deliveries where state = 'pending')
          + (select count(*) from deltahook.events where awaits_fan_out))::int as count`);
  await copy.run("commit");
  return owed?.count ?? 0;
}

/** Without figures the first queries of a server would be planned for empty tables. */
export async function analyze(copy: CopyConnection): Promise<void> {
  const present = await tablesPresent(copy);
  await copy.run(`analyze ${present.map((name) => `deltahook.${name}`).join(", ")}`);
}

async function tablesPresent(copy: CopyConnection): Promise<string[]> {
  const rows = await copy.run<{ name: string }>(`
    select relname as name from pg_class class join pg_namespace namespace on namespace.oid = class.relnamespace
    where nspname = 'deltahook' and relkind in ('r', 'p') and not relispartition order by 1`);
  return rows.map(({ name }) => name);
}

/** A node without workers has no beat, but connections. */
async function refuseLive(copy: CopyConnection, present: string[]): Promise<void> {
  const beats = present.includes("nodes")
    ? `exists (select from deltahook.nodes where beat_at > now() - interval '${DEAD_AFTER_SECONDS} seconds')`
    : "false";
  const [row] = await copy.run<{ live: boolean }>(`
    select ${beats} or exists (
      select from pg_stat_activity where datname = current_database() and application_name = 'deltahook') as live`);
  if (!row?.live) return;
  throw new AppError(
    "conflict",
    "A server works on this database, or did some seconds ago: stop all its nodes first, then restore. Nothing was changed.",
  );
}

/** What a server leaves in a database that nobody has used yet, such as the link to its first account. */
async function clear(copy: CopyConnection): Promise<void> {
  const present = await tablesPresent(copy);
  const kept = ["migrations", "partitioned", "subscriptions"];
  const emptied = present.filter((name) => (name in LEFT_OUT && !kept.includes(name)) || COUNTERS.includes(name));
  for (const name of emptied) await copy.run(`delete from deltahook.${name}`);
}

/** For the times of the backup; those of today and the days to come are there. */
async function makePartitions(copy: CopyConnection, { partitions }: Manifest): Promise<void> {
  for (const { parent, name, from, to } of partitions) {
    await copy.run(
      `create table if not exists deltahook.${name} partition of deltahook.${parent} for values from ('${from}') to ('${to}')`,
    );
  }
}

async function copyAll(copy: CopyConnection, manifest: Manifest, parts: AsyncIterable<Part>): Promise<void> {
  const columnsOf = new Map(manifest.tables.map(({ name, columns }) => [name, columns]));
  for await (const { table, bytes } of parts) {
    const columns = columnsOf.get(table);
    if (columns === undefined || table in LEFT_OUT) throw unfit(table, "its manifest does not name the table");
    try {
      await copy.copyIn(`copy deltahook.${table} (${columns.join(", ")}) from stdin`, bytes);
    } catch (error) {
      throw unfit(table, messageOf(error), error);
    }
  }
}

/** COPY writes identities as they were, and does not move the sequence behind them. */
async function advanceIdentities(copy: CopyConnection): Promise<void> {
  const moves = await copy.run<{ move: string }>(`
    select format('select setval(%L, max(%I)) from deltahook.%I having max(%I) is not null',
      pg_get_serial_sequence(format('deltahook.%I', relname), attname), attname, relname, attname) as move
    from pg_attribute attribute join pg_class class on class.oid = attrelid
    where relnamespace = 'deltahook'::regnamespace and attidentity <> '' and relkind = 'r'`);
  for (const { move } of moves) await copy.run(move);
}

/** The queue is not in the backup: what its jobs owned is free, and is taken up again as soon as it is due. */
async function forgetMoment(copy: CopyConnection): Promise<void> {
  await copy.run(
    "update deltahook.deliveries set job = null, probe = false where state = 'pending' and job is not null",
  );
  await copy.run(
    "update deltahook.watch_schedule set job = null, busy_until = null where job is not null or busy_until is not null",
  );
}

/**
 * As `pause` does for each. Direct sends that SQL asked for and no worker has seen yet are not made: their address may
 * have no endpoint yet that could be paused.
 */
async function pauseAll(copy: CopyConnection): Promise<void> {
  await copy.run("update deltahook.watches set paused_at = now() where paused_at is null");
  await copy.run("update deltahook.watch_schedule set next_poll_at = null");
  await copy.run(`
    update deltahook.endpoint_health set paused_reason = 'manual', paused_since = now(), probe_at = null, probe_step = 0
    where paused_reason is distinct from 'manual'`);
  await copy.run("update deltahook.events set awaits_fan_out = false where awaits_fan_out and target is not null");
}

function unfit(table: string, why: string, cause?: unknown): AppError {
  return new AppError(
    "invalid",
    `The backup does not fit: rows of ${table} cannot be loaded (${why}). Nothing of it was restored; take another backup.`,
    { cause },
  );
}
