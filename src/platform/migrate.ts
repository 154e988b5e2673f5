import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Database } from "./database.ts";
import { AppError } from "./errors.ts";
import type { Log } from "./log.ts";

const FOLDER = fileURLToPath(new URL("../../sql/", import.meta.url));
/** Any number, as long as it is ours: whoever migrates this database holds it. */
export const MIGRATION_LOCK = 0x64656c7461;
const OLDEST_POSTGRES = 150_000;

export type Migration = { name: string; text: string; checksum: string };

/** The numbered files of `sql/`, in order. */
export function migrations(folder = FOLDER): Migration[] {
  return readdirSync(folder)
    .filter((name) => /^\d{4}_[a-z0-9_]+\.sql$/.test(name))
    .sort()
    .map((name) => {
      const text = readFileSync(`${folder}/${name}`, "utf8");
      return { name, text, checksum: createHash("sha256").update(text).digest("hex") };
    });
}

/**
 * Brings the database to this version: forward only, each file in its own transaction, one node at a time (advisory
 * lock). `installQueue` sets up the queue's own schema and runs first, under the same lock.
 * @returns the names of the files applied now.
 * @throws AppError when the server is too old, the database is newer than this version, or an applied file was edited.
 */
export async function migrate(
  database: Database,
  options: { log: Log; installQueue: () => Promise<void>; list?: Migration[] },
): Promise<string[]> {
  const list = options.list ?? migrations();
  const connection = await database.sql.reserve();
  try {
    await connection`select pg_advisory_lock(${MIGRATION_LOCK})`;
    await refuseOldServer(connection);
    await options.installQueue();
    await connection`create schema if not exists deltahook`;
    await connection`
      create table if not exists deltahook.migrations (
        name text primary key, checksum text not null, applied_at timestamptz not null default now())`;
    const applied = new Map(
      (await connection<{ name: string; checksum: string }[]>`select name, checksum from deltahook.migrations`).map(
        (row) => [row.name, row.checksum],
      ),
    );
    refuseForeign(list, applied);
    const pending = list.filter((migration) => !applied.has(migration.name));
    for (const migration of pending) {
      await connection.unsafe(
        `begin; ${migration.text};
         insert into deltahook.migrations (name, checksum) values ('${migration.name}', '${migration.checksum}'); commit;`,
      );
      options.log.info("migration applied", { name: migration.name });
    }
    return pending.map((migration) => migration.name);
  } catch (error) {
    await connection.unsafe("rollback").catch(() => {});
    throw error;
  } finally {
    await connection`select pg_advisory_unlock(${MIGRATION_LOCK})`.catch(() => {});
    connection.release();
  }
}

async function refuseOldServer(connection: { unsafe: Database["sql"]["unsafe"] }): Promise<void> {
  const [row] = await connection.unsafe<{ number: string; version: string }[]>(
    "select current_setting('server_version_num') as number, current_setting('server_version') as version",
  );
  if (Number(row?.number) < OLDEST_POSTGRES) {
    throw new AppError(
      "unavailable",
      `Postgres ${row?.version} is too old: DeltaHook needs 15 or newer. Upgrade the server or point DATABASE_URL at another.`,
    );
  }
}

function refuseForeign(list: Migration[], applied: Map<string, string>): void {
  const known = new Map(list.map((migration) => [migration.name, migration.checksum]));
  for (const [name, checksum] of applied) {
    if (!known.has(name)) {
      throw new AppError(
        "conflict",
        `The database was migrated by a newer DeltaHook (${name}). Start that version or a later one; nothing was changed.`,
      );
    }
    if (known.get(name) !== checksum) {
      throw new AppError(
        "conflict",
        `The applied migration ${name} differs from the file in sql/. Restore the file: migrations are never edited, only added.`,
      );
    }
  }
}
