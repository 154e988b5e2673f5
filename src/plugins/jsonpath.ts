import type { Json } from "../platform/json.ts";
import { type CompiledPath, compilePath, isPathFault } from "../platform/jsonpath.ts";

/** A compiled JSONPath (RFC 9535) for plugins. */
export type JsonPath = {
  /** Matches at most one value, whatever the document holds. */
  readonly singular: boolean;
  /** The values matched, in document order. */
  values(document: unknown): unknown[];
  /** Puts `change(value)` in the place of each match, inside the document. @returns the document */
  replace(document: unknown, change: (value: unknown) => unknown): unknown;
};

const STEP = /\[(?:(\d+)|'((?:[^'\\]|\\.)*)')\]/g;

/** @throws Error with the position of the fault when the text is no JSONPath. */
export function jsonpath(text: string): JsonPath {
  const path = compilePath(text);
  if (isPathFault(path)) throw new Error(`not a JSONPath: ${path.message}`);
  return {
    singular: path.singular,
    values: (document) => path.values(document as Json),
    replace: (document, change) => replaceMatches(path, document, change),
  };
}

function replaceMatches(path: CompiledPath, document: unknown, change: (value: unknown) => unknown): unknown {
  const root = { document };
  for (const match of path.matches(document as Json)) {
    const steps: (string | number)[] = ["document", ...stepsOf(match.path)];
    const last = steps.pop() as string | number;
    let holder: unknown = root;
    for (const step of steps) holder = isHolder(holder) ? holder[step] : undefined;
    // A match inside what was replaced before is gone, and so is what it would have changed.
    if (isHolder(holder) && Object.hasOwn(holder, last)) holder[last] = change(holder[last]);
  }
  return root.document;
}

/** A normalised path (RFC 9535, section 2.7) → names and indexes. */
function stepsOf(path: string): (string | number)[] {
  return Array.from(path.matchAll(STEP), ([, index, name]) =>
    index === undefined ? unquoted(name ?? "") : Number(index),
  );
}

function unquoted(name: string): string {
  if (!name.includes("\\")) return name;
  return JSON.parse(`"${name.replaceAll("\\'", "'").replaceAll('"', '\\"')}"`) as string;
}

function isHolder(value: unknown): value is Record<string | number, unknown> {
  return typeof value === "object" && value !== null;
}
