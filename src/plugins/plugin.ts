import type { z } from "zod";

// The module that plugins import as "deltahook/plugin".

export { z } from "zod";
export { type JsonPath, jsonpath } from "./jsonpath.ts";

/** What happened, as its receivers know it. `data` is the payload; a number too long for a double prints all its digits. */
export type WebhookEvent<Data = unknown> = {
  /** The `webhook-id`: the same on every try and replay. */
  id: string;
  type: string;
  /** RFC 3339, UTC. */
  timestamp: string;
  data: Data;
};

export type TransformContext<Options> = {
  endpoint: { id: string; name: string; url: string };
  options: Options;
  /** What would be sent as it stands: `{type, timestamp, data}`, or the bare data of a direct send. */
  body: unknown;
};

/**
 * What to send. `body`: a string is sent as it is, anything else as JSON; left out, the body stays as it was. `headers`
 * are added; `content-type` is `application/json` (of a string `text/plain`) unless given. `null` skips the delivery.
 */
export type Transformed = { body?: unknown; headers?: Record<string, string> } | null;

/** A source's reply. `body` is decoded by its charset, `bytes` are what came. */
export type SourceResponse = {
  status: number;
  headers: Record<string, string>;
  body: string;
  bytes: Uint8Array;
};

export type ParseContext<Options> = { watch: { id: string; name: string }; options: Options };

/** A request to a source, before it is sent. */
export type SourceRequest = { method: string; url: string; headers: Record<string, string>; body: string | null };

/** The watch's own secret, as it was created; of OAuth2 the token of the moment. */
export type SignSecret =
  | { kind: "bearer"; token: string }
  | { kind: "basic"; username: string; password: string }
  | { kind: "header"; name: string; value: string }
  | { kind: "query"; name: string; value: string };

export type SignContext<Options> = ParseContext<Options> & { secret: SignSecret | null };

/** `headers` are added, `url` (of the same origin) and `body` take the place of the request's. */
export type Signed = { headers?: Record<string, string>; url?: string; body?: string };

type Awaitable<T> = T | Promise<T>;

/**
 * A plugin: its name and any of three hooks. Hooks run in worker threads and may run twice for one try, so they should
 * have no effects of their own. A parameter may be annotated more narrowly, e.g. `event: WebhookEvent<Order>`.
 */
export type Plugin<Options> = {
  /** Letters, digits, `_` and `-`, at most 64. It takes the place of a shipped plugin of the same name. */
  name: string;
  description?: string;
  /** For each hook, from 100 to 10,000; 2,000 unless given. */
  timeoutMs?: number;
  /** Checked when an endpoint or watch is saved, and shown as a form. Properties that it does not name are refused. */
  options?: z.ZodType<Options>;
  /** Before an event is sent. */
  transform?(event: WebhookEvent, context: TransformContext<Options>): Awaitable<Transformed>;
  /** Turns a source's reply into JSON. */
  parse?(response: SourceResponse, context: ParseContext<Options>): unknown;
  /** Before a source is asked. Gets the watch's secret, which is then not put on the request by DeltaHook. */
  sign?(request: SourceRequest, context: SignContext<Options>): Awaitable<Signed>;
};

/** Gives the plugin back as it is; it is there for the types. */
export function definePlugin<Options = Record<string, unknown>>(plugin: Plugin<Options>): Plugin<Options> {
  return plugin;
}
