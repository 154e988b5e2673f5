import { AppError } from "../platform/errors.ts";
import { type IdKind, parseId } from "../platform/ids.ts";

/** What a list is asked for; `cursor` is the `next` of the page before. */
export type PageRequest = { limit: number; cursor?: string | undefined };
export type Page<T> = { data: T[]; next: string | null };

/**
 * One page of a list by id, newest first. `read` gets the id to go on after and how many rows to read.
 * @throws AppError (422) for a cursor that is no id of that kind.
 */
export async function readPage<Row, Shown extends { id: string }>(
  kind: IdKind,
  page: PageRequest,
  read: (after: string | null, limit: number) => Promise<Row[]>,
  show: (row: Row) => Shown,
): Promise<Page<Shown>> {
  const after = page.cursor === undefined ? null : parseId(kind, page.cursor);
  if (page.cursor !== undefined && !after) {
    const message = "The cursor is not one that this list gave out; leave it out to start from the newest.";
    throw new AppError("invalid", message, { faults: [{ pointer: "/cursor", message }] });
  }
  // One row more than shown tells whether there is a next page.
  const rows = await read(after, page.limit + 1);
  const data = rows.slice(0, page.limit).map(show);
  return { data, next: rows.length > page.limit ? (data.at(-1)?.id ?? null) : null };
}
