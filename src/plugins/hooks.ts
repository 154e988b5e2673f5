import { parseJson } from "../platform/json.ts";
import type { ParseInput, SignInput, TransformInput, Values } from "./messages.ts";
import type { Plugin, SignContext, SourceRequest, WebhookEvent } from "./plugin.ts";
import { toJsonText } from "./result.ts";
import { HookError, hookFailed } from "./thrown.ts";

/** A plugin that was loaded in this thread. */
export type LivePlugin = Plugin<unknown> & { version: string };

/** A use made ready: the plugins in order, each with its checked options. */
export type Chain = {
  links: readonly { plugin: LivePlugin; options: unknown }[];
  /** What hooks are told of the endpoint or watch. */
  about: string;
  plugins: string;
};

/** What a hook may give, in characters of JSON. A parsed reply may be as large as replies are. */
const MAX_SENT_CHARS = 1024 * 1024;
const MAX_PARSED_CHARS = 16 * 1024 * 1024;
const MAX_HEADERS = 50;
/** Set by DeltaHook on each try, or by the transport. */
const FORBIDDEN_HEADERS = /^(?:webhook-.*|user-agent|host|content-length|transfer-encoding|connection)$/;

/**
 * Runs the transforms of a chain in order. Each gets what the one before made: an envelope stays an event, anything else
 * is the data of the event from then on.
 */
export async function transform(chain: Chain, input: TransformInput): Promise<Values["transform"]> {
  const endpoint = JSON.parse(chain.about);
  let text: string | null = null;
  const headers: Record<string, string> = {};
  let { event, body } = firstView(input);
  for (const { plugin, options } of chain.links) {
    if (!plugin.transform) throw new HookError(`the plugin "${plugin.name}" has no transform hook (any more)`);
    let result: unknown;
    try {
      const given = plugin.transform(event, { endpoint, options, body });
      result = isPromise(given) ? await given : given;
    } catch (error) {
      throw hookFailed(plugin.name, "transform", error);
    }
    if (result === null) return { skipped: true, plugins: chain.plugins };
    const made = fields(plugin, "transform", result, ["body", "headers"]);
    addHeaders(plugin, headers, made.headers);
    if (made.body !== undefined) {
      text = bodyText(plugin, made.body);
      headers["content-type"] ??= typeof made.body === "string" ? "text/plain; charset=utf-8" : "application/json";
    }
    if (plugin === chain.links.at(-1)?.plugin) break;
    // Read back from its text: what a hook did to its own copies must not reach the next one.
    if (text === null) ({ event, body } = firstView(input));
    else {
      body = typeof made.body === "string" ? made.body : parseJson(text);
      event = eventOf(event, body);
    }
  }
  return { skipped: false, body: text, headers, plugins: chain.plugins };
}

/** Runs the parse hooks of a chain; each further one gets the document so far as a JSON body. */
export async function parse(chain: Chain, input: ParseInput): Promise<Values["parse"]> {
  const watch = JSON.parse(chain.about);
  let { bytes } = input;
  let text: string | null = null;
  for (const { plugin, options } of chain.links) {
    if (!plugin.parse) continue;
    if (text !== null) bytes = new TextEncoder().encode(text);
    const body = text ?? decoded(input);
    let result: unknown;
    try {
      const given = plugin.parse(
        { status: input.status, headers: { ...input.headers }, body, bytes },
        { watch, options },
      );
      result = isPromise(given) ? await given : given;
    } catch (error) {
      throw hookFailed(plugin.name, "parse", error);
    }
    if (result === undefined) throw new HookError(`the parse hook of "${plugin.name}" returned nothing: return JSON`);
    text = jsonText(plugin, "parse", "the result", result, MAX_PARSED_CHARS);
  }
  if (text === null) throw new HookError("none of the plugins has a parse hook (any more)");
  return { text };
}

/** Runs the sign hooks of a chain, each on the request as the one before left it. Only what changed is answered. */
export async function sign(chain: Chain, input: SignInput): Promise<Values["sign"]> {
  const watch = JSON.parse(chain.about);
  const { secret, ...first } = input;
  let request: SourceRequest = first;
  const headers: Record<string, string> = {};
  for (const { plugin, options } of chain.links) {
    if (!plugin.sign) continue;
    const context: SignContext<unknown> = { watch, secret, options };
    let result: unknown;
    try {
      const given = plugin.sign({ ...request, headers: { ...request.headers } }, context);
      result = isPromise(given) ? await given : given;
    } catch (error) {
      throw hookFailed(plugin.name, "sign", error);
    }
    const made = fields(plugin, "sign", result, ["headers", "url", "body"]);
    addHeaders(plugin, headers, made.headers);
    const url = textOf(plugin, "url", made.url) ?? request.url;
    if (URL.parse(url)?.origin !== new URL(first.url).origin) {
      throw new HookError(`the sign hook of "${plugin.name}" returned a url of another origin than the watch's`);
    }
    const body = textOf(plugin, "body", made.body) ?? request.body;
    request = { ...request, url, body, headers: { ...request.headers, ...headers } };
  }
  return {
    headers,
    url: request.url === first.url ? null : request.url,
    body: request.body === first.body ? null : request.body,
  };
}

export function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

type View = { event: WebhookEvent; body: unknown };

function firstView({ id, type, timestamp, data: text, bare }: TransformInput): View {
  const data: unknown = parseJson(text);
  return { event: { id, type, timestamp, data }, body: bare ? data : { type, timestamp, data } };
}

function eventOf(before: WebhookEvent, body: unknown): WebhookEvent {
  if (typeof body === "object" && body !== null && "type" in body && "data" in body && typeof body.type === "string") {
    return { ...before, type: body.type, data: body.data };
  }
  return { ...before, data: body };
}

/** @throws HookError unless the result is an object with these members only */
function fields(plugin: LivePlugin, hook: string, result: unknown, known: string[]): Record<string, unknown> {
  const shape = `{${known.map((name) => `${name}?`).join(", ")}}${hook === "transform" ? ", or null to skip" : ""}`;
  if (typeof result !== "object" || result === null || Array.isArray(result)) {
    throw new HookError(`the ${hook} hook of "${plugin.name}" must return ${shape}, not ${kindOf(result)}`);
  }
  const stranger = Object.keys(result).find((name) => !known.includes(name));
  if (stranger === undefined) return result as Record<string, unknown>;
  throw new HookError(
    `the ${hook} hook of "${plugin.name}" returned "${stranger.slice(0, 50)}": it must return ${shape}`,
  );
}

function addHeaders(plugin: LivePlugin, headers: Record<string, string>, added: unknown): void {
  if (added === undefined) return;
  if (typeof added !== "object" || added === null || Array.isArray(added)) {
    throw new HookError(`the headers that "${plugin.name}" returned are not an object of texts`);
  }
  for (const [given, value] of Object.entries(added)) {
    const name = given.toLowerCase();
    if (typeof value !== "string")
      throw new HookError(`the header "${given}" that "${plugin.name}" returned is no text`);
    if (FORBIDDEN_HEADERS.test(name))
      throw new HookError(`"${plugin.name}" cannot set the header "${given}": DeltaHook does`);
    headers[name] = value;
  }
  if (Object.keys(headers).length > MAX_HEADERS)
    throw new HookError(`"${plugin.name}" returned over ${MAX_HEADERS} headers`);
}

function bodyText(plugin: LivePlugin, body: unknown): string {
  if (typeof body !== "string") return jsonText(plugin, "transform", "body", body, MAX_SENT_CHARS);
  if (body.length <= MAX_SENT_CHARS) return body.toWellFormed();
  throw new HookError(`the transform hook of "${plugin.name}": body has more than ${MAX_SENT_CHARS} characters`);
}

function jsonText(plugin: LivePlugin, hook: string, name: string, value: unknown, maxChars: number): string {
  const made = toJsonText(value, name, maxChars);
  if ("text" in made) return made.text;
  throw new HookError(`the ${hook} hook of "${plugin.name}": ${made.fault}`);
}

function textOf(plugin: LivePlugin, name: string, value: unknown): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value === "string") return value;
  throw new HookError(`the sign hook of "${plugin.name}" returned a ${name} that is no text`);
}

/** By the declared charset, UTF-8 without one; what does not fit is replaced, since `bytes` are there as well. */
function decoded({ headers, bytes }: ParseInput): string {
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(headers["content-type"] ?? "")?.[1] ?? "utf-8";
  try {
    return new TextDecoder(charset as Bun.Encoding).decode(bytes);
  } catch {
    return new TextDecoder().decode(bytes);
  }
}

function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : `a ${typeof value}`;
}
