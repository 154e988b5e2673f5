import { accessSync, constants } from "node:fs";
import { resolve } from "node:path";
import { type Config, loadConfig } from "../platform/config.ts";
import { type CopyConnection, openCopy } from "../platform/copy.ts";
import { AppError, messageOf } from "../platform/errors.ts";
import { findMasterKey, masterKeyPath } from "../platform/keys.ts";
import { migrate, migrations } from "../platform/migrate.ts";
import { installQueue } from "../platform/queue.ts";
import { createVault } from "../vault/vault.ts";
import { answer } from "./answer.ts";
import { type Manifest, newer, openArchive } from "./backup/archive.ts";
import { analyze, load, refuseLaterTables, refuseUsed } from "./backup/load.ts";
import { counted, grouped, type Tally } from "./backup/progress.ts";
import { usage } from "./failure.ts";
import { type Opened, withDatabase } from "./opened.ts";

type Options = { check?: boolean; paused?: boolean; withoutKey?: boolean; json?: boolean };

/**
 * Loads a backup into an empty database. A file is read to its end before anything is touched; what comes from stdin
 * proves itself before it is committed.
 */
export async function restore(file: string, options: Options): Promise<void> {
  if (file === "-" && process.stdin.isTTY) throw usage("Name a file, or send a backup to stdin.");
  if (options.check || file !== "-") {
    const { manifest, tally } = await check(file);
    if (options.check)
      return answer(options.json, { file, ...shown(manifest), ...tally }, checkedWords(manifest, tally));
    return restoreFrom(file, options, tally.rows);
  }
  return restoreFrom(file, options);
}

async function check(file: string): Promise<{ manifest: Manifest; tally: Tally }> {
  const { manifest, parts } = await openArchive(source(file));
  const tally: Tally = { rows: 0, tables: {} };
  for await (const _ of counted(parts, tally, "read"));
  return { manifest, tally };
}

async function restoreFrom(file: string, options: Options, total?: number): Promise<void> {
  const { manifest, parts } = await openArchive(source(file));
  const list = migrationsOf(manifest);
  const { config } = loadConfig(process.env);
  if (!options.withoutKey) requireKey(manifest, config, resolve(config.DATA_DIR ?? "data"));
  const tally: Tally = { rows: 0, tables: {} };
  await withDatabase(
    async (opened) => {
      const owed = await withCopy(opened, async (copy) => {
        await refuseUsed(copy);
        await refuseLaterTables(copy, manifest);
        await bringTo(opened, list);
        const owed = await load(copy, manifest, counted(parts, tally, "restored", total), {
          paused: options.paused ?? false,
        });
        await bringTo(opened);
        await analyze(copy);
        return owed;
      });
      const report = { file, ...shown(manifest), ...tally, owed, paused: options.paused ?? false };
      answer(options.json, report, restoredWords(manifest, tally, owed, options));
    },
    { create: true, migrated: false },
  );
}

async function withCopy<T>({ target }: Opened, work: (copy: CopyConnection) => Promise<T>): Promise<T> {
  const copy = await openCopy(target, "deltahook-cli");
  try {
    return await work(copy);
  } finally {
    // Whatever transaction is still open ends with it, undone.
    await copy.close();
  }
}

async function bringTo({ database, target, log }: Opened, list = migrations()): Promise<void> {
  await migrate(database, { log, installQueue: () => installQueue(target, log), list });
}

function source(file: string): ReadableStream<Uint8Array> {
  if (file === "-") return Bun.stdin.stream();
  try {
    accessSync(file, constants.R_OK);
  } catch (error) {
    throw new AppError("not_found", `${file} cannot be read (${messageOf(error)}).`, { cause: error });
  }
  return Bun.file(file).stream();
}

/** The migrations that made the tables of the backup. @throws AppError when this version does not know them all */
function migrationsOf(manifest: Manifest) {
  const known = migrations();
  const list = known.filter(({ name }) => manifest.migrations.includes(name));
  if (list.length < manifest.migrations.length) throw newer(manifest.deltahook);
  return list;
}

/** Before anything is made: whoever has no key yet would get a new one, under which nothing here opens. */
function requireKey(manifest: Manifest, config: Config, dataDir: string): void {
  if (manifest.master_key === null) return;
  const key = findMasterKey(config, dataDir);
  const keys = [...(key === null ? [] : [key]), ...config.MASTER_KEY_PREVIOUS];
  if (keys.some((masterKey) => createVault({ masterKey }).currentKeyId === manifest.master_key)) return;
  const place = masterKeyPath(dataDir);
  const found =
    key === null
      ? `there is no master key here yet: put the old one into ${place} (mode 0600), or set MASTER_KEY`
      : `the master key here is another one: set MASTER_KEY, or the file ${place}, to that of the backup`;
  throw new AppError(
    "conflict",
    `The credentials in this backup are sealed under the key ${manifest.master_key}, and ${found}. With --without-key it is restored nevertheless, and its credentials have to be entered anew.`,
  );
}

function shown({ deltahook, postgres, created_at, migrations: applied, master_key }: Manifest) {
  return { deltahook, postgres, created_at, migration: applied.at(-1), master_key };
}

function ofWhen({ created_at, deltahook, postgres }: Manifest): string {
  return `the backup of ${created_at} (DeltaHook ${deltahook}, Postgres ${postgres})`;
}

function checkedWords(manifest: Manifest, { rows, tables }: Tally): string {
  const lines = Object.entries(tables).map(([name, count]) => `  ${name}: ${grouped(count)}`);
  return [`Whole and undamaged: ${ofWhen(manifest)}, ${grouped(rows)} rows.`, ...lines].join("\n");
}

function restoredWords(manifest: Manifest, { rows }: Tally, owed: number, { paused }: Options): string {
  const done = `Restored ${grouped(rows)} rows of ${ofWhen(manifest)}.`;
  if (paused) return `${done}\nAll watches and endpoints are paused: nothing is polled or sent until you resume them.`;
  return `${done}\n${grouped(owed)} ${owed === 1 ? "delivery is" : "deliveries are"} owed; \`deltahook serve\` sends what is due. The server that it was made of must not run any more: both would poll and send.`;
}
