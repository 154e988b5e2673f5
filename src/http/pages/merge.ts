import { ExactNumber } from "../../platform/json.ts";

/** The merge patch (RFC 7396) that makes `after` out of `before`: what is gone is named as null. */
export function patchBetween(before: unknown, after: unknown): unknown {
  if (!isObject(before) || !isObject(after)) return after;
  const gone = Object.keys(before).filter((name) => !(name in after));
  return Object.fromEntries([
    ...gone.map((name) => [name, null]),
    ...Object.entries(after)
      .filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name]))
      .map(([name, value]) => [name, patchBetween(before[name], value)]),
  ]);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);
}
