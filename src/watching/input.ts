import { z } from "zod";
import { type Json, sanitiseJson } from "../platform/json.ts";
import { compilePath, isPathFault, type PathDialect } from "../platform/jsonpath.ts";

const MAX_PATH_CHARS = 1_000;

/** Any JSON value, its numbers exact when the body was read with `parseJson`. */
export const jsonInput: z.ZodType<Json> = z.unknown().refine(isJson, { error: "must be a JSON value" }) as never;

/** A path of the default dialect. */
export const pathInput = z.string().superRefine((text, context) => checkPath(text, "rfc9535", context));

/** Adds an issue, with the position of the fault, when a path does not parse. */
export function checkPath(
  text: string,
  dialect: PathDialect,
  context: z.RefinementCtx,
  at: (string | number)[] = [],
): void {
  const fault = pathFault(text, dialect);
  if (fault) context.addIssue({ code: "custom", path: at, message: fault });
}

type RecordOf<Value extends z.ZodType> = z.ZodType<Record<string, z.output<Value>>, Record<string, z.input<Value>>>;

/** A record of at most `most` members. Zod drops a `__proto__` member without a word; here it is refused. */
export function recordOf<Value extends z.ZodType>(
  key: z.ZodType<string, string>,
  value: Value,
  most: number,
): RecordOf<Value> {
  const isPlain = (record: unknown) =>
    !(typeof record === "object" && record !== null && Object.hasOwn(record, "__proto__"));
  const members = z.record(z.string(), value).superRefine((record, context) => {
    const names = Object.keys(record);
    if (names.length > most) context.addIssue({ code: "custom", message: `at most ${most} entries` });
    // Zod itself would only say "Invalid key in record".
    for (const name of names) {
      const fault = key.safeParse(name).error?.issues[0]?.message;
      if (fault) context.addIssue({ code: "custom", path: [name], message: fault });
    }
  });
  return z.unknown().refine(isPlain, { error: "__proto__ cannot be used as a name" }).pipe(members) as never;
}

function pathFault(text: string, dialect: PathDialect): string | null {
  if (text.length > MAX_PATH_CHARS) return `a path has at most ${MAX_PATH_CHARS} characters`;
  const path = compilePath(text, dialect);
  return isPathFault(path) ? `not a JSONPath: ${path.message}` : null;
}

function isJson(value: unknown): boolean {
  if (value === undefined || typeof value === "function" || typeof value === "symbol" || typeof value === "bigint")
    return false;
  try {
    sanitiseJson(value as Json);
    return true;
  } catch {
    return false;
  }
}
