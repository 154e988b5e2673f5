import { compareDecimals, type Decimal, parseDecimal, writeDecimal } from "./decimal.ts";
import { findJsonFault } from "./json_fault.ts";

/** A JSON value whose numbers are exact: what a double cannot hold is an {@link ExactNumber}. */
export type Json = null | boolean | number | string | ExactNumber | Json[] | JsonObject;
export type JsonObject = { [key: string]: Json };

/** Deeper documents are refused before anything recurses into them. */
export const MAX_JSON_DEPTH = 512;

/** What a source may answer: less, so that a value of it is still read back from inside a state or an event. */
export const MAX_REPLY_DEPTH = 256;

/**
 * A number that a double would round, such as 12345678901234567890. Its digits are private, so that whatever walks
 * plain objects (JSONPath, `Object.entries`) finds a leaf.
 */
export class ExactNumber {
  readonly #text: string;

  constructor(value: Decimal) {
    this.#text = writeDecimal(value);
  }

  /** The one decimal text of this value. */
  toString(): string {
    return this.#text;
  }

  toJSON(): unknown {
    return rawJson(this.#text);
  }
}

/** Why a text is no JSON that we take. `position` counts UTF-16 units from 0; it is `null` when no one place is at fault. */
export class JsonError extends Error {
  readonly position: number | null;

  constructor(message: string, position: number | null) {
    super(message);
    this.name = "JsonError";
    this.position = position;
  }
}

/**
 * Parses JSON (RFC 8259) without losing a digit, a `__proto__` key included as plain data.
 * @throws JsonError for a syntax fault, nesting beyond `maxDepth`, or an absurdly long number.
 */
export function parseJson(text: string, maxDepth = MAX_JSON_DEPTH): Json {
  checkDepth(text, maxDepth);
  try {
    return MAY_LOSE_DIGITS.test(text) ? parseExactly(text, keepDigits) : (JSON.parse(text) as Json);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    const { position, message } = findJsonFault(text);
    throw new JsonError(message, position);
  }
}

/** Writes a value as JSON text, exact numbers with all their digits. */
export function stringifyJson(value: unknown): string {
  return JSON.stringify(value);
}

/** Deep equality: the order of object keys is ignored, numbers compare by exact value, arrays in order. */
export function equalJson(a: Json, b: Json, depth = 0): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  guardDepth(depth);
  if (Array.isArray(a)) {
    if (!Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!equalJson(a[i] as Json, b[i] as Json, depth + 1)) return false;
    return true;
  }
  if (a instanceof ExactNumber) return b instanceof ExactNumber && a.toString() === b.toString();
  if (Array.isArray(b) || b instanceof ExactNumber) return false;
  return equalObjects(a, b, depth);
}

/** The one text of a value: keys sorted by code unit, numbers normalised. Equal values, and only those, have equal texts. */
export function canonicalJson(value: Json, depth = 0): string {
  if (typeof value !== "object" || value === null) return value === 0 ? "0" : JSON.stringify(value);
  if (value instanceof ExactNumber) return value.toString();
  guardDepth(depth);
  if (Array.isArray(value)) return `[${value.map((element) => canonicalJson(element, depth + 1)).join(",")}]`;
  const members = Object.keys(value).sort();
  return `{${members.map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key] as Json, depth + 1)}`).join(",")}}`;
}

/** Below, equal, above as a negative number, zero, a positive number; by exact decimal value. */
export function compareNumbers(a: number | ExactNumber, b: number | ExactNumber): number {
  if (typeof a === "number" && typeof b === "number") return a < b ? -1 : a > b ? 1 : 0;
  return compareDecimals(decimalOf(a), decimalOf(b));
}

/** The exact decimal value of a JSON number; of a double that is the shortest decimal that reads back as it (0.1 is 0.1). */
export function decimalOf(value: number | ExactNumber): Decimal {
  const decimal = parseDecimal(String(value));
  if (decimal === null) throw new RangeError(`not a finite number: ${value}`);
  return decimal;
}

/** Makes a value storable: Postgres refuses `\u0000` and lone surrogates, which become U+FFFD. The same object if clean. */
export function sanitiseJson(value: Json, depth = 0): Json {
  if (typeof value === "string") return sanitiseText(value);
  if (typeof value !== "object" || value === null || value instanceof ExactNumber) return value;
  guardDepth(depth, MAX_REPLY_DEPTH);
  return Array.isArray(value) ? sanitiseArray(value, depth) : sanitiseObject(value, depth);
}

/** Sets a member as plain data, `__proto__` too, which an assignment would take for the prototype. */
export function setMember(object: JsonObject, key: string, value: Json): void {
  if (key !== "__proto__") object[key] = value;
  else Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
}

/** 16 digits or more, or a three-digit exponent. A match inside a string only costs time. */
const MAY_LOSE_DIGITS = /(?:^|[:,[\s])-?(?:\d[\d.]{15}|[\d.]+[eE][+-]?\d{3})/;

type Reviver = (this: unknown, key: string, value: unknown, context: { source?: string }) => unknown;
const parseExactly = JSON.parse as (text: string, reviver: Reviver) => Json;
const { rawJSON: rawJson } = JSON as unknown as { rawJSON(text: string): unknown };

function keepDigits(_key: string, value: unknown, context: { source?: string }): unknown {
  if (typeof value !== "number" || context.source === undefined) return value;
  const exact = parseDecimal(context.source);
  if (exact === null)
    throw new JsonError("a number in the document has too many digits, or too large an exponent", null);
  if (!Number.isFinite(value)) return new ExactNumber(exact);
  const rounded = decimalOf(value);
  return rounded.units === exact.units && rounded.exponent === exact.exponent ? value : new ExactNumber(exact);
}

/** Counts brackets outside strings: linear, and no recursion, unlike a check of the parsed value. */
function checkDepth(text: string, maxDepth: number): void {
  if (text.length <= 2 * maxDepth) return;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x22) at = endOfString(text, at);
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > maxDepth) throw new JsonError(`nested deeper than ${maxDepth} levels`, at);
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
}

/** The index of the closing quote of the string that opens at `start`, or the text's end. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5c) at++;
    else if (code === 0x22) return at;
  }
  return text.length;
}

function equalObjects(a: JsonObject, b: JsonObject, depth: number): boolean {
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  for (const key of keys) {
    if (!Object.hasOwn(b, key) || !equalJson(a[key] as Json, b[key] as Json, depth + 1)) return false;
  }
  return true;
}

/** The same for a text. */
export function sanitiseText(text: string): string {
  const wellFormed = text.isWellFormed() ? text : text.toWellFormed();
  return wellFormed.includes("\u0000") ? wellFormed.replaceAll("\u0000", "\ufffd") : wellFormed;
}

function sanitiseArray(value: Json[], depth: number): Json[] {
  let clean = value;
  for (let i = 0; i < value.length; i++) {
    const element = sanitiseJson(value[i] as Json, depth + 1);
    if (element === value[i]) continue;
    if (clean === value) clean = value.slice();
    clean[i] = element;
  }
  return clean;
}

function sanitiseObject(value: JsonObject, depth: number): JsonObject {
  const keys = Object.keys(value);
  const isClean = (key: string) =>
    sanitiseText(key) === key && sanitiseJson(value[key] as Json, depth + 1) === value[key];
  if (keys.every(isClean)) return value;
  const clean: JsonObject = {};
  for (const key of keys) setMember(clean, sanitiseText(key), sanitiseJson(value[key] as Json, depth + 1));
  return clean;
}

function guardDepth(depth: number, maxDepth = MAX_JSON_DEPTH): void {
  if (depth > maxDepth) throw new JsonError(`nested deeper than ${maxDepth} levels`, null);
}
