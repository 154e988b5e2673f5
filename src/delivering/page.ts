/** What a list is asked for: `cursor` is the UUID of the last row of the page before, or null. */
export type PageRequest = { limit: number; cursor: string | null };

/** One page, newest first; `next` is the id of its last element, or null when there is no more. */
export type Page<Shown> = { data: Shown[]; next: string | null };

/** Rows were read in falling order of their ids, one more than `limit`: that one says whether there is a next page. */
export function pageOfRows<Row, Shown extends { id: string }>(
  rows: readonly Row[],
  limit: number,
  show: (row: Row) => Shown,
): Page<Shown> {
  const data = rows.slice(0, limit).map(show);
  return { data, next: rows.length > limit ? (data.at(-1)?.id ?? null) : null };
}

/** RFC 3339 in UTC with milliseconds. */
export function isoTime(time: Date | number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
