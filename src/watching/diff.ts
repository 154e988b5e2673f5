import {
  absoluteDecimal,
  compareDecimals,
  type Decimal,
  multiplyDecimals,
  subtractDecimals,
} from "../platform/decimal.ts";
import { ExactNumber, equalJson, type Json } from "../platform/json.ts";
import type { FieldPlan, Tolerance } from "./compile.ts";
import { type Known, numberIn } from "./conditions.ts";

/** How a field differs; `added` and `removed` are for fields of an item that came or went. */
export type ChangeKind = "changed" | "added" | "removed" | "appeared" | "disappeared" | "type_changed";

/** One difference, as it is sent. A side that was missing is left out, which `null` would not tell. */
export type Change = {
  field: string;
  path: string;
  kind: ChangeKind;
  previous?: Json;
  current?: Json;
  /** The key of the item that it is in, where one event tells of several items. */
  item?: Json;
};

/**
 * What changed in a field, or `null`. `before` is what it is compared with: what was last seen, or for fields that add up
 * drift what was last stated.
 */
export function changeOf(field: FieldPlan, before: Known, current: Known): Change | null {
  if (field.tolerance && isWithin(field.tolerance, before, current)) return null;
  const kind = kindOf(before, current);
  return kind === null ? null : writeChange(field, kind, before, current);
}

/** A change as it is sent. */
export function writeChange(field: FieldPlan, kind: ChangeKind, before: Known, current: Known): Change {
  const change: Change = { field: field.name, path: field.path.text, kind };
  if (before !== undefined) change.previous = before;
  if (current !== undefined) change.current = current;
  return change;
}

/** `null` is a value of any type: paid_at going from null to a date has changed, not its type. */
function kindOf(before: Known, current: Known): ChangeKind | null {
  if (before === undefined) return current === undefined ? null : "appeared";
  if (current === undefined) return "disappeared";
  if (equalJson(before, current)) return null;
  const sameType = before === null || current === null || typeOf(before) === typeOf(current);
  return sameType ? "changed" : "type_changed";
}

function isWithin({ absolute, percent }: Tolerance, before: Known, current: Known): boolean {
  if (before === undefined || current === undefined || typeOf(before) !== typeOf(current)) return false;
  const from = numberIn(before);
  const to = numberIn(current);
  if (from === null || to === null) return false;
  const distance = absoluteDecimal(subtractDecimals(to, from));
  if (absolute !== null && compareDecimals(distance, absolute) <= 0) return true;
  if (percent === null) return false;
  return compareDecimals(multiplyDecimals(distance, HUNDRED), multiplyDecimals(percent, absoluteDecimal(from))) <= 0;
}

const HUNDRED: Decimal = { units: 1n, exponent: 2 };

function typeOf(value: Json): string {
  if (Array.isArray(value)) return "array";
  return value instanceof ExactNumber ? "number" : typeof value;
}
