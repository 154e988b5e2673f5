import type { EndpointForm } from "../../../views/endpoint_form.tsx";
import type { ShownEndpoint } from "../../delivering/endpoints.ts";
import { AppError, invalid } from "../../platform/errors.ts";

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

/**
 * The fields of the form → the body of an endpoint, yet to be validated.
 * @throws AppError (422) for what cannot even be put into a body
 */
export function bodyOf(fields: Record<string, string>): Record<string, unknown> {
  const text = (name: string) => fields[name]?.trim() ?? "";
  const orNull = (name: string) => text(name) || null;
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
    plugin: text("plugin") === "" ? null : text("plugin").split(/[\s,]+/),
    plugin_options: text("plugin_options") === "" ? {} : json(text("plugin_options"), "/plugin_options"),
    retry: retryOf(text("retry")),
    timeout: orNull("timeout"),
    rate_limit: hasRate ? { max: Number(text("rate_max")), per: text("rate_per") || "1s" } : null,
    ...(text("max_in_flight") === "" ? {} : { max_in_flight: Number(text("max_in_flight")) }),
    ordered: fields.ordered === "on",
    auto_pause: fields.auto_pause === "on",
  };
}

/** The body as a merge patch of what there is: headers that are gone are named, since a patch would keep them. */
export function patchOf(body: Record<string, unknown>, endpoint: ShownEndpoint): Record<string, unknown> {
  const kept = body.headers as Record<string, string>;
  const gone = Object.keys(endpoint.headers).filter((name) => !(name in kept));
  const headers = { ...Object.fromEntries(gone.map((name) => [name, null])), ...kept };
  const options = body.plugin_options as Record<string, unknown>;
  const lost = Object.keys(endpoint.plugin_options as object).filter((name) => !(name in options));
  const plugin_options = { ...Object.fromEntries(lost.map((name) => [name, null])), ...options };
  const patch: Record<string, unknown> = { ...body, headers, plugin_options };
  if (endpoint.kind === "subscribed") return patch;
  // Of an implicit endpoint these follow from the sends themselves.
  const { url: _url, event_types: _types, filter: _filter, ordered: _ordered, ...own } = patch;
  return own;
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
    return JSON.parse(text);
  } catch (error) {
    const message = `This is not JSON: ${error instanceof Error ? error.message : ""}`;
    throw new AppError("invalid", message, { faults: [{ pointer, message }], cause: error });
  }
}
