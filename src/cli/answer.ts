/** Prints a result: one JSON document for programs (`--json`), otherwise the words for people. */
export function answer(json: boolean | undefined, value: unknown, words: string): void {
  process.stdout.write(json ? `${JSON.stringify(value, null, 2)}\n` : `${words}\n`);
}

/** Rows in aligned columns, the last one as wide as it likes. */
export function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [heads.map((head) => head.toUpperCase()), ...rows];
  const widths = heads.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  const lines = all.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "));
  return lines.map((line) => line.trimEnd()).join("\n");
}
