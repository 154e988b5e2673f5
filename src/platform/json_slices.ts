/** Where a value stands in a JSON text: `text.slice(start, end)` is the value as its sender wrote it. */
export type Slice = { start: number; end: number };

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/**
 * The members of the object that begins at or after `start`, by name: the very bytes a sender wrote (`1.0`, key order,
 * 20 digits), which parsing would lose. Of a repeated name the last counts, as in `JSON.parse`. The text must already have
 * been parsed: nothing is validated here. Linear, no recursion.
 */
export function memberSlices(text: string, start = 0): Map<string, Slice> {
  const members = new Map<string, Slice>();
  let at = enter(text, start, "{");
  while (text.charAt(at) !== "}") {
    const nameEnd = endOfValue(text, at);
    const name: string = JSON.parse(text.slice(at, nameEnd));
    const slice = valueAt(text, pastSpace(text, nameEnd) + 1);
    members.set(name, slice);
    at = pastComma(text, slice.end);
  }
  return members;
}

/** The elements of the array that begins at or after `start`; as {@link memberSlices}. */
export function elementSlices(text: string, start = 0): Slice[] {
  const elements: Slice[] = [];
  let at = enter(text, start, "[");
  while (text.charAt(at) !== "]") {
    const slice = valueAt(text, at);
    elements.push(slice);
    at = pastComma(text, slice.end);
  }
  return elements;
}

function enter(text: string, start: number, bracket: string): number {
  const at = pastSpace(text, start);
  if (text.charAt(at) !== bracket) throw new TypeError(`expected ${bracket} at ${at}`);
  return pastSpace(text, at + 1);
}

function valueAt(text: string, from: number): Slice {
  const start = pastSpace(text, from);
  return { start, end: endOfValue(text, start) };
}

function pastComma(text: string, from: number): number {
  const at = pastSpace(text, from);
  return text.charAt(at) === "," ? pastSpace(text, at + 1) : at;
}

function pastSpace(text: string, from: number): number {
  let at = from;
  while (isSpace(text.charCodeAt(at))) at++;
  return at;
}

/** The index behind the value that begins at `start`. */
function endOfValue(text: string, start: number): number {
  const first = text.charCodeAt(start);
  if (first === QUOTE) return endOfString(text, start);
  if (first !== 0x7b && first !== 0x5b) return endOfScalar(text, start);
  let depth = 0;
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at) - 1;
    else if (code === 0x7b || code === 0x5b) depth++;
    else if ((code === 0x7d || code === 0x5d) && --depth === 0) return at + 1;
  }
  throw new TypeError("the text was not valid JSON");
}

/** `indexOf` finds the closing quote at memory speed; a quote after an odd run of backslashes is not it. */
function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); quote !== -1; quote = text.indexOf('"', quote + 1)) {
    let slash = quote - 1;
    while (text.charCodeAt(slash) === BACKSLASH) slash--;
    if ((quote - slash) % 2 === 1) return quote + 1;
  }
  throw new TypeError("the text was not valid JSON");
}

/** Numbers, true, false, null: up to a comma, a closing bracket, white space or the end. */
function endOfScalar(text: string, start: number): number {
  let at = start;
  for (; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x2c || code === 0x7d || code === 0x5d || isSpace(code)) break;
  }
  return at;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
