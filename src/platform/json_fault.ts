/** Where a text stops being JSON, and what was expected there. `position` counts UTF-16 units from 0. */
export type JsonFault = { position: number; message: string };

const SPACE = /[ \t\n\r]*/y;
const SCALAR = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])/y;
/** An escape, and a scalar, that the end of the text cuts off. */
const CUT_ESCAPE = /\\(?:u[0-9a-fA-F]{0,3})?$/y;
const CUT_SCALAR = /(?:-?\d*\.?\d*(?:[eE][+-]?)?|t|tr|tru|f|fa|fal|fals|n|nu|nul)$/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: raw control characters are what a string must not hold (RFC 8259)
const STRING_PART = /(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})){1,1000}/y;

/**
 * Finds the first fault of a text that `JSON.parse` refused: Bun's own message names no position. One pass, without
 * recursion, so that a hostile text cannot exhaust the stack.
 */
export function findJsonFault(text: string): JsonFault {
  const open: string[] = [];
  let next: "value" | "first" | "key" | "colon" | "after" = "value";
  for (let at = skip(SPACE, text, 0); at < text.length; at = skip(SPACE, text, at)) {
    const char = text.charAt(at);
    const closer = open.at(-1);
    const isKey: boolean = next === "key" || (next === "first" && closer === "}");
    if (char === closer && (next === "first" || next === "after")) {
      open.pop();
      next = "after";
      at++;
    } else if (next === "after") {
      if (closer === undefined) return fault(text, at, "the end of the text");
      if (char !== ",") return fault(text, at, `"," or "${closer}"`);
      next = closer === "}" ? "key" : "value";
      at++;
    } else if (next === "colon") {
      if (char !== ":") return fault(text, at, '":"');
      next = "value";
      at++;
    } else if (isKey && char !== '"') {
      return fault(text, at, "a name in double quotes");
    } else if (char === "{" || char === "[") {
      open.push(char === "{" ? "}" : "]");
      next = "first";
      at++;
    } else {
      const end = char === '"' ? endOfString(text, at) : skip(SCALAR, text, at);
      if (end === at) return fault(text, skip(CUT_SCALAR, text, at), "a value");
      if (end < 0) return fault(text, -end, "the rest of a string");
      next = isKey ? "colon" : "after";
      at = end;
    }
  }
  const message = text.trim() === "" ? "the text is empty" : `the text ends too early, after ${text.length} characters`;
  return { position: text.length, message };
}

/** The index behind the closing quote, or the negated index of what cannot stand in a string. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  for (let end = skip(STRING_PART, text, at); end > at; end = skip(STRING_PART, text, at)) at = end;
  return text.charAt(at) === '"' ? at + 1 : -skip(CUT_ESCAPE, text, at);
}

/** The index behind the match of a sticky pattern at `at`, or `at`. */
function skip(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

function fault(text: string, position: number, expected: string): JsonFault {
  const [char] = text.slice(position, position + 2);
  if (char === undefined) return { position, message: `the text ends too early, after ${position} characters` };
  return { position, message: `expected ${expected} at position ${position}, found ${JSON.stringify(char)}` };
}
