/** What is wrong with a hook's result as a JSON value, as the end of a sentence that begins with its place; or null. */
export function jsonFault(value: unknown, name: string, maxChars: number): string | null {
  return faultOf(value, name, { chars: maxChars, max: maxChars }, 0);
}

/** A JSON value → its text of at most `maxChars`, or what is wrong. */
export function toJsonText(value: unknown, name: string, maxChars: number): { text: string } | { fault: string } {
  const fault = jsonFault(value, name, maxChars);
  if (fault !== null) return { fault };
  const text = JSON.stringify(value);
  if (text === undefined) return { fault: `${name} is undefined` };
  return text.length > maxChars ? { fault: tooLarge(maxChars) } : { text };
}

/** Deeper documents are refused by whoever reads them back. */
const MAX_DEPTH = 256;

export function tooLarge(maxChars: number): string {
  return `the result has more than ${maxChars} characters`;
}

/** Walks before anything is written, so that a huge result is noticed at the limit and not in memory. */
function faultOf(value: unknown, place: string, left: { chars: number; max: number }, depth: number): string | null {
  switch (typeof value) {
    case "string":
      left.chars -= value.length + 2;
      return left.chars < 0 ? tooLarge(left.max) : null;
    case "boolean":
      left.chars -= 4;
      return null;
    case "number":
      left.chars -= 1;
      return Number.isFinite(value) ? null : `${place} is ${value}, which JSON has no word for`;
    case "undefined":
      return null;
    case "object":
      return value === null ? null : faultInside(value, place, left, depth);
    default:
      return `${place} is a ${typeof value}, which JSON has no word for`;
  }
}

function faultInside(value: object, place: string, left: { chars: number; max: number }, depth: number): string | null {
  if (depth > MAX_DEPTH) return `the result is nested deeper than ${MAX_DEPTH} levels, or refers to itself`;
  if ("toJSON" in value && typeof value.toJSON === "function") return null;
  left.chars -= 2;
  if (Array.isArray(value)) {
    left.chars -= value.length;
    for (let i = 0; i < value.length && left.chars >= 0; i++) {
      const fault = faultOf(value[i], `${place}[${i}]`, left, depth + 1);
      if (fault !== null) return fault;
    }
    return left.chars < 0 ? tooLarge(left.max) : null;
  }
  const prototype = Object.getPrototypeOf(value) as { constructor?: { name?: string } } | null;
  if (prototype !== null && prototype !== Object.prototype) {
    const kind = prototype.constructor?.name ?? "strange object";
    return `${place} is a ${kind}${kind === "Promise" ? ": await it" : ", which JSON has no word for"}`;
  }
  for (const key in value) {
    left.chars -= key.length + 4;
    if (left.chars < 0) return tooLarge(left.max);
    const fault = faultOf((value as Record<string, unknown>)[key], `${place}.${key}`, left, depth + 1);
    if (fault !== null) return fault;
  }
  return left.chars < 0 ? tooLarge(left.max) : null;
}
