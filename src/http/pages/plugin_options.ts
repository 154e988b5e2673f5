import { invalid } from "../../platform/errors.ts";
import { ExactNumber, parseJson, stringifyJson } from "../../platform/json.ts";
import { optionsOf } from "../../plugins/options.ts";
import type { PluginInfo } from "../../plugins/plugins.ts";

type Plugin = Pick<PluginInfo, "name" | "description" | "options">;
type Property = { type?: unknown; enum?: unknown; description?: unknown; default?: unknown };
type Options = Record<string, unknown>;

/** One option as a field of a form. `text` is what it holds; empty leaves the option to its default. */
export type OptionField = {
  name: string;
  label: string;
  hint: string | undefined;
  kind: "text" | "number" | "choice" | "json";
  choices: readonly string[];
  /** The default as text, or null without one. */
  fallback: string | null;
  text: string;
};
export type OptionForm = { plugin: string; description: string | null; fields: OptionField[] };

/** Options as forms of their plugins, and those that have no field there. */
export function optionForms(
  plugins: readonly Plugin[],
  names: readonly string[],
  options: Options,
): { forms: OptionForm[]; rest: Options } {
  const rest = copyOf(options);
  const forms = formsOf(plugins, (plugin, label, kind, choices) => {
    const own = names.includes(plugin) ? optionsOf(names, rest, plugin) : null;
    if (!isObject(own) || !(label in own)) return "";
    const text = textOf(own[label], kind, choices);
    if (text === null) return "";
    delete own[label];
    return text;
  });
  const isEmpty = (value: unknown) => isObject(value) && Object.keys(value).length === 0;
  const kept = Object.entries(rest).filter(
    ([name, value]) => !(names.length > 1 && names.includes(name) && isEmpty(value)),
  );
  return { forms, rest: Object.fromEntries(kept) };
}

/** The same forms, with what was typed into them. */
export function optionFormsAsTyped(plugins: readonly Plugin[], typed: Record<string, string>): OptionForm[] {
  return formsOf(plugins, (plugin, label) => typed[fieldName(plugin, label)] ?? "");
}

/**
 * What was typed → the options of the chosen plugins, over `rest`, which was written as JSON.
 * @throws AppError (422) at the option that should be JSON and is not
 */
export function typedOptions(
  plugins: readonly Plugin[],
  names: readonly string[],
  typed: Record<string, string>,
  rest: Options,
): Options {
  const options = { ...rest };
  for (const { plugin, fields } of optionFormsAsTyped(plugins, typed)) {
    if (!names.includes(plugin)) continue;
    const given = fields.filter(({ text }) => text.trim() !== "");
    const at = names.length === 1 ? [] : [plugin];
    const own = Object.fromEntries(given.map((field) => [field.label, typedValue(field, at)]));
    if (names.length === 1) Object.assign(options, own);
    else if (given.length > 0) options[plugin] = { ...(isObject(options[plugin]) ? options[plugin] : {}), ...own };
  }
  return options;
}

/** The field of the form that a pointer into the body is about. */
export function fieldAt(plugins: readonly Plugin[], names: readonly string[], pointer: string): string {
  const [, first = "", ...path] = pointer.split("/").map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  if (first !== "plugin_options") return first;
  const [plugin = "", label = ""] = names.length === 1 ? [names[0], path[0]] : path;
  const known = plugins.some(({ name, options }) => name === plugin && label in propertiesOf(options));
  return known ? fieldName(plugin, label) : first;
}

function formsOf(
  plugins: readonly Plugin[],
  text: (plugin: string, label: string, kind: OptionField["kind"], choices: readonly string[]) => string,
): OptionForm[] {
  return plugins.flatMap(({ name: plugin, description, options }) => {
    const fields = Object.entries(propertiesOf(options)).map(([label, property]) => {
      const { kind, choices } = kindOf(property);
      return {
        name: fieldName(plugin, label),
        label,
        hint: typeof property.description === "string" ? property.description : undefined,
        kind,
        choices,
        fallback: property.default === undefined ? null : textOf(property.default, kind, choices),
        text: text(plugin, label, kind, choices),
      };
    });
    return fields.length === 0 ? [] : [{ plugin, description, fields }];
  });
}

function kindOf({ type, enum: values }: Property): Pick<OptionField, "kind" | "choices"> {
  if (Array.isArray(values) && values.every((value) => typeof value === "string" && value !== "")) {
    return { kind: "choice", choices: values };
  }
  if (Array.isArray(values)) return { kind: "json", choices: [] };
  if (type === "boolean") return { kind: "choice", choices: ["true", "false"] };
  if (type === "string") return { kind: "text", choices: [] };
  return { kind: type === "number" || type === "integer" ? "number" : "json", choices: [] };
}

/** Null when such a field cannot hold it: an empty text, for one, would count as none. */
function textOf(value: unknown, kind: OptionField["kind"], choices: readonly string[]): string | null {
  if (kind === "json") return stringifyJson(value);
  if (kind === "number") return typeof value === "number" ? String(value) : null;
  if (kind === "text") return typeof value === "string" && /^\S(?:.*\S)?$/.test(value) ? value : null;
  const isBoolean = choices.join() === "true,false" && typeof value === "boolean";
  return (isBoolean || typeof value === "string") && choices.includes(String(value)) ? String(value) : null;
}

function typedValue({ kind, choices, label, text }: OptionField, at: readonly string[]): unknown {
  const trimmed = text.trim();
  if (kind === "text") return trimmed;
  if (kind === "choice")
    return choices.join() === "true,false" && choices.includes(trimmed) ? trimmed === "true" : trimmed;
  // What is no number stays a text, so that the plugin's own check says what it wants.
  if (kind === "number") return Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
  try {
    return parseJson(trimmed);
  } catch {
    const pointer = ["/plugin_options", ...at, label].join("/");
    throw invalid(pointer, 'This is not JSON. A text is written in quotes: "…".');
  }
}

function propertiesOf(schema: object | null): Record<string, Property> {
  const properties = (schema as { properties?: unknown } | null)?.properties;
  if (!isObject(properties)) return {};
  return Object.fromEntries(
    Object.entries(properties).map(([name, property]) => [name, isObject(property) ? property : {}]),
  );
}

function fieldName(plugin: string, label: string): string {
  return `option.${plugin}.${label}`;
}

function copyOf(options: Options): Options {
  return parseJson(stringifyJson(options)) as Options;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);
}
