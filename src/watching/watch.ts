import { z } from "zod";
import { isSystemType } from "../platform/system_types.ts";
import { CONDITION_OPS, type ConditionInput, conditionFault } from "./conditions.ts";
import { checkPath, jsonInput, pathInput, recordOf } from "./input.ts";
import { paginationInput, requestInput } from "./request_input.ts";
import { scheduleInput } from "./schedule_input.ts";

/** Reply formats that can be read; others are a plugin's. */
export const FORMATS = ["json", "xml", "csv"] as const;

const MAX_FIELDS = 200;

const name = z
  .string()
  .min(1)
  .max(100)
  .regex(/^[^\p{Cc}\p{Cs}]+$/u, { error: "a name holds no control characters" });

const tolerance = z
  .strictObject({ absolute: z.number().positive().optional(), percent: z.number().positive().optional() })
  .refine(({ absolute, percent }) => absolute !== undefined || percent !== undefined, {
    error: 'give "absolute", "percent" or both',
  });

const polls = z.int().min(1).max(100);

const fieldObject = z
  .strictObject({
    path: z.string(),
    dialect: z.enum(["rfc9535", "plus"]).default("rfc9535"),
    tolerance: tolerance.optional(),
    missing_after: polls.optional(),
    /** Of a path that can match several values: the list of all (the default), or the first, which may be missing. */
    take: z.enum(["all", "first"]).default("all"),
    redact: z.boolean().default(false),
  })
  .superRefine(({ path, dialect }, context) => checkPath(path, dialect, context, ["path"]));

/** A path, or an object with a path and how to compare. */
const field = z.union([pathInput, fieldObject], { error: 'a field is a JSONPath, or an object with a "path"' });
const fields = recordOf(name, field, MAX_FIELDS);

const itemsInput = z.strictObject({
  path: pathInput,
  key: pathInput,
  fields: fields.refine((some) => Object.keys(some).length > 0, {
    error: 'name at least one field; {"item": "$"} compares whole items',
  }),
  events: z.enum(["each", "together"]).default("each"),
  removed_after: polls.default(2),
  window: z.boolean().default(false),
  /** `false`: a poll that removes most items is stated instead of held. */
  guard: z.boolean().default(true),
});

const conditionInput = z
  .strictObject({ field: z.string(), op: z.enum(CONDITION_OPS), value: jsonInput.optional() })
  .superRefine((condition, context) => {
    const fault = conditionFault(condition);
    if (fault) context.addIssue({ code: "custom", path: ["value"], message: fault });
  });

const eventType = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[\w.:-]+$/, { error: "an event type is made of letters, digits and . : - _" })
  .refine((type) => !isSystemType(type), { error: "this name is kept for DeltaHook's own events" });

/** The body of a watch (CONTRACT, "Watch"): what `POST /v1/watches` takes and, defaults applied, what `GET` shows. */
export const watchInput = z
  .strictObject({
    name: z.string().trim().min(1).max(200),
    request: requestInput,
    secret_id: z.string().max(100).nullable().default(null),
    schedule: scheduleInput,
    fields: fields.default({}),
    items: itemsInput.nullable().default(null),
    pagination: paginationInput.nullable().default(null),
    conditions: z.array(conditionInput).max(50).default([]),
    event_type: eventType.default("watch.changed"),
    endpoint_ids: z.array(z.string().max(100)).max(100).default([]),
    emit_initial: z.boolean().default(false),
    missing_after: polls.default(2),
    format: z.enum(FORMATS).default("json"),
    plugin: z
      .union([z.string().min(1).max(100), z.array(z.string().min(1).max(100)).max(10)])
      .nullable()
      .default(null),
    plugin_options: recordOf(z.string().max(100), jsonInput, 100).default({}),
    /** Bodies kept for backtests: 20, or none when a field is redacted, since a body shows it. */
    keep_bodies: z.int().min(0).max(200).nullable().default(null),
    /** Redacts every field. */
    redact: z.boolean().default(false),
  })
  .superRefine(checkWhole);

export type WatchInput = z.infer<typeof watchInput>;
export type FieldInput = z.infer<typeof field>;
export type ItemsInput = z.infer<typeof itemsInput>;

type Redactable = Pick<WatchInput, "redact" | "fields" | "items">;

/** How many bodies to keep: what is asked for, else 20, and none where a field is redacted. */
export function bodiesToKeep(watch: Redactable & { keep_bodies: number | null }): number {
  return watch.keep_bodies ?? (hasRedacted(watch) ? 0 : 20);
}

/** Whether a field's value is compared by its hash and never stored or sent. */
export function isRedacted(watch: Pick<WatchInput, "redact">, input: FieldInput | undefined): boolean {
  return watch.redact || (typeof input === "object" && input.redact);
}

export function hasRedacted(watch: Redactable): boolean {
  return [...Object.values(watch.fields), ...Object.values(watch.items?.fields ?? {})].some((input) =>
    isRedacted(watch, input),
  );
}

function checkWhole(watch: WatchInput, context: z.RefinementCtx): void {
  const refuse = (path: (string | number)[], message: string) => context.addIssue({ code: "custom", path, message });
  if (Object.keys(watch.fields).length === 0 && !watch.items) refuse(["fields"], "name at least one field, or items");
  if (watch.pagination && !watch.items) refuse(["pagination"], "pages are walked to collect items: add items");
  if (watch.keep_bodies && hasRedacted(watch))
    refuse(["keep_bodies"], "must be 0: bodies would show the redacted fields");
  for (const shared of Object.keys(watch.items?.fields ?? {}).filter((each) => Object.hasOwn(watch.fields, each))) {
    refuse(
      ["items", "fields", shared],
      `"${shared}" is already a name in fields: conditions could not tell them apart`,
    );
  }
  for (const [path, some] of [
    [["fields"], watch.fields],
    [["items", "fields"], watch.items?.fields ?? {}],
  ] as const) {
    for (const [named, input] of Object.entries(some)) {
      if (typeof input !== "object" || !input.tolerance || !isRedacted(watch, input)) continue;
      refuse([...path, named, "tolerance"], "a redacted field is compared by its hash, which knows no tolerance");
    }
  }
  watch.conditions.forEach((condition, index) => {
    const fault = misplaced(watch, condition);
    if (fault) refuse(["conditions", index, fault.property], fault.message);
  });
}

function misplaced(
  watch: WatchInput,
  { field: named, op }: ConditionInput,
): { property: string; message: string } | null {
  const all = { ...watch.fields, ...watch.items?.fields };
  if (!Object.hasOwn(all, named)) {
    const known = Object.keys(all).slice(0, 10).join(", ");
    return { property: "field", message: `no field is named "${named}"; there are: ${known}` };
  }
  if (op === "changes" || !isRedacted(watch, all[named])) return null;
  return { property: "op", message: `"${named}" is redacted, so only "changes" can be asked of it` };
}
