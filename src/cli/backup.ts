import { resolve } from "node:path";
import type { Config } from "../platform/config.ts";
import { openCopy } from "../platform/copy.ts";
import { findMasterKey, masterKeyPath } from "../platform/keys.ts";
import { createVault } from "../vault/vault.ts";
import { answer } from "./answer.ts";
import { writeArchive } from "./backup/archive.ts";
import { refuseOverwrite, writeOut, writeWhole } from "./backup/file.ts";
import { counted, grouped, size, type Tally } from "./backup/progress.ts";
import { takeSnapshot } from "./backup/save.ts";
import { usage } from "./failure.ts";
import { type Opened, withDatabase } from "./opened.ts";

/** Saves all tables, as they are at one moment, into a file that appears only when it is whole, or to stdout. */
export async function backup(named: string | undefined, options: { force?: boolean; json?: boolean }): Promise<void> {
  const file = named ?? `deltahook-${new Date().toISOString().replace(/[-:]|\.\d+/g, "")}.tar.gz`;
  if (file === "-" && process.stdout.isTTY)
    throw usage("A backup is no text for a terminal: name a file, or send it on with `deltahook backup - | …`.");
  if (file !== "-" && !options.force) refuseOverwrite(file);
  await withDatabase(async (opened) => {
    const key = findMasterKey(opened.config, opened.dataDir);
    const keyId = key === null ? null : createVault({ masterKey: key }).currentKeyId;
    const tally: Tally = { rows: 0, tables: {} };
    const bytes = await save(file, opened, keyId, tally);
    const report = { file, bytes, ...tally, master_key: keyId };
    const words = wordsOf({ file, bytes, rows: tally.rows, key: key === null ? null : placeOfKey(opened) });
    // On stdout is the backup itself.
    if (file === "-") process.stderr.write(`${options.json ? JSON.stringify(report) : words}\n`);
    else answer(options.json, report, words);
  });
}

async function save(file: string, { target, database }: Opened, keyId: string | null, tally: Tally): Promise<number> {
  const copy = await openCopy(target, "deltahook-cli");
  try {
    const { manifest, parts } = await takeSnapshot(copy, database.sql, keyId);
    const chunks = writeArchive(manifest, counted(parts, tally, "saved"));
    return file === "-" ? await writeOut(chunks) : await writeWhole(resolve(file), chunks);
  } finally {
    await copy.close();
  }
}

function placeOfKey({ config, dataDir }: { config: Config; dataDir: string }): string {
  return config.MASTER_KEY === null ? masterKeyPath(dataDir) : "the setting MASTER_KEY";
}

function wordsOf(saved: { file: string; bytes: number; rows: number; key: string | null }): string {
  const where = saved.file === "-" ? "" : ` in ${saved.file}`;
  const done = `Saved ${grouped(saved.rows)} rows${where} (${size(saved.bytes)}).`;
  if (saved.key === null) return done;
  return `${done}\nThe master key is not in it: keep a copy of ${saved.key} apart from it. Without that key its credentials cannot be opened.`;
}
