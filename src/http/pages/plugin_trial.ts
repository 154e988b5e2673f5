import { pretty } from "../../../views/deliveries.tsx";
import type { ShownTrial } from "../../../views/try_plugin.tsx";
import { invalid } from "../../platform/errors.ts";
import { ExactNumber, JsonError, type JsonObject, parseJson, stringifyJson } from "../../platform/json.ts";
import type { Hook, ParseInput, SignInput, TransformInput, Trial, Tried } from "../../plugins/plugins.ts";
import { sampleSecret } from "../api/plugins.ts";
import { lineDiff } from "./line_diff.ts";
import { headerLines, headersOf } from "./watch_lines.ts";

const TIMESTAMP = "2026-01-01T00:00:00.000Z";

/** What each hook is tried on unless people write something else, by the fields of the form. */
export const SAMPLES: Record<Hook, Record<string, string>> = {
  // As a watch states it.
  transform: {
    event: `{
  "type": "watch.changed",
  "data": {
    "watch": { "id": "watch_sample", "name": "Order 42" },
    "sequence": 7,
    "window": { "after": "2025-12-31T23:59:30.000Z", "until": "2026-01-01T00:00:00.000Z" },
    "changes": [
      { "field": "status", "path": "$.order.status", "kind": "changed", "previous": "pending", "current": "paid" }
    ]
  }
}`,
  },
  parse: { status: "200", content_type: "text/plain; charset=utf-8", reply: "id;status\n42;paid\n43;pending" },
  sign: {
    method: "GET",
    url: "https://erp.example.com/api/orders/42",
    headers: "accept: application/json",
    body: "",
    secret: '{"kind": "bearer", "token": "sample"}',
  },
};

/** What was typed as what the hook gets. @throws AppError (422) at the field that cannot be read */
export function trialOf(hook: Hook, typed: Record<string, string>): Omit<Trial, "options"> {
  if (hook === "transform") return { hook, input: eventOf(typed.event ?? "") };
  if (hook === "parse") return { hook, input: replyOf(typed) };
  return { hook, input: requestOf(typed) };
}

/** What a hook made of its sample. */
export function shownTrial({ input }: Omit<Trial, "options">, { version, ms, outcome }: Tried): ShownTrial {
  const about = { version, ms };
  if ("fault" in outcome) return { ...about, fault: outcome.fault };
  if ("text" in outcome) return { ...about, document: pretty(outcome.text) };
  if ("url" in outcome) return { ...about, ...signed(input as SignInput, outcome) };
  if (outcome.skipped) return { ...about, skipped: true };
  const { type, timestamp, data } = input as TransformInput;
  const before = `{"type":${JSON.stringify(type)},"timestamp":"${timestamp}","data":${data}}`;
  const rows = lineDiff(pretty(before), pretty(outcome.body ?? before));
  return { ...about, rows, headers: outcome.headers };
}

/** The request as text, without the plugin and with it. */
function signed(
  request: SignInput,
  { headers, url, body }: Pick<SignInput, "headers" | "body"> & { url: string | null },
) {
  const after = {
    ...request,
    url: url ?? request.url,
    headers: { ...request.headers, ...headers },
    body: body ?? request.body,
  };
  return { rows: lineDiff(requestText(request), requestText(after)), headers: {} };
}

function requestText({ method, url, headers, body }: Pick<SignInput, "method" | "url" | "headers" | "body">): string {
  return [`${method} ${url}`, headerLines(headers), ...(body === null ? [] : ["", pretty(body)])].join("\n");
}

function eventOf(text: string): TransformInput {
  const { type, data } = objectOf(text, "/event");
  if (typeof type !== "string" || type === "")
    throw invalid("/event", 'An event has a type: {"type": "…", "data": …}.');
  return { id: "evt_sample", type, timestamp: TIMESTAMP, data: stringifyJson(data ?? {}), bare: false };
}

function replyOf({ status = "", content_type = "", reply = "" }: Record<string, string>): ParseInput {
  const code = Number(status);
  if (!Number.isInteger(code) || code < 100 || code > 599) throw invalid("/status", "A status is from 100 to 599.");
  const headers: Record<string, string> = content_type.trim() === "" ? {} : { "content-type": content_type.trim() };
  return { status: code, headers, bytes: new TextEncoder().encode(asTyped(reply)) };
}

function requestOf({ method = "", url = "", headers = "", body = "", secret = "" }: Record<string, string>): SignInput {
  if (!URL.canParse(url.trim()))
    throw invalid("/url", "This is not an address, such as https://erp.example.com/orders.");
  return {
    method: method.trim().toUpperCase() || "GET",
    url: url.trim(),
    headers: headersOf(headers),
    body: body === "" ? null : asTyped(body),
    secret: secret.trim() === "" ? null : secretOf(secret),
  };
}

/** Browsers send every line break of a form as two characters. */
function asTyped(text: string): string {
  return text.replaceAll("\r\n", "\n");
}

function secretOf(text: string): SignInput["secret"] {
  const read = sampleSecret.safeParse(objectOf(text, "/secret"));
  if (read.success) return read.data;
  throw invalid(
    "/secret",
    'Write {"kind": "bearer", "token"}, or the kind "basic" with username and password, "header" or "query" with name and value.',
  );
}

/** @throws AppError (422) at `pointer` */
export function objectOf(text: string, pointer: string): JsonObject {
  try {
    const parsed = parseJson(text);
    const isObject = typeof parsed === "object" && parsed !== null && !Array.isArray(parsed);
    if (isObject && !(parsed instanceof ExactNumber)) return parsed;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw invalid(pointer, `This is not JSON: ${error.message}.`);
  }
  throw invalid(pointer, "Write a JSON object.");
}
