import { z } from "zod";
import { href } from "../../../views/pieces.tsx";
import { type IdKind, PREFIXES, parseId } from "../../platform/ids.ts";

export const PAGE_ROWS = 50;

/** The parameter `before` of a list: the public id of the last row of the page before → its UUID, or null. */
export function beforeQuery(kind: IdKind) {
  return z
    .string()
    .optional()
    .transform((text, context): string | null => {
      if (text === undefined) return null;
      const uuid = parseId(kind, text);
      if (uuid === null) context.addIssue({ code: "custom", message: `must be an id such as ${PREFIXES[kind]}_…` });
      return uuid;
    });
}

/** The links to older rows and back; `query` are the filters as they came. */
export function pagerOf(
  path: string,
  query: Record<string, string | null | undefined>,
  page: { before: string | null; next: string | null },
): { older: string | null; newest: string | null } {
  return {
    older: page.next === null ? null : href(path, { ...query, before: page.next }),
    newest: page.before === null ? null : href(path, query),
  };
}
