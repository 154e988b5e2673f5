import { z } from "zod";
import { type IdKind, parseId, publicId } from "../platform/ids.ts";

const EXAMPLE_UUID = "0192f3a1-7c44-7000-8000-000000000001";
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** The two parameters of every list; spread `listQuery.shape` into a stricter one to add filters. */
export const listQuery = z.strictObject({
  limit: z.coerce.number({ error: "must be a whole number from 1 to 200" }).int().min(1).max(200).default(50),
  cursor: z
    .string()
    .optional()
    .transform((text, context) => {
      if (text === undefined) return null;
      const id = idOfCursor(text);
      if (id === null) context.addIssue({ code: "custom", message: "is not a cursor; take it from `next` of a page" });
      return id;
    }),
});

/** `cursor` is the UUID of the last row of the page before, or null for the first page. */
export type ListQuery = z.infer<typeof listQuery>;

/**
 * One page, newest first. `rows` are read in falling order of `id`, `id < cursor` where there is one, one row more than
 * `limit`: that one says whether there is a next page.
 */
export function listAnswer<Row extends { id: string }>(
  rows: readonly Row[],
  limit: number,
  show: (row: Row) => unknown,
): { status: 200; body: { data: unknown[]; next: string | null } } {
  const page = rows.slice(0, limit);
  const last = rows.length > limit ? page.at(-1) : undefined;
  return { status: 200, body: { data: page.map(show), next: last ? cursorOf(last.id) : null } };
}

/** The same for rooms that turn pages by public ids: what they are asked for, */
export function pageOf(kind: IdKind, { limit, cursor }: ListQuery): { limit: number; cursor?: string } {
  return cursor === null ? { limit } : { limit, cursor: publicId(kind, cursor) };
}

/** and what they answered. */
export function pageAnswer(kind: IdKind, { data, next }: { data: unknown[]; next: string | null }) {
  const uuid = next === null ? null : parseId(kind, next);
  return { status: 200, body: { data, next: uuid && cursorOf(uuid) } };
}

/** The example of a list for the OpenAPI document. */
export function listExample(element: object): { data: unknown[]; next: string } {
  return { data: [element], next: cursorOf(EXAMPLE_UUID) };
}

/** An id for examples. */
export function exampleId(kind: IdKind): string {
  return publicId(kind, EXAMPLE_UUID);
}

/** Opaque to callers, so that what it holds may change. */
export function cursorOf(uuid: string): string {
  return Buffer.from(uuid.replaceAll("-", ""), "hex").toString("base64url");
}

function idOfCursor(cursor: string): string | null {
  const bytes = Buffer.from(cursor, "base64url");
  if (bytes.length !== 16 || bytes.toString("base64url") !== cursor) return null;
  const uuid = bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  return UUID.test(uuid) ? uuid : null;
}
