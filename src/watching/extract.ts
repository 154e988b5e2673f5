import { messageOf } from "../platform/errors.ts";
import { canonicalJson, type Json, sanitiseJson } from "../platform/json.ts";
import type { FieldPlan } from "./compile.ts";

/** What a field's path found. */
export type Extracted = { kind: "value"; value: Json } | { kind: "missing" } | { kind: "error"; message: string };

/** A keyed hash of a redacted value's canonical text. */
export type Hash = (canonical: string) => string;

/** Why a field could not be read, though its path is sound. */
export class ExtractFault {
  constructor(readonly message: string) {}
}

/** Every field of a document, by name. */
export function extract(fields: readonly FieldPlan[], document: Json, hash: Hash): Map<string, Extracted> {
  return new Map(fields.map((field) => [field.name, extractedOf(readField(field, document, hash))]));
}

/**
 * One field: its value, `undefined` when it is missing, or why it could not be read. A path that can match several
 * values gives the list of them, empty when nothing matches, so that one match more or less is no change of type; with
 * `take: "first"` it gives the first, which can be missing.
 */
export function readField(field: FieldPlan, document: Json, hash: Hash): Json | undefined | ExtractFault {
  try {
    const { path } = field;
    const found = path.singular || field.takeFirst ? path.first(document) : path.values(document);
    if (found === undefined) return undefined;
    const value = sanitiseJson(found);
    return field.redact ? { redacted: hash(canonicalJson(value)) } : value;
  } catch (error) {
    return new ExtractFault(`field "${field.name}" could not be read: ${messageOf(error)}`);
  }
}

function extractedOf(found: Json | undefined | ExtractFault): Extracted {
  if (found === undefined) return { kind: "missing" };
  if (found instanceof ExtractFault) return { kind: "error", message: found.message };
  return { kind: "value", value: found };
}
