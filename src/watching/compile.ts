import { createHash } from "node:crypto";
import { type Decimal, parseDecimal } from "../platform/decimal.ts";
import { canonicalJson, type Json, parseJson, stringifyJson } from "../platform/json.ts";
import { type CompiledPath, compilePath, isPathFault, type PathDialect } from "../platform/jsonpath.ts";
import { type Condition, compileCondition } from "./conditions.ts";
import type { Format } from "./reply.ts";
import type { Schedule } from "./schedule.ts";
import { scheduleOf } from "./schedule_input.ts";
import { type FieldInput, type ItemsInput, isRedacted, type WatchInput } from "./watch.ts";
import { listsIn } from "./xml.ts";

/** How far a number may stray from what was last stated; within either bound counts as no change. */
export type Tolerance = { absolute: Decimal | null; percent: Decimal | null };

export type FieldPlan = {
  readonly name: string;
  /** Its row in the watch's state: `f:<name>`. */
  readonly rowKey: string;
  readonly path: CompiledPath;
  /** The first match of a path that can have several, instead of their list. */
  readonly takeFirst: boolean;
  readonly tolerance: Tolerance | null;
  /** Compared with what was last stated instead of last seen: it has a tolerance, or a condition that adds up drift. */
  readonly againstStated: boolean;
  readonly missingAfter: number;
  readonly redact: boolean;
  /** Fingerprint of where the value comes from; another one takes a new reference silently. */
  readonly config: string;
};

export type ItemsPlan = {
  readonly path: CompiledPath;
  /** Of XML, where a list without elements is not there at all: it is empty where this path finds its parent. */
  readonly parent: CompiledPath | null;
  readonly key: CompiledPath;
  readonly fields: readonly FieldPlan[];
  readonly conditions: readonly Condition[];
  readonly together: boolean;
  readonly removedAfter: number;
  readonly window: boolean;
  readonly guard: boolean;
  readonly config: string;
  /** The fingerprint of each field, by name. */
  readonly fieldConfigs: { readonly [field: string]: string };
};

/** A watch with everything parsed once; keep it for as long as the watch does not change. */
export type CompiledWatch = {
  readonly schedule: Schedule;
  readonly format: Format;
  readonly fields: readonly FieldPlan[];
  readonly conditions: readonly Condition[];
  readonly items: ItemsPlan | null;
  readonly emitInitial: boolean;
};

/** Compiles a watch that `watchInput` has accepted. */
export function compileWatch(input: WatchInput): CompiledWatch {
  const source = sourceOf(input);
  return {
    schedule: scheduleOf(input.schedule),
    format: formatOf(input),
    fields: planFields(input, input.fields, source),
    conditions: conditionsOn(input, input.fields),
    items: input.items && planItems(input, input.items, source),
    emitInitial: input.emit_initial,
  };
}

function planFields(watch: WatchInput, inputs: { [name: string]: FieldInput }, source: Json): FieldPlan[] {
  return Object.entries(inputs).map(([name, input]) => planField(watch, name, input, source));
}

function planField(watch: WatchInput, name: string, input: FieldInput, source: Json): FieldPlan {
  const { path, dialect, tolerance, missing_after, take } =
    typeof input === "string" ? { ...PLAIN, path: input } : input;
  const redact = isRedacted(watch, input);
  const drift = watch.conditions.some((each) => each.field === name && compileCondition(each).againstStated);
  return {
    name,
    rowKey: `f:${name}`,
    path: mustCompile(path, dialect),
    takeFirst: take === "first",
    tolerance: tolerance ? { absolute: exactly(tolerance.absolute), percent: exactly(tolerance.percent) } : null,
    againstStated: tolerance !== undefined || drift,
    missingAfter: missing_after ?? watch.missing_after,
    redact,
    config: fingerprint([source, path, dialect, take, redact]),
  };
}

function planItems(watch: WatchInput, input: ItemsInput, source: Json): ItemsPlan {
  const fields = planFields(watch, input.fields, null);
  const path = mustCompile(input.path, "rfc9535");
  return {
    path,
    parent: watch.format === "xml" ? parentOf(path) : null,
    key: mustCompile(input.key, "rfc9535"),
    fields,
    conditions: conditionsOn(watch, input.fields),
    together: input.events === "together",
    removedAfter: input.removed_after,
    window: input.window,
    guard: input.guard,
    config: fingerprint([source, input.path, input.key]),
    fieldConfigs: Object.fromEntries(fields.map(({ name, config }) => [name, config])),
  };
}

/** What a field is that was written as a path alone. */
const PLAIN: Omit<Exclude<FieldInput, string>, "path"> = { dialect: "rfc9535", take: "all", redact: false };

/** A watch whose headers may be sealed. */
type Readable = Omit<WatchInput, "request"> & { request: object };

/**
 * Watches with the same key ask the same with the same credential and read the answer alike, so that one request serves
 * all. Null: the watch asks for itself, since its plugins are told which watch it is. A header's value that is a
 * credential lies here sealed, and no two watches seal alike.
 */
export function sharingKey(watch: Readable, secretId: string | null): string | null {
  if (watch.plugin !== null) return null;
  const pages = watch.pagination && (watch.items?.path ?? null);
  return createHash("sha256")
    .update(stringifyJson([sourceParts(watch), secretId, pages]))
    .digest("base64url");
}

/** Whether two versions of a watch make the same documents: otherwise bodies kept for the one say nothing of the other. */
export function readsAlike(a: WatchInput, b: WatchInput): boolean {
  return a.secret_id === b.secret_id && canonicalJson(sourceOf(a)) === canonicalJson(sourceOf(b));
}

/** Everything in the request that decides what is answered: another request, another reference. */
function sourceOf(watch: WatchInput): Json {
  return parseJson(stringifyJson(sourceParts(watch)));
}

function sourceParts(watch: Readable): unknown[] {
  const { request, pagination, format, plugin, plugin_options } = watch;
  const lists = format === "xml" ? [...listsOf(watch)].sort() : [];
  return [request, pagination, format, plugin, plugin_options, ...lists];
}

function formatOf(watch: WatchInput): Format {
  return watch.format === "xml" ? { kind: "xml", lists: listsOf(watch) } : { kind: watch.format };
}

function listsOf({ fields, items }: Pick<WatchInput, "fields" | "items">): Set<string> {
  const inputs = [...Object.values(fields), ...Object.values(items?.fields ?? {})];
  const paths = inputs.map((input) => (typeof input === "string" ? input : input.path));
  return listsIn(items ? [...paths, items.path, items.key] : paths);
}

/** `$.orders` of `$.orders.order[*]`: the list's own path without its last name, in which XML has no brackets. */
function parentOf({ list }: CompiledPath): CompiledPath | null {
  const parent = list?.text.replace(/(?:\.[^.[\]]+|\[[^[]*\])$/, "");
  return parent ? mustCompile(parent, "rfc9535") : null;
}

function conditionsOn(watch: WatchInput, fields: { [name: string]: FieldInput }): Condition[] {
  return watch.conditions.filter(({ field }) => Object.hasOwn(fields, field)).map(compileCondition);
}

function mustCompile(text: string, dialect: PathDialect): CompiledPath {
  const path = compilePath(text, dialect);
  if (isPathFault(path)) throw new TypeError(`a saved path no longer parses: ${path.message}`);
  return path;
}

function exactly(value: number | undefined): Decimal | null {
  return value === undefined ? null : parseDecimal(String(value));
}

/** Short, since it stands in every row: 60 bits are ample to tell one version of a watch from the next. */
function fingerprint(parts: Json): string {
  return createHash("sha256").update(canonicalJson(parts)).digest("base64url").slice(0, 10);
}
