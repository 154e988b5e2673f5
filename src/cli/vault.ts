import { audit } from "../identity/audit.ts";
import { loadKeys } from "../platform/keys.ts";
import { type RotationProgress, type RotationReport, rotateVault } from "../vault/rotate.ts";
import { createVault } from "../vault/vault.ts";
import { answer } from "./answer.ts";
import { FAILED } from "./failure.ts";
import { withDatabase } from "./opened.ts";

/** Brings all stored credentials under the current master key; Ctrl-C ends it between two batches. */
export async function rotate(options: { json?: boolean }): Promise<void> {
  await withDatabase(async ({ config, dataDir, database, log }) => {
    const { masterKey } = loadKeys(config, dataDir, log);
    const vault = createVault({ masterKey, previousKeys: config.MASTER_KEY_PREVIOUS });
    // Before the first batch, since a rotation that is broken off has changed something too.
    await audit(database.sql, { actor: "cli", action: "rotate", resource: { kind: "vault" } });
    const interrupted = new AbortController();
    process.removeAllListeners("SIGINT");
    process.once("SIGINT", () => interrupted.abort());
    const report = await rotateVault(database, vault, { signal: interrupted.signal, onProgress: showProgress });
    if (process.stderr.isTTY) process.stderr.write("\n");
    answer(options.json, { ...report, key: vault.currentKeyId }, wordsOf(report, vault.currentKeyId));
    if (!report.finished || report.unopened.length > 0) process.exitCode = FAILED;
  });
}

/** One line that is written over on a terminal, one per batch elsewhere. */
function showProgress({ table, scanned, resealed }: RotationProgress): void {
  if (scanned === 0) return;
  const line = `${table}: ${scanned} rows read; ${resealed} values resealed in all`;
  process.stderr.write(process.stderr.isTTY ? `\r\x1b[2K${line}` : `${line}\n`);
}

function wordsOf({ resealed, unopened, finished }: RotationReport, key: string): string {
  const lines = [`${resealed} values were brought under the current key (${key}).`];
  for (const { table, id, message } of unopened) lines.push(`${table} ${id}: ${message}`);
  if (unopened.length > 0)
    lines.push(`${unopened.length} values stay as they are; keep MASTER_KEY_PREVIOUS until they are mended.`);
  else if (finished) lines.push("MASTER_KEY_PREVIOUS is not needed any more.");
  if (!finished) lines.push("It was interrupted; run it again to go on with the rest.");
  return lines.join("\n");
}
