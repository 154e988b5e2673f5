import { type JsonPath, jsonpath } from "deltahook/plugin";

/** A template ready to be filled in: any JSON value whose texts may hold `{{ $.path }}`. */
export type Template = (document: unknown) => unknown;

const PLACEHOLDER = /\{\{\s*(\$[^}]*?)\s*\}\}/g;

/**
 * Compiles a template. A text that is one placeholder becomes the very value (null where nothing is found, a list where
 * the path can match several); inside a longer text, values are written out, and nothing where nothing is found.
 * @throws Error naming the placeholder that is no JSONPath
 */
export function compileTemplate(template: unknown): Template {
  if (typeof template === "string") return compileText(template);
  if (Array.isArray(template)) {
    const elements = template.map(compileTemplate);
    return (document) => elements.map((element) => element(document));
  }
  if (typeof template !== "object" || template === null || "toJSON" in template) return () => template;
  const members = Object.entries(template).map(([name, value]) => [compileText(name), compileTemplate(value)] as const);
  return (document) => Object.fromEntries(members.map(([name, value]) => [asText(name(document)), value(document)]));
}

function compileText(text: string): Template {
  const found = [...text.matchAll(PLACEHOLDER)].map(([whole, path], index) => ({
    whole,
    path: compile(path ?? ""),
    index,
  }));
  const [only] = found;
  if (!only) return () => text;
  if (only.whole === text.trim()) return (document) => valueAt(only.path, document) ?? null;
  return (document) => {
    let next = 0;
    return text.replace(PLACEHOLDER, () => asText(valueAt((found[next++] ?? only).path, document)));
  };
}

function compile(path: string): JsonPath {
  try {
    return jsonpath(path);
  } catch (error) {
    throw new Error(`{{ ${path} }} is ${(error as Error).message}`);
  }
}

function valueAt(path: JsonPath, document: unknown): unknown {
  const values = path.values(document);
  return path.singular ? values[0] : values;
}

/** A text with placeholders, filled in as a text. */
export function fillIn(text: string, document: unknown): string {
  let template = known.get(text);
  if (!template) {
    if (known.size >= 100) known.clear();
    template = compileText(text);
    known.set(text, template);
  }
  return asText(template(document));
}

const known = new Map<string, Template>();

/** Texts as they are, nothing for null and what is missing, anything else as JSON. */
export function asText(value: unknown): string {
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : JSON.stringify(value);
}
