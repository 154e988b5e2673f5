import { ExactNumber, equalJson, type Json } from "./json.ts";

/** A merge patch (RFC 7396, section 2): members of the patch replace those of the target, null takes them away. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const merged = new Map(isObject(target) ? Object.entries(target) : []);
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name);
    else merged.set(name, mergePatch(merged.get(name), value));
  }
  return Object.fromEntries(merged);
}

/** The merge patch (RFC 7396) that makes `after` out of `before`: what is gone is named as null. */
export function patchBetween(before: unknown, after: unknown): unknown {
  if (!isObject(before) || !isObject(after)) return after;
  const gone = Object.keys(before).filter((name) => !(name in after));
  return Object.fromEntries([
    ...gone.map((name) => [name, null]),
    ...Object.entries(after)
      .filter(([name, value]) => !(name in before && equalJson(value as Json, before[name] as Json)))
      .map(([name, value]) => [name, patchBetween(before[name], value)]),
  ]);
}

/** An exact number is a leaf, although JavaScript calls it an object. */
function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);
}
