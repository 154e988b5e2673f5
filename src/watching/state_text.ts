import { type JsonObject, parseJson, stringifyJson } from "../platform/json.ts";
import type { StateRow, StoredValue, WatchState } from "./state.ts";

/** A row's `value` column: short names, since there may be 50,000 of them. */
type Written = { s: StoredValue; t?: StoredValue; m?: number; c?: string };

export const NO_STATE: WatchState = new Map();

/** The rows of a watch from one JSON object of their values by key, in their order. Exact numbers stay exact. */
export function readState(text: string | null): WatchState {
  if (text === null) return NO_STATE;
  const rows = new Map<string, StateRow>();
  for (const [key, value] of Object.entries(parseJson(text) as JsonObject)) {
    const { s, t, m, c } = value as unknown as Written;
    rows.set(key, { key, seen: s, stated: t ?? null, missing: m ?? 0, config: c ?? "" });
  }
  return rows;
}

/** The `value` column of a row. */
export function writeRow({ seen, stated, missing, config }: StateRow): string {
  const written: Written = { s: seen };
  if (stated !== null) written.t = stated;
  if (missing > 0) written.m = missing;
  if (config !== "") written.c = config;
  return stringifyJson(written);
}
