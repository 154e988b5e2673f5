import { isSystemType } from "../platform/system_types.ts";

/**
 * Whether a subscription reaches an event type. In a pattern `*` matches any characters, dots too. System events are
 * reached only by a pattern that names them, or by `watch.*` and `endpoint.*` themselves.
 */
export function subscribes(patterns: readonly string[], type: string): boolean {
  if (!isSystemType(type)) return patterns.some((pattern) => matchesGlob(pattern, type));
  const family = `${type.slice(0, type.indexOf("."))}.*`;
  return patterns.some((pattern) => pattern === type || pattern === family);
}

/** Linear in the length of the text times the number of stars: no pattern can be made slow. */
export function matchesGlob(pattern: string, text: string): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let resume = 0;
  while (t < text.length) {
    if (pattern[p] === "*") {
      star = p++;
      resume = t;
    } else if (pattern[p] === text[t]) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}
