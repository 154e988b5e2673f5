const EVERY_MS = 200;

export type Tally = { rows: number; tables: Record<string, number> };

/** Counts the rows that go by, and shows on a terminal how far it is. */
export async function* counted<Item extends { table: string; rows: number; bytes: Uint8Array }>(
  parts: AsyncIterable<Item>,
  tally: Tally,
  verb: string,
  total?: number,
): AsyncGenerator<Item> {
  let bytes = 0;
  let shownAt = 0;
  for await (const part of parts) {
    yield part;
    tally.rows += part.rows;
    tally.tables[part.table] = (tally.tables[part.table] ?? 0) + part.rows;
    bytes += part.bytes.length;
    if (!process.stderr.isTTY || performance.now() - shownAt < EVERY_MS) continue;
    shownAt = performance.now();
    const of = total === undefined ? "" : ` of ${grouped(total)}`;
    process.stderr.write(`\r\x1b[2K${part.table}: ${grouped(tally.rows)}${of} rows ${verb}, ${size(bytes)}`);
  }
  if (shownAt > 0) process.stderr.write("\r\x1b[2K");
}

/** 1234567 → `1,234,567`. */
export function grouped(count: number): string {
  return count.toLocaleString("en");
}

/** 27320 → `27 kB`, 1234567 → `1.2 MB`. */
export function size(bytes: number): string {
  return bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
