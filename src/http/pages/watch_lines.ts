import { invalid } from "../../platform/errors.ts";
import { ExactNumber, type Json, JsonError, type JsonObject, parseJson, stringifyJson } from "../../platform/json.ts";
import type { FieldInput, WatchInput } from "../../watching/watch.ts";

// What a watch has many of, as lines of text that people write, and back.

type Conditions = WatchInput["conditions"];
type Query = WatchInput["request"]["query"];

/** What a field has unless it says otherwise; it is left out of its line. */
const PLAIN: JsonObject = { dialect: "rfc9535", take: "all", redact: false };

/** A line a field: `total = $.total {"tolerance": {"absolute": 0.01}}`. */
export function fieldLines(fields: Record<string, FieldInput>): string {
  return Object.entries(fields)
    .map(([name, field]) => `${name} = ${fieldText(field)}`)
    .join("\n");
}

/** A field without its name: its path, and what else it says as JSON. */
export function fieldText(field: FieldInput): string {
  if (typeof field === "string") return field;
  const { path, ...rest } = field;
  const said = Object.entries(rest).filter(([name, value]) => value !== undefined && value !== PLAIN[name]);
  return said.length === 0 ? path : `${path} ${stringifyJson(Object.fromEntries(said))}`;
}

/** @throws AppError (422) at `pointer` */
export function fieldsOf(text: string, pointer: string): JsonObject {
  const pairs = linesOf(text).map((line) => {
    const [, name, rest] = /^(.*?\S)\s*=\s*(\$.*)$/.exec(line) ?? [];
    if (!name || !rest) throw invalid(pointer, `Write each line as name = $.path; this is not so: ${line}`);
    return [name, fieldOf(rest)] as const;
  });
  const fields = Object.fromEntries(pairs);
  if (Object.keys(fields).length < pairs.length) throw invalid(pointer, "Two lines have the same name.");
  return fields;
}

/** The options begin at the first brace from which on everything is one JSON object. */
function fieldOf(text: string): Json {
  for (const { index } of text.matchAll(/\s\{/g)) {
    const options = objectIn(text.slice(index));
    if (options) return { path: text.slice(0, index).trim(), ...options };
  }
  return text;
}

function objectIn(text: string): JsonObject | null {
  const value = jsonOrText(text);
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject && !(value instanceof ExactNumber) ? value : null;
}

/** A line a condition: `status becomes paid`. */
export function conditionLines(conditions: Conditions): string {
  return conditions
    .map(({ field, op, value }) => {
      const name = /^[^\s"]\S*$/.test(field) ? field : stringifyJson(field);
      return value === undefined ? `${name} ${op}` : `${name} ${op} ${valueText(value)}`;
    })
    .join("\n");
}

/** The value as JSON, or as plain text; a name with spaces stands in quotes. @throws AppError (422) at `/conditions` */
export function conditionsOf(text: string): JsonObject[] {
  return linesOf(text).map((line) => {
    const [, name, op, value] = /^("(?:[^"\\]|\\.)*"|\S+)\s+(\w+)(?:\s+(.+))?$/.exec(line) ?? [];
    if (!name || !op) throw invalid("/conditions", `Write each line as field condition value; this is not so: ${line}`);
    const field = name.startsWith('"') ? jsonOrText(name) : name;
    return value === undefined ? { field, op } : { field, op, value: jsonOrText(value) };
  });
}

/** A line a parameter: `limit = 50`. */
export function queryLines(query: Query): string {
  return Object.entries(query)
    .map(([name, value]) => `${name} = ${valueText(value)}`)
    .join("\n");
}

/** @throws AppError (422) at `/query` */
export function queryOf(text: string): JsonObject {
  return pairsOf(text, "=", "/query", jsonOrText);
}

/** A line a header: `x-team: billing`. */
export function headerLines(headers: Record<string, string>): string {
  return Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join("\n");
}

/** @throws AppError (422) at `/headers` */
export function headersOf(text: string): Record<string, string> {
  return pairsOf(text, ":", "/headers", (value) => value);
}

function pairsOf<Value>(
  text: string,
  sign: string,
  pointer: string,
  read: (value: string) => Value,
): Record<string, Value> {
  const pairs = linesOf(text).map((line) => {
    const at = line.indexOf(sign);
    if (at < 1) throw invalid(pointer, `Write each line as name${sign === ":" ? ":" : " ="} value; not so: ${line}`);
    return [line.slice(0, at).trim(), read(line.slice(at + 1).trim())] as const;
  });
  return Object.fromEntries(pairs);
}

/** A text that would be read as something else stands in quotes. */
function valueText(value: unknown): string {
  return typeof value === "string" && value === value.trim() && value !== "" && jsonOrText(value) === value
    ? value
    : stringifyJson(value);
}

function jsonOrText(text: string): Json {
  try {
    return parseJson(text);
  } catch (error) {
    if (error instanceof JsonError) return text;
    throw error;
  }
}

function linesOf(text: string): string[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "");
}
