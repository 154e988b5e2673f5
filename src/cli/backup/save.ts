import type { CopyConnection } from "../../platform/copy.ts";
import type { SqlRunner } from "../../platform/database.ts";
import { AppError } from "../../platform/errors.ts";
import { migrations } from "../../platform/migrate.ts";
import { listPartitions, type Partition } from "../../platform/partitions.ts";
import { VERSION } from "../../platform/version.ts";
import type { Manifest, Part } from "./archive.ts";
import { SAVED } from "./tables.ts";

const PART_BYTES = 1024 * 1024;
const TRIES = 5;
const LOCK_MS = 10_000;

type Sources = { tables: Table[]; partitions: Partition[] };
type Table = { name: string; columns: string[]; partitioned: boolean };

/**
 * Takes a consistent view of the whole database, which stands until the connection is closed. Nothing is locked against
 * writers: tables and partitions are held against being dropped or altered, and parents of partitions not at all, since
 * a new partition needs its parent to itself and all traffic would queue behind it.
 * @param sql for looking at the catalogue beside the snapshot
 */
export async function takeSnapshot(
  copy: CopyConnection,
  sql: SqlRunner,
  masterKeyId: string | null,
): Promise<{ manifest: Manifest; parts: AsyncGenerator<Part> }> {
  const applied = await sql<{ name: string }[]>`select name from deltahook.migrations order by name`;
  const names = applied.map(({ name }) => name);
  refuseNewer(names);
  const sources = await holdSources(copy, sql);
  const [server] = await copy.run<{ version: string; now: Date }>(
    "select current_setting('server_version') as version, now()",
  );
  const manifest: Manifest = {
    deltahook: VERSION,
    postgres: server?.version ?? "",
    created_at: (server?.now ?? new Date()).toISOString(),
    migrations: names,
    master_key: masterKeyId,
    tables: sources.tables.map(({ name, columns }) => ({ name, columns })),
    partitions: sources.partitions.map(({ parent, name, from, to }) => ({ parent, name, from, to })),
  };
  return { manifest, parts: readAll(copy, sources) };
}

function refuseNewer(applied: string[]): void {
  const known = new Set(migrations().map(({ name }) => name));
  const unknown = applied.find((name) => !known.has(name));
  if (unknown === undefined) return;
  throw new AppError(
    "conflict",
    `The database is that of a newer DeltaHook (${unknown}): back it up with that version, which knows its tables.`,
  );
}

/** Begins the transaction of the snapshot. Partitions come and go meanwhile: locked first, then looked at once more. */
async function holdSources(copy: CopyConnection, sql: SqlRunner): Promise<Sources> {
  for (let tries = 1; ; tries++) {
    const before = await findSources(sql);
    await copy.run("begin isolation level repeatable read read only");
    // What was set for this user or database must not end a long read, nor change how values are written.
    await copy.run(`
      set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0;
      set local lock_timeout = ${LOCK_MS}; set local timezone = 'UTC'; set local datestyle = 'ISO';
      set local intervalstyle = 'postgres'; set local bytea_output = 'hex'; set local extra_float_digits = 3`);
    const lost = await lock(copy, before).then(
      () => null,
      (error: unknown) => error,
    );
    if (lost === null && isSame(before, await findSources(sql))) return before;
    await copy.run("rollback");
    if (tries === TRIES) throw busy(lost);
  }
}

async function lock(copy: CopyConnection, { tables, partitions }: Sources): Promise<void> {
  const names = [...tables.filter(({ partitioned }) => !partitioned), ...partitions].map(({ name }) => name);
  await copy.run(`lock table ${names.map((name) => `only deltahook.${name}`).join(", ")} in access share mode`);
  // The first statement that reads takes the snapshot; a lock does not.
  await copy.run("select 1");
}

async function findSources(sql: SqlRunner): Promise<Sources> {
  const found = await sql<Table[]>`
    select class.relname as name, class.relkind = 'p' as partitioned, array_agg(attname::text order by attnum) as columns
    from pg_class class
    join pg_attribute attribute on attribute.attrelid = class.oid and attnum > 0 and not attisdropped and attgenerated = ''
    where class.relnamespace = 'deltahook'::regnamespace and class.relname = any(${[...SAVED]}::text[])
    group by class.oid`;
  // In the order of SAVED; a server of an earlier version may not have them all.
  const tables = SAVED.flatMap((name) => found.filter((table) => table.name === name));
  const partitions: Partition[] = [];
  for (const { name, partitioned } of tables) if (partitioned) partitions.push(...(await listPartitions(sql, name)));
  return { tables, partitions };
}

function isSame(one: Sources, other: Sources): boolean {
  const names = ({ tables, partitions }: Sources) => [...tables, ...partitions].map(({ name }) => name).join();
  return names(one) === names(other);
}

async function* readAll(copy: CopyConnection, { tables, partitions }: Sources): AsyncGenerator<Part> {
  for (const { name, columns, partitioned } of tables) {
    const places = partitioned ? partitions.filter(({ parent }) => parent === name) : [{ name }];
    for (const place of places) {
      const statement = `copy deltahook.${place.name} (${columns.join(", ")}) to stdout`;
      for await (const part of copy.copyOut(statement, PART_BYTES)) yield { table: name, ...part };
    }
  }
}

function busy(cause: unknown): AppError {
  return new AppError(
    "unavailable",
    "The tables are being altered or partitions dropped just now: run the backup again in a minute.",
    { cause },
  );
}
