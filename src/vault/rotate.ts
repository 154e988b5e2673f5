import type { Database, Sql } from "../platform/database.ts";
import { AppError } from "../platform/errors.ts";
import { keyIdOf, type Vault } from "./vault.ts";

export type RotationProgress = { table: string; scanned: number; resealed: number };

export type RotationReport = {
  /** Values brought under the current key now. */
  resealed: number;
  /** Values that could not be opened and stay as they are: where, and why. */
  unopened: { table: string; id: string; message: string }[];
  /** False when the signal ended it; the next run goes on with what is left. */
  finished: boolean;
};

type Place = { table: string; key: string; column: string; type: "text" | "json" };

/** Every column in which sealed values lie, alone or inside a document. */
const PLACES: readonly Place[] = [
  { table: "secrets", key: "id", column: "sealed", type: "text" },
  { table: "oauth_tokens", key: "secret_id", column: "sealed", type: "text" },
  { table: "endpoints", key: "id", column: "signing", type: "json" },
  { table: "endpoints", key: "id", column: "headers", type: "json" },
  { table: "watches", key: "id", column: "definition", type: "json" },
  { table: "events", key: "id", column: "target", type: "json" },
  { table: "dead_letters", key: "delivery_id", column: "target", type: "json" },
];

/** `{"sealed": "<compact JWE>"}` in the text of a document; a text column holds nothing else. */
const SEALED = { json: /(?<="sealed"\s*:\s*")[^"\\.]*(?:\.[^"\\.]*){4}(?=")/g, text: /^.+$/g };
const FIRST = "00000000-0000-0000-0000-000000000000";
const TRIES = 5;

/**
 * Brings every sealed value under the current key while everything keeps serving: each row is written only if it is
 * still as it was read. It remembers nothing: what is under the current key already is passed over, so that a run
 * after a kill goes on with the rest. Nodes must know both keys (MASTER_KEY_PREVIOUS) until it has finished.
 */
export async function rotateVault(
  { sql }: Database,
  vault: Vault,
  options: { onProgress?: (progress: RotationProgress) => void; signal?: AbortSignal; batchSize?: number } = {},
): Promise<RotationReport> {
  const report: RotationReport = { resealed: 0, unopened: [], finished: true };
  for (const place of PLACES) {
    const limit = options.batchSize ?? 500;
    let after: string | undefined = FIRST;
    for (let scanned = 0; after !== undefined; ) {
      if (options.signal?.aborted) return { ...report, finished: false };
      const rows: Row[] = await readBatch(sql, place, after, limit);
      for (const row of rows) await resealRow(sql, vault, place, row, report);
      scanned += rows.length;
      options.onProgress?.({ table: place.table, scanned, resealed: report.resealed });
      after = rows.length === limit ? rows.at(-1)?.id : undefined;
    }
  }
  return report;
}

type Row = { id: string; value: string | null };

/** All rows of a range of ids, since most events have no target: a search for those that have would be unbounded. */
function readBatch(sql: Sql, { table, key, column, type }: Place, after: string, limit: number): Promise<Row[]> {
  return sql.unsafe<Row[]>(
    `select ${key} as id, case when ${type === "text"} or ${column}::text like '%"sealed"%' then ${column}::text end as value
     from deltahook.${table} where ${key} > $1 order by ${key} limit $2`,
    [after, limit],
  );
}

async function resealRow(sql: Sql, vault: Vault, place: Place, row: Row, report: RotationReport): Promise<void> {
  let value = row.value;
  for (let tried = 0; tried < TRIES && value !== null; tried++) {
    const outcome = await resealText(vault, value, SEALED[place.type]);
    const written = outcome.resealed === 0 || (await writeRow(sql, place, row.id, value, outcome.text));
    if (written) {
      report.resealed += outcome.resealed;
      report.unopened.push(...outcome.faults.map((message) => ({ table: place.table, id: row.id, message })));
      return;
    }
    value = await readRow(sql, place, row.id);
  }
  if (value !== null) {
    const message = "It was changed by others again and again; run the rotation once more.";
    report.unopened.push({ table: place.table, id: row.id, message });
  }
}

/** Works on the text, so that everything else in a document keeps its bytes. */
async function resealText(
  vault: Vault,
  text: string,
  pattern: RegExp,
): Promise<{ text: string; resealed: number; faults: string[] }> {
  const replaced = new Map<string, string>();
  const faults: string[] = [];
  for (const [sealed] of text.matchAll(pattern)) {
    if (keyIdOf(sealed) === vault.currentKeyId) continue;
    try {
      replaced.set(sealed, await vault.reseal(sealed));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      faults.push(error.message);
    }
  }
  const resealed = text.replace(pattern, (sealed) => replaced.get(sealed) ?? sealed);
  return { text: resealed, resealed: replaced.size, faults };
}

async function writeRow(sql: Sql, { table, key, column, type }: Place, id: string, old: string, text: string) {
  const result = await sql.unsafe(
    `update deltahook.${table} set ${column} = $1::text::${type} where ${key} = $2 and ${column}::text = $3`,
    [text, id, old],
  );
  return result.count > 0;
}

async function readRow(sql: Sql, { table, key, column }: Place, id: string): Promise<string | null> {
  const [row] = await sql.unsafe<{ value: string | null }[]>(
    `select ${column}::text as value from deltahook.${table} where ${key} = $1`,
    [id],
  );
  return row?.value ?? null;
}
