import type { EndpointForm } from "../../../views/endpoint_form.tsx";
import type { ShownEndpoint } from "../../delivering/endpoints.ts";
import { invalid } from "../../platform/errors.ts";
import { JsonError, parseJson } from "../../platform/json.ts";
import { patchBetween } from "../../platform/merge_patch.ts";
import type { PluginInfo } from "../../plugins/plugins.ts";
import { typedOptions } from "./plugin_options.ts";

/** An endpoint as the fields of its form. */
export function formOf(endpoint: ShownEndpoint | null): EndpointForm {
  const retry = endpoint?.retry ?? null;
  return {
    name: endpoint?.name ?? "",
    url: endpoint?.url ?? "",
    event_types: (endpoint?.event_types ?? ["*"]).join("\n"),
    filter: endpoint?.filter ?? "",
    headers: Object.entries(endpoint?.headers ?? {})
      .map(([name, value]) => `${name}: ${value}`)
      .join("\n"),
    secret_id: endpoint?.secret_id ?? "",
    plugin: [endpoint?.plugin ?? []].flat().join(", "),
    plugin_options: JSON.stringify(endpoint?.plugin_options ?? {}, null, 2),
    retry: retry === null ? "" : retry.delays ? retry.delays.join(", ") : JSON.stringify(retry),
    timeout: endpoint?.timeout ?? "",
    rate_max: String(endpoint?.rate_limit?.max ?? ""),
    rate_per: endpoint?.rate_limit?.per ?? "",
    max_in_flight: String(endpoint?.max_in_flight ?? ""),
    ordered: endpoint?.ordered ?? false,
    auto_pause: endpoint?.auto_pause ?? true,
  };
}

/** What came from the form, to be shown again as it was typed. */
export function formAsTyped(fields: Record<string, string>): EndpointForm {
  const empty = formOf(null);
  const texts = Object.keys(empty).map((name) => [name, fields[name] ?? ""]);
  return { ...Object.fromEntries(texts), ordered: fields.ordered === "on", auto_pause: fields.auto_pause === "on" };
}

/** The names in the field of plugins. */
export function pluginNames(text: string | undefined): string[] {
  return (text ?? "").split(/[\s,]+/).filter((name) => name !== "");
}

/**
 * The fields of the form → the body of an endpoint, yet to be validated. `plugins` are those whose options have fields.
 * @throws AppError (422) for what cannot even be put into a body
 */
export function bodyOf(
  fields: Record<string, string>,
  plugins: readonly Pick<PluginInfo, "name" | "description" | "options">[] = [],
): Record<string, unknown> {
  const text = (name: string) => fields[name]?.trim() ?? "";
  const orNull = (name: string) => text(name) || null;
  const names = pluginNames(fields.plugin);
  const further = text("plugin_options") === "" ? {} : json(text("plugin_options"), "/plugin_options");
  const hasRate = text("rate_max") !== "" || text("rate_per") !== "";
  return {
    ...(text("name") === "" ? {} : { name: text("name") }),
    url: text("url"),
    event_types: text("event_types")
      .split(/[\s,]+/)
      .filter((type) => type !== ""),
    filter: orNull("filter"),
    headers: headersOf(text("headers")),
    secret_id: orNull("secret_id"),
    plugin: names.length === 0 ? null : names,
    plugin_options: isObject(further) ? typedOptions(plugins, names, fields, further) : further,
    retry: retryOf(text("retry")),
    timeout: orNull("timeout"),
    rate_limit: hasRate ? { max: Number(text("rate_max")), per: text("rate_per") || "1s" } : null,
    ...(text("max_in_flight") === "" ? {} : { max_in_flight: Number(text("max_in_flight")) }),
    ordered: fields.ordered === "on",
    auto_pause: fields.auto_pause === "on",
  };
}

/** The body as a merge patch of what there is: headers and options that are gone are named, since it would keep them. */
export function patchOf(body: Record<string, unknown>, endpoint: ShownEndpoint): Record<string, unknown> {
  const kept = body.headers as Record<string, string>;
  const gone = Object.keys(endpoint.headers).filter((name) => !(name in kept));
  const headers = { ...Object.fromEntries(gone.map((name) => [name, null])), ...kept };
  const plugin_options = patchBetween(endpoint.plugin_options, body.plugin_options);
  const patch: Record<string, unknown> = { ...body, headers, plugin_options };
  if (endpoint.kind === "subscribed") return patch;
  // Of an implicit endpoint these follow from the sends themselves.
  const { url: _url, event_types: _types, filter: _filter, ordered: _ordered, ...own } = patch;
  return own;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function headersOf(text: string): Record<string, string> {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== "");
  const pairs = lines.map((line) => {
    const colon = line.indexOf(":");
    if (colon < 1) throw invalid("/headers", `Write each header as "Name: value"; this line has no colon: ${line}`);
    return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()] as const;
  });
  return Object.fromEntries(pairs);
}

function retryOf(text: string): unknown {
  if (text === "") return null;
  if (text.startsWith("{")) return json(text, "/retry");
  return { delays: text.split(/[\s,]+/).filter((part) => part !== "") };
}

function json(text: string, pointer: string): unknown {
  try {
    // Says what is wrong, and where, in words of our own.
    parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw invalid(pointer, `This is not JSON: ${error.message}.`);
  }
  return JSON.parse(text);
}
