import type { Json, JsonObject } from "../platform/json.ts";
import type { Known } from "./conditions.ts";

/**
 * What is known of a field or an item. An item's value is the object of its fields; a field missing from it is a member
 * less, and `gaps` counts the polls in a row for which a member that still stands has not been found.
 */
export type StoredValue = { v: Json; gaps?: { [field: string]: number } } | { missing: true };

/**
 * One row of a watch's state. Keys are `f:<field>`, `i:<item key as canonical JSON>`, and `c:items`, which tells that the
 * items have a reference, even when there are none.
 */
export type StateRow = {
  key: string;
  /** Advanced by every successful poll. */
  seen: StoredValue;
  /** Advanced only by an event; `null` while it is the same as `seen`, so that it need not be kept twice. */
  stated: StoredValue | null;
  /** Polls in a row for which the field or item has been gone, while that does not count yet. */
  missing: number;
  /** Fingerprint of the configuration that the row belongs to; empty for items, whose `c:items` row has it. */
  config: string;
};

/** Rows by key, oldest first; read them with `parseJson`, which keeps every digit. */
export type WatchState = ReadonlyMap<string, StateRow>;

/** Only what differs from the state that was judged. A key is never in both. */
export type StateChange = { upserts: readonly StateRow[]; deletes: readonly string[] };

export const ITEMS_KEY = "c:items";

/** A stored value as conditions and diff take it: `undefined` is missing. */
export function known(stored: StoredValue): Known {
  return "v" in stored ? stored.v : undefined;
}

/** The fields of an item's stored value. */
export function membersOf(stored: StoredValue): JsonObject {
  return "v" in stored ? (stored.v as JsonObject) : {};
}

export function store(value: Known): StoredValue {
  return value === undefined ? { missing: true } : { v: value };
}

/** A row that takes its value for seen and stated alike. */
export function reference(key: string, seen: StoredValue, config: string): StateRow {
  return { key, seen, stated: null, missing: 0, config };
}
