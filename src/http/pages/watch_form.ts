import type { WatchForm } from "../../../views/watch_form.tsx";
import { invalid } from "../../platform/errors.ts";
import { type Json, parseJson } from "../../platform/json.ts";
import type { PastedRequest } from "./curl.ts";

const EMPTY: WatchForm = {
  name: "",
  source: "",
  secret_id: "",
  every: "1m",
  fields: "",
  items_path: "",
  items_key: "",
  items_fields: "",
  conditions: "",
  event_type: "",
  endpoint_url: "",
  endpoint_ids: [],
  emit_initial: false,
};

/** What came from the form, to be shown again as it was typed; nothing came: an empty form. */
export function watchFormOf(fields: Record<string, string>): WatchForm {
  const texts = Object.keys(EMPTY)
    .filter((name) => name in fields)
    .map((name) => [name, fields[name]]);
  return {
    ...EMPTY,
    ...Object.fromEntries(texts),
    endpoint_ids: Object.keys(fields).filter((name) => name.startsWith("ep_")),
    emit_initial: fields.emit_initial === "on",
  };
}

/**
 * The form as the body of a watch, yet to be validated.
 * @throws AppError (422) for lines that cannot be read
 */
export function watchBodyOf(form: WatchForm, request: PastedRequest): Record<string, unknown> {
  const { method, url, headers, body } = request;
  const items = form.items_path.trim() === "" ? null : itemsOf(form);
  return {
    name: form.name.trim() || nameOf(url),
    request: { method, url, headers, body },
    secret_id: form.secret_id || null,
    schedule: scheduleOf(form.every.trim()),
    fields: linesOf(form.fields, "/fields"),
    ...(items ? { items } : {}),
    conditions: conditionsOf(form.conditions),
    ...(form.event_type.trim() === "" ? {} : { event_type: form.event_type.trim() }),
    endpoint_ids: form.endpoint_ids,
    emit_initial: form.emit_initial,
  };
}

/** `every` is a duration; five words are a cron line in UTC. */
function scheduleOf(text: string): Record<string, string> {
  return text.split(/\s+/).length >= 5 ? { cron: text } : { every: text };
}

function itemsOf(form: WatchForm) {
  return {
    path: form.items_path.trim(),
    key: form.items_key.trim(),
    fields: linesOf(form.items_fields, "/items_fields"),
  };
}

/** Lines of `name = path`. */
function linesOf(text: string, pointer: string): Record<string, string> {
  const pairs = nonEmpty(text).map((line) => {
    const at = line.indexOf("=");
    const name = line.slice(0, at).trim();
    const path = line.slice(at + 1).trim();
    if (at < 1 || !path.startsWith("$"))
      throw invalid(pointer, `Write each line as name = $.path; this is not so: ${line}`);
    return [name, path] as const;
  });
  const fields = Object.fromEntries(pairs);
  if (Object.keys(fields).length < pairs.length) throw invalid(pointer, "Two lines have the same name.");
  return fields;
}

/** Lines of `field op value`, the value as JSON, or as plain text. */
function conditionsOf(text: string): unknown[] {
  return nonEmpty(text).map((line) => {
    const [, field, op, value] = /^(\S+)\s+(\w+)(?:\s+(.+))?$/.exec(line) ?? [];
    if (!field || !op)
      throw invalid("/conditions", `Write each line as field condition value; this is not so: ${line}`);
    return value === undefined ? { field, op } : { field, op, value: jsonOrText(value) };
  });
}

function jsonOrText(text: string): Json {
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}

function nonEmpty(text: string): string[] {
  return text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

function nameOf(url: string): string {
  const parsed = URL.parse(url);
  return parsed ? `${parsed.host}${parsed.pathname}`.slice(0, 200) : "Watch";
}
