import { JSONPathEnvironment, JSONPathError, JSONPathQuery, jsonpath } from "json-p3";
import { JSONPath as Plus } from "jsonpath-plus";
import { ExactNumber, type Json, JsonError, MAX_JSON_DEPTH } from "../platform/json.ts";
import { makeFiltersExact, searchFunction } from "./jsonpath_filters.ts";

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

function compileStandard(text: string): CompiledPath | PathFault {
  try {
    const query = environment.compile(text);
    makeFiltersExact(query);
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
  const steps = singularSteps(query);
  const nodes = (document: Json) => limited(query.lazyQuery(document as never));
  return {
    text,
    dialect: "rfc9535",
    singular: steps !== null,
    first: steps ? (document) => follow(steps, document) : (document) => nodes(document).next().value?.value as Json,
    values: (document) => Array.from(nodes(document), (node) => node.value as Json),
    matches: (document) =>
      Array.from(nodes(document), (node) => ({
        path: node.getPath({ form: "canonical" }),
        value: node.value as Json,
      })),
    list: listOf(query),
  };
}
