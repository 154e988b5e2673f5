/** One row of two texts side by side; null where one of them has no such line. */
export type DiffRow = { before: string | null; after: string | null; same: boolean };

/** More pairs of lines than this are not compared: what lies between the common ends then counts as changed. */
const MOST_PAIRS = 1_000_000;

/** Two texts, line beside line, by a longest common subsequence; a line that was replaced stands beside its successor. */
export function lineDiff(before: string, after: string): DiffRow[] {
  const left = before.split("\n");
  const right = after.split("\n");
  let head = 0;
  while (head < left.length && head < right.length && left[head] === right[head]) head++;
  let tail = 0;
  const rest = Math.min(left.length, right.length) - head;
  while (tail < rest && left.at(-1 - tail) === right.at(-1 - tail)) tail++;
  return [
    ...left.slice(0, head).map(same),
    ...middle(left.slice(head, left.length - tail), right.slice(head, right.length - tail)),
    ...left.slice(left.length - tail).map(same),
  ];
}

function middle(left: readonly string[], right: readonly string[]): DiffRow[] {
  if (left.length * right.length > MOST_PAIRS) return sideBySide(left, right);
  const common = commonLengths(left, right);
  const at = (i: number, j: number) => common[i * (right.length + 1) + j] ?? 0;
  const rows: DiffRow[] = [];
  let gone: string[] = [];
  let come: string[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    const line = left[i];
    const other = right[j];
    if (line !== undefined && line === other) {
      rows.push(...sideBySide(gone, come), same(line));
      [gone, come] = [[], []];
      i++;
      j++;
    } else if (line !== undefined && (other === undefined || at(i + 1, j) >= at(i, j + 1))) {
      gone.push(line);
      i++;
    } else {
      come.push(other ?? "");
      j++;
    }
  }
  return [...rows, ...sideBySide(gone, come)];
}

/** How many lines the rests from (i, j) have in common, row by row. */
function commonLengths(left: readonly string[], right: readonly string[]): Uint32Array {
  const width = right.length + 1;
  const lengths = new Uint32Array((left.length + 1) * width);
  for (let i = left.length - 1; i >= 0; i--) {
    for (let j = right.length - 1; j >= 0; j--) {
      const below = lengths[(i + 1) * width + j] ?? 0;
      const beside = lengths[i * width + j + 1] ?? 0;
      const across = lengths[(i + 1) * width + j + 1] ?? 0;
      lengths[i * width + j] = left[i] === right[j] ? across + 1 : Math.max(below, beside);
    }
  }
  return lengths;
}

function same(line: string): DiffRow {
  return { before: line, after: line, same: true };
}

function sideBySide(gone: readonly string[], come: readonly string[]): DiffRow[] {
  return Array.from({ length: Math.max(gone.length, come.length) }, (_, index) => ({
    before: gone[index] ?? null,
    after: come[index] ?? null,
    same: false,
  }));
}
