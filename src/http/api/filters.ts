import { z } from "zod";
import { type IdKind, PREFIXES, parseId } from "../../platform/ids.ts";

/** A public id as a filter → its UUID; absent: no filter. */
export function idFilter(kind: IdKind) {
  return z
    .string()
    .optional()
    .transform((text, context) => {
      if (text === undefined) return undefined;
      const uuid = parseId(kind, text);
      if (uuid === null) context.addIssue({ code: "custom", message: `must be an id such as ${PREFIXES[kind]}_…` });
      return uuid ?? undefined;
    });
}

/** An event type as a filter. */
export const typeFilter = z
  .string()
  .regex(/^[A-Za-z0-9_.:/-]{1,200}$/, { error: "must be an event type" })
  .optional();

/** A moment in RFC 3339. */
export const momentInput = z.iso
  .datetime({ offset: true, error: "must be a time in RFC 3339, such as 2026-11-21T20:00:00Z" })
  .transform((text) => new Date(text));
