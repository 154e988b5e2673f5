import { JSONPathEnvironment, JSONPathError, JSONPathQuery, jsonpath } from "json-p3";
import { JSONPath as Plus } from "jsonpath-plus";
import { ExactNumber, type Json, JsonError, MAX_JSON_DEPTH } from "./json.ts";
import { startDeadline } from "./jsonpath_deadline.ts";
import { lengthFunction, prepareQuery, searchFunction } from "./jsonpath_filters.ts";

/** `rfc9535` is the default; `plus` adds JSONPath-Plus's parent `^`, names `~` and type selectors, without filters. */
export type PathDialect = "rfc9535" | "plus";

/** One match: a normalised path (RFC 9535, section 2.7) and the value there. */
export type PathMatch = { path: string; value: Json };

/** Why a path cannot be used; `position` counts characters from 0. */
export type PathFault = { message: string; position: number };

export type CompiledPath = {
  readonly text: string;
  readonly dialect: PathDialect;
  /** At most one match, whatever the document holds. */
  readonly singular: boolean;
  /** The values matched, in document order. */
  readonly values: (document: Json) => Json[];
  /** The value of a singular path, or `undefined` when nothing is there. Allocates nothing. */
  readonly first: (document: Json) => Json | undefined;
  readonly matches: (document: Json) => PathMatch[];
  /** Of a path that ends in `[*]`: the path to the list itself. */
  readonly list: CompiledPath | null;
};

/** A path that yields more nodes than this is an error: `$..*..*` over a large reply would fill the memory. */
const MAX_MATCHES = 1_000_000;

/** Compiles a JSONPath once. What does not parse is told with its position. */
export function compilePath(text: string, dialect: PathDialect = "rfc9535"): CompiledPath | PathFault {
  if (text.trim() === "") return { message: "the path is empty: write $ for the whole document", position: 0 };
  return dialect === "plus" ? compilePlus(text) : compileStandard(text);
}

export function isPathFault(path: CompiledPath | PathFault): path is PathFault {
  return "position" in path;
}

const environment = new JSONPathEnvironment({ maxRecursionDepth: MAX_JSON_DEPTH + 2 });
environment.functionRegister.set("match", searchFunction("whole"));
environment.functionRegister.set("search", searchFunction("anywhere"));
environment.functionRegister.set("length", lengthFunction);

function compileStandard(text: string): CompiledPath | PathFault {
  try {
    const query = environment.compile(text);
    prepareQuery(query);
    return standardPath(text, query);
  } catch (error) {
    if (!(error instanceof JSONPathError)) throw error;
    // json-p3 repeats the position in its message, with an excerpt: ` ('$.a[0':5)`.
    const reason = error.message.replace(/ \('[\s\S]*':-?\d+\)$/, "");
    const position = Math.max(0, error.token.index);
    const hint = text.startsWith("$") ? "" : "; a path starts with $, for example $.order.status";
    return { message: `${reason} at position ${position}${hint}`, position };
  }
}

function standardPath(text: string, query: JSONPathQuery): CompiledPath {
  const steps = plainSteps(query);
  const nodes = (document: Json) => {
    startDeadline();
    return limited(query.lazyQuery(document as never));
  };
  return {
    text,
    dialect: "rfc9535",
    singular: steps !== null && isSingular(steps),
    first:
      steps !== null && isSingular(steps)
        ? (document) => follow(steps, document)
        : (document) => nodes(document).next().value?.value as Json | undefined,
    values: steps ? (document) => collect(steps, document) : (document) => Array.from(nodes(document), jsonOf),
    matches: (document) =>
      Array.from(nodes(document), (node) => ({ path: node.getPath({ form: "canonical" }), value: jsonOf(node) })),
    list: listOf(query),
  };
}

function jsonOf(node: { value: unknown }): Json {
  return node.value as Json;
}

/** A name, an index, or `null` for the wildcard. */
type Step = string | number | null;

/**
 * The steps of a query that holds nothing but names, indices and wildcards. Nearly every path is one, and following the
 * steps is ten times faster than building json-p3's nodes.
 */
function plainSteps(query: JSONPathQuery): readonly Step[] | null {
  const steps: Step[] = [];
  for (const segment of query.segments) {
    const [selector] = segment.selectors;
    // A descendant segment, whose class json-p3 does not export.
    if (String(segment).startsWith("..") || segment.selectors.length !== 1) return null;
    if (selector instanceof jsonpath.selectors.NameSelector) steps.push(selector.name);
    else if (selector instanceof jsonpath.selectors.IndexSelector) steps.push(selector.index);
    else if (selector instanceof jsonpath.selectors.WildcardSelector) steps.push(null);
    else return null;
  }
  return steps;
}

/** RFC 9535, section 2.3.5.1. */
function isSingular(steps: readonly Step[]): steps is readonly (string | number)[] {
  return !steps.includes(null);
}

function collect(steps: readonly Step[], document: Json): Json[] {
  let values: Json[] = [document];
  for (const step of steps) {
    const next: Json[] = [];
    for (const value of values) {
      if (typeof value !== "object" || value === null || value instanceof ExactNumber) continue;
      if (step === null) for (const child of Array.isArray(value) ? value : Object.values(value)) next.push(child);
      else {
        const child = Array.isArray(value) ? elementAt(value, step) : memberOf(value, step);
        if (child !== undefined) next.push(child);
      }
    }
    values = next;
  }
  return values;
}

function follow(steps: readonly (string | number)[], document: Json): Json | undefined {
  let value: Json = document;
  for (const step of steps) {
    if (typeof value !== "object" || value === null || value instanceof ExactNumber) return undefined;
    const next: Json | undefined = Array.isArray(value) ? elementAt(value, step) : memberOf(value, step);
    if (next === undefined) return undefined;
    value = next;
  }
  return value;
}

function elementAt(list: Json[], step: string | number): Json | undefined {
  return typeof step === "number" ? list.at(step) : undefined;
}

/** Own members only: `$.constructor` of `{}` is missing. */
function memberOf(object: { [key: string]: Json }, step: string | number): Json | undefined {
  return typeof step === "string" && Object.hasOwn(object, step) ? object[step] : undefined;
}

function* limited<T>(nodes: Iterable<T>): Generator<T> {
  let count = 0;
  for (const node of nodes) {
    if (++count > MAX_MATCHES) throw new JsonError(`the path matches more than ${MAX_MATCHES} values`, null);
    yield node;
  }
}

function listOf(query: JSONPathQuery): CompiledPath | null {
  const last = query.segments.at(-1);
  if (!(last?.selectors.length === 1 && last.selectors[0] instanceof jsonpath.selectors.WildcardSelector)) return null;
  const parent = new JSONPathQuery(environment, query.segments.slice(0, -1));
  return parent.singularQuery() ? standardPath(String(parent), parent) : null;
}

/** Steps of JSONPath-Plus that can match several values: wildcard, descent, slice, union, type selector. */
const PLURAL_STEP = /^(?:\*|\.\.|@.*|['"].*|.*,.*|-?\d*:.*)$/s;
const TYPE_SELECTOR = /^@(?:scalar|boolean|string|number|integer|object|array|null)\(\)$/;

function compilePlus(text: string): CompiledPath | PathFault {
  const unbalanced = firstUnbalanced(text);
  if (unbalanced !== null)
    return { message: `unbalanced bracket or quote at position ${unbalanced}`, position: unbalanced };
  const steps = Plus.toPathArray(text);
  // Its cache of parsed paths never shrinks by itself, and previews bring ever new ones.
  Plus.clearCache();
  const parts = steps.flatMap((step) => (/^['"]/.test(step) ? [] : step.split(",")));
  if (text.includes("?(") || parts.some((part) => /^\??\(/.test(part))) {
    const position = Math.max(0, text.search(/\?\(|\(/));
    const message = `filters and scripts are not available in the dialect "plus" (at position ${position}): use the default dialect`;
    return { message, position };
  }
  const costly = costlyStep(steps);
  if (costly !== null) {
    const position = Math.max(0, text.lastIndexOf(costly));
    return { message: `"${costly}" at position ${position} could take hours in a long list: ${MORE_DIRECT}`, position };
  }
  const type = parts.find((part) => part.startsWith("@") && !TYPE_SELECTOR.test(part));
  if (type !== undefined) {
    const position = Math.max(0, text.indexOf(type));
    return { message: `there is no type selector ${type}, at position ${position}`, position };
  }
  const query = (json: Json, resultType: "value" | "all"): unknown[] => {
    const found = Plus({ path: text, json: json as object, resultType, eval: false, wrap: true });
    return Array.isArray(found) ? found : [];
  };
  return {
    text,
    dialect: "plus",
    singular: !steps.some((step) => PLURAL_STEP.test(step)),
    first: (document) => query(document, "value")[0] as Json | undefined,
    values: (document) => query(document, "value") as Json[],
    matches: (document) => (query(document, "all") as PathMatch[]).map(({ path, value }) => ({ path, value })),
    list: null,
  };
}

const MORE_DIRECT = 'the dialect "plus" takes one ".." in a path, and no step of several matches after "^"';

/** JSONPath-Plus cannot be interrupted: a path must not visit a value more than a few times over. */
function costlyStep(steps: readonly string[]): string | null {
  const up = steps.indexOf("^");
  const isPlural = (step: string) => PLURAL_STEP.test(step) && !TYPE_SELECTOR.test(step);
  const afterUp = up === -1 ? undefined : steps.slice(up).find(isPlural);
  if (afterUp !== undefined) return afterUp;
  return steps.filter((step) => step === "..").length > 1 ? ".." : null;
}

/** JSONPath-Plus takes `$[` for the whole document, so brackets and quotes are checked here. */
function firstUnbalanced(text: string): number | null {
  const open: number[] = [];
  let quote: { mark: string; at: number } | null = null;
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    if (quote) {
      if (char === "\\") at++;
      else if (char === quote.mark) quote = null;
    } else if (char === "'" || char === '"') quote = { mark: char, at };
    else if (char === "[") open.push(at);
    else if (char === "]" && open.pop() === undefined) return at;
  }
  return quote?.at ?? open.at(-1) ?? null;
}
