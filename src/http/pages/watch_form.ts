import { pretty } from "../../../views/deliveries.tsx";
import type { WatchForm } from "../../../views/watch_fields.ts";
import { AppError, invalid } from "../../platform/errors.ts";
import { equalJson, type Json, JsonError, type JsonObject, parseJson, stringifyJson } from "../../platform/json.ts";
import { type FieldInput, type WatchInput, watchInput } from "../../watching/watch.ts";
import {
  conditionLines,
  conditionsOf,
  fieldLines,
  fieldsOf,
  fieldText,
  headerLines,
  headersOf,
  queryLines,
  queryOf,
} from "./watch_lines.ts";

const EMPTY: WatchForm = {
  name: "",
  source: "",
  method: "GET",
  headers: "",
  query: "",
  body: "",
  secret_id: "",
  every: "1m",
  timezone: "",
  adaptive_min: "",
  adaptive_max: "",
  fields: "",
  items_path: "",
  items_key: "",
  items_fields: "",
  items_events: "each",
  removed_after: "",
  conditions: "",
  event_type: "",
  endpoint_url: "",
  pagination: "",
  page_path: "",
  page_param: "",
  page_first: "",
  page_limit_param: "",
  page_limit: "",
  max_pages: "",
  format: "json",
  plugin: "",
  plugin_options: "",
  missing_after: "",
  keep_bodies: "",
  endpoint_ids: [],
  emit_initial: false,
  window: false,
  no_guard: false,
  redact: false,
  play: false,
};

/** Which of the fields about pages a way of walking them has, and the property that each is. */
const PAGE_FIELDS = {
  link: { page_path: "path" },
  cursor: { page_path: "path", page_param: "param" },
  page: { page_param: "param", page_first: "first" },
  offset: { page_param: "param", page_limit_param: "limit_param", page_limit: "limit" },
} as const satisfies Record<string, Partial<Record<keyof WatchForm, string>>>;
const COUNTS = new Set(["first", "limit", "max_pages"]);

/** What came from the form, to be shown again as it was typed; nothing came: an empty form. */
export function watchFormOf(fields: Record<string, string>): WatchForm {
  const typed = Object.entries(EMPTY).flatMap(([name, empty]): [string, unknown][] => {
    if (typeof empty === "boolean") return [[name, fields[name] === "on"]];
    return typeof empty === "string" && name in fields ? [[name, fields[name]]] : [];
  });
  const endpoint_ids = Object.keys(fields).filter((name) => name.startsWith("ep_"));
  return { ...EMPTY, ...Object.fromEntries(typed), endpoint_ids };
}

/**
 * The form as the body of a watch, yet to be validated. What is left empty is left out, and so gets its default.
 * @throws AppError (422) for what cannot be read
 */
export function watchBodyOf(form: WatchForm): JsonObject {
  const url = form.source.trim();
  const plugins = form.plugin.split(/[\s,]+/).filter((name) => name !== "");
  return {
    name: form.name.trim() || nameOf(url),
    request: {
      method: form.method,
      url,
      headers: headersOf(form.headers),
      query: queryOf(form.query),
      body: jsonAt("/body", form.body),
    },
    secret_id: form.secret_id || null,
    schedule: scheduleOf(form),
    fields: fieldsOf(form.fields, "/fields"),
    items: form.items_path.trim() === "" ? null : itemsOf(form),
    pagination: paginationOf(form),
    conditions: conditionsOf(form.conditions),
    ...given("event_type", form.event_type),
    endpoint_ids: form.endpoint_ids,
    emit_initial: form.emit_initial,
    ...counted("missing_after", form.missing_after),
    format: form.format,
    plugin: plugins.length > 1 ? plugins : (plugins[0] ?? null),
    plugin_options: jsonAt("/plugin_options", form.plugin_options) ?? {},
    ...counted("keep_bodies", form.keep_bodies),
    redact: form.redact,
  };
}

/** A watch as the fields of the form; null when they cannot hold all of it, so that nothing is lost by a save. */
export function formOfWatch(watch: WatchInput): WatchForm | null {
  const whole = watchInput.safeParse(watch);
  if (!whole.success) return null;
  const form = filled(whole.data);
  const read = readBack(form);
  return read && equalJson(plain(wordedAs(whole.data, read)), plain(whole.data)) ? form : null;
}

/** The field of the form that a pointer into the body is about, and which of the lines in it. */
export function placeOf(pointer: string): { field: string; line: string | null } {
  const [, first = "", second = "", third] = pointer
    .split("/")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  if (first === "request") return { field: REQUEST_FIELDS[second] ?? "source", line: third ?? null };
  if (first === "fields") return { field: "fields", line: second || null };
  if (first === "items" && second === "fields") return { field: "items_fields", line: third ?? null };
  if (first === "items") return { field: ITEM_FIELDS[second] ?? "items_path", line: null };
  if (first === "conditions" && second !== "") return { field: first, line: `condition ${Number(second) + 1}` };
  if (first === "schedule" && second === "timezone") return { field: "timezone", line: null };
  if (first === "schedule" && second === "adaptive")
    return { field: third === "max" ? "adaptive_max" : "adaptive_min", line: null };
  if (first === "schedule") return { field: "every", line: null };
  if (first === "pagination") return { field: pageFieldOf(second), line: null };
  return { field: first in EMPTY && first !== "endpoint_ids" ? first : "form", line: null };
}

const REQUEST_FIELDS: Record<string, string> = { method: "method", headers: "headers", query: "query", body: "body" };
const ITEM_FIELDS: Record<string, string> = {
  key: "items_key",
  removed_after: "removed_after",
  events: "items_events",
};

function pageFieldOf(property: string): string {
  if (property === "max_pages") return property;
  const named = Object.values(PAGE_FIELDS).flatMap((fields) => Object.entries(fields));
  return named.find(([, each]) => each === property)?.[0] ?? "pagination";
}

function readBack(form: WatchForm): WatchInput | null {
  try {
    return watchInput.safeParse(watchBodyOf(form)).data ?? null;
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
}

/** Where a form says the same in other words (`"$.a"` for `{"path": "$.a"}`), the words of before stay. */
export function wordedAs(before: WatchInput, after: WatchInput): WatchInput {
  const isSame = (a: unknown[], b: unknown[]) => [...a].sort().join("\n") === [...b].sort().join("\n");
  const timesOf = ({ every, adaptive }: WatchInput["schedule"]) => [every, adaptive?.min, adaptive?.max].join();
  const isSameTime = timesOf(before.schedule) === timesOf(after.schedule);
  return {
    ...after,
    schedule: before.schedule.every !== undefined && isSameTime ? before.schedule : after.schedule,
    fields: fieldsAs(before.fields, after.fields),
    items: after.items && { ...after.items, fields: fieldsAs(before.items?.fields ?? {}, after.items.fields) },
    endpoint_ids: isSame(before.endpoint_ids, after.endpoint_ids) ? before.endpoint_ids : after.endpoint_ids,
    plugin: [before.plugin].flat().join() === [after.plugin].flat().join() ? before.plugin : after.plugin,
  };
}

function fieldsAs(before: Record<string, FieldInput>, after: Record<string, FieldInput>): Record<string, FieldInput> {
  const pairs = Object.entries(after).map(([name, field]) => {
    const earlier = Object.hasOwn(before, name) ? before[name] : undefined;
    return [name, earlier !== undefined && fieldText(earlier) === fieldText(field) ? earlier : field] as const;
  });
  return Object.fromEntries(pairs);
}

function filled(watch: WatchInput): WatchForm {
  const { request, schedule, items, pagination } = watch;
  const unless = (value: unknown, fallback: unknown) => (value === fallback ? "" : String(value ?? ""));
  return {
    ...EMPTY,
    name: watch.name,
    source: request.url,
    method: request.method,
    headers: headerLines(request.headers),
    query: queryLines(request.query),
    body: request.body === null ? "" : pretty(stringifyJson(request.body)),
    secret_id: watch.secret_id ?? "",
    every: schedule.cron ?? String(schedule.every),
    timezone: schedule.timezone ?? "",
    adaptive_min: String(schedule.adaptive?.min ?? ""),
    adaptive_max: String(schedule.adaptive?.max ?? ""),
    fields: fieldLines(watch.fields),
    ...(items && {
      items_path: items.path,
      items_key: items.key,
      items_fields: fieldLines(items.fields),
      items_events: items.events,
      removed_after: unless(items.removed_after, 2),
      window: items.window,
      no_guard: !items.guard,
    }),
    conditions: conditionLines(watch.conditions),
    event_type: watch.event_type,
    ...(pagination && {
      pagination: pagination.type,
      ...pageFields(pagination),
      max_pages: unless(pagination.max_pages, 100),
    }),
    format: watch.format,
    plugin: [watch.plugin ?? []].flat().join(", "),
    plugin_options: Object.keys(watch.plugin_options).length > 0 ? pretty(stringifyJson(watch.plugin_options)) : "",
    missing_after: unless(watch.missing_after, 2),
    keep_bodies: String(watch.keep_bodies ?? ""),
    endpoint_ids: watch.endpoint_ids,
    emit_initial: watch.emit_initial,
    redact: watch.redact,
  };
}

/** `every` is a duration; five words are a cron line. */
function scheduleOf({ every, timezone, adaptive_min, adaptive_max }: WatchForm): JsonObject {
  const isCron = every.trim().split(/\s+/).length >= 5;
  const isAdaptive = adaptive_min.trim() !== "" || adaptive_max.trim() !== "";
  return {
    [isCron ? "cron" : "every"]: every.trim(),
    ...given("timezone", timezone),
    ...(isAdaptive ? { adaptive: { ...given("min", adaptive_min), ...given("max", adaptive_max) } } : {}),
  };
}

function itemsOf(form: WatchForm): JsonObject {
  return {
    path: form.items_path.trim(),
    key: form.items_key.trim(),
    fields: fieldsOf(form.items_fields, "/items_fields"),
    events: form.items_events,
    ...counted("removed_after", form.removed_after),
    window: form.window,
    guard: !form.no_guard,
  };
}

function paginationOf(form: WatchForm): JsonObject | null {
  if (!isPageType(form.pagination)) return null;
  const own = Object.entries(PAGE_FIELDS[form.pagination]).map(([field, property]) => {
    const text = form[field as keyof WatchForm] as string;
    return COUNTS.has(property) ? counted(property, text) : given(property, text);
  });
  return Object.assign({ type: form.pagination }, ...own, counted("max_pages", form.max_pages));
}

function pageFields(pagination: NonNullable<WatchInput["pagination"]>): Record<string, string> {
  const held = pagination as Record<string, unknown>;
  const pairs = Object.entries(PAGE_FIELDS[pagination.type]).map(([field, property]) => [
    field,
    String(held[property] ?? ""),
  ]);
  return Object.fromEntries(pairs);
}

function isPageType(text: string): text is keyof typeof PAGE_FIELDS {
  return Object.hasOwn(PAGE_FIELDS, text);
}

function given(name: string, text: string): JsonObject {
  return text.trim() === "" ? {} : { [name]: text.trim() };
}

/** What is no number stays a text, so that the check of the whole says what is wanted. */
function counted(name: string, text: string): JsonObject {
  const number = Number(text);
  return text.trim() === "" ? {} : { [name]: Number.isFinite(number) ? number : text };
}

/** @throws AppError (422) at `pointer` */
function jsonAt(pointer: string, text: string): Json {
  if (text.trim() === "") return null;
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw invalid(pointer, `This is not JSON: ${error.message}. A text is written in quotes: "…".`);
  }
}

function nameOf(url: string): string {
  const parsed = URL.parse(url);
  return parsed ? `${parsed.host}${parsed.pathname}`.slice(0, 200) : "Watch";
}

function plain(watch: WatchInput): Json {
  return parseJson(stringifyJson(watch));
}
