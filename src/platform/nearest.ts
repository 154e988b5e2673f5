/** Beyond it nobody mistyped a name, and the distance, which takes the product of both lengths, would freeze the process. */
const MOST_CHARS = 200;

/** The known name at the smallest edit distance, when it is near enough to be what was meant. */
export function nearest(name: string, known: readonly string[]): string | null {
  if (name.length > MOST_CHARS) return null;
  const ranked = known
    .map((candidate) => ({ candidate, far: distance(name, candidate) }))
    .sort((a, b) => a.far - b.far);
  const best = ranked[0];
  return best && best.far <= Math.max(2, name.length / 3) ? best.candidate : null;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, swap));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
