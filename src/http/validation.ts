import type { z } from "zod";
import { AppError, type FieldFault } from "../platform/errors.ts";
import { ExactNumber } from "../platform/json.ts";
import { nearest } from "../platform/nearest.ts";

type Issue = z.core.$ZodIssue;
type RawIssue = z.core.$ZodRawIssue;

/**
 * What the schema makes of a value.
 * @throws AppError `invalid` with one fault per place: a JSON Pointer (RFC 6901) and a sentence.
 */
export function validate<T>(schema: z.ZodType<T>, value: unknown, where: "body" | "query" | "form"): T {
  const result = schema.safeParse(value, { error: sentence });
  if (result.success) return result.data;
  const faults = result.error.issues.slice(0, MOST_FAULTS).flatMap((issue) => faultsOf(issue, []));
  throw new AppError("invalid", summary(faults, where), { faults: faults.slice(0, MOST_FAULTS) });
}

/** More would help nobody, and make the answer many times as large as the request. */
const MOST_FAULTS = 100;

/** One sentence for those who read nothing else. */
function summary(faults: FieldFault[], where: string): string {
  const [first] = faults;
  if (!first) return `The ${where} cannot be used.`;
  const place = first.pointer === "" ? `the ${where}` : first.pointer;
  const rest = faults.length > 1 ? ` (and ${faults.length - 1} more, see errors)` : "";
  return `The ${where} cannot be used: ${place}: ${first.message}${rest}.`;
}

function faultsOf(issue: Issue, base: PropertyKey[]): FieldFault[] {
  const path = [...base, ...issue.path];
  if (issue.code === "unrecognized_keys") {
    return issue.keys
      .slice(0, MOST_FAULTS)
      .map((key) => ({ pointer: pointer([...path, key]), message: unknownKey(key, issue) }));
  }
  if (issue.code === "invalid_union") {
    const branch = likeliestBranch(issue.errors);
    if (branch) return branch.flatMap((inner) => faultsOf(inner, path));
  }
  return [{ pointer: pointer(path), message: issue.message }];
}

/** The one alternative that fails inside the value, and not at the value as such. */
function likeliestBranch(branches: readonly Issue[][]): Issue[] | null {
  const inside = branches.filter((issues) =>
    issues.every((issue) => issue.path.length > 0 || issue.code !== "invalid_type"),
  );
  return inside.length === 1 ? (inside[0] ?? null) : null;
}

function unknownKey(key: string, issue: Issue & { known?: string[] }): string {
  const known = issue.known ?? [];
  const near = nearest(key, known);
  if (near) return `unknown property; did you mean ${JSON.stringify(near)}?`;
  return known.length > 0 && known.length <= 12
    ? `unknown property; known are ${known.join(", ")}`
    : "unknown property";
}

/** What zod says without a message of the schema's own. */
function sentence(issue: RawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined
        ? "is required"
        : `must be ${named(String(issue.expected))}, not ${kindOf(issue.input)}`;
    case "unrecognized_keys":
      // Kept on the issue, since the schema that raised it is not.
      Object.assign(issue, { known: knownKeys(issue.inst) });
      return "unknown property";
    case "invalid_value":
      if (issue.input === undefined) return "is required";
      return `must be ${list((issue.values as unknown[]).map((value) => JSON.stringify(value)))}`;
    case "too_small":
      return bound(String(issue.origin), issue.minimum as number, issue.inclusive === false ? "more than" : "at least");
    case "too_big":
      return bound(String(issue.origin), issue.maximum as number, issue.inclusive === false ? "less than" : "at most");
    case "invalid_union":
      return issue.input === undefined ? "is required" : "is none of the forms that are accepted here";
    case "invalid_format":
      return `is not a valid ${issue.format === "regex" ? "value" : issue.format}`;
    default:
      return undefined;
  }
}

function knownKeys(schema: unknown): string[] {
  const shape = (schema as { _zod?: { def?: { shape?: object } } } | undefined)?._zod?.def?.shape;
  return Object.keys(shape ?? {});
}

function bound(origin: string, limit: number, words: string): string {
  if (origin === "string" && limit === 1 && words === "at least") return "must not be empty";
  if (origin === "string") return `must have ${words} ${limit} characters`;
  if (origin === "array" || origin === "set") return `must have ${words} ${limit} elements`;
  return `must be ${words} ${limit}`;
}

function named(expected: string): string {
  const names: Record<string, string> = {
    int: "a whole number",
    record: "an object",
    array: "an array",
    object: "an object",
  };
  return names[expected] ?? `a ${expected}`;
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (value instanceof ExactNumber) return "a number of that size or precision";
  if (typeof value === "object") return "an object";
  return typeof value === "number" && Number.isNaN(value) ? "text" : `a ${typeof value}`;
}

function list(choices: string[]): string {
  return choices.length === 1 ? String(choices[0]) : `one of ${choices.join(", ")}`;
}

function pointer(path: PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}
