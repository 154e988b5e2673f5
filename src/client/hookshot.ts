import { openDatabaseDoor } from "./database_door.ts";
import type { Door, Found } from "./door.ts";
import { milliseconds } from "./duration.ts";
import { HookshotError } from "./error.ts";
import { openHttpDoor } from "./http_door.ts";
import { pause } from "./persistence.ts";
import type {
  Duration,
  EventStatus,
  HookshotOptions,
  RetryPolicy,
  SendOptions,
  SendWebhookOptions,
  Sent,
} from "./types.ts";

const CALL_MS = 30_000;
const WAIT_MS = 60_000;
const FIRST_LOOK_MS = 50;
const LAST_LOOK_MS = 2_000;
const OPTIONS = ["url", "apiKey", "db", "retry", "timeout", "deadLetterRetention"];

/**
 * Hands webhooks to DeltaHook, over HTTP or straight into its Postgres. A call resolves when DeltaHook has committed
 * them; from then on they are delivered, retried and kept whatever happens here. A call that fails on the way is tried
 * again under an idempotency key, so that nothing is sent twice.
 */
export class Hookshot {
  readonly #door: Door;
  readonly #defaults: OfOneSend;

  /** Connects at the first call. @throws HookshotError when the options cannot be used */
  constructor(options: HookshotOptions) {
    checkOptions(options);
    this.#defaults = ofOneSend(options);
    this.#door = options.db === undefined ? openHttpDoor(options) : openDatabaseDoor(options.db);
  }

  /** Sends `payload`, as JSON and as the whole body, to one address. Needs no endpoint to be set up. */
  async sendWebhook(url: string, payload: unknown, options: SendWebhookOptions = {}): Promise<Sent> {
    const { type = "webhook", headers } = options;
    const own = { ...this.#defaults, ...ofOneSend(options) };
    return this.#submit({ ...own, type, data: json(payload), idempotencyKey: keyOf(options), url, headers });
  }

  /** States an event to every endpoint that subscribes to its type; `data` arrives in the usual envelope. */
  async send(type: string, data: unknown, options: SendOptions = {}): Promise<Sent> {
    const { endpointIds } = options;
    return this.#submit({ type, data: json(data), idempotencyKey: keyOf(options), endpointIds });
  }

  /** What became of an event. @throws HookshotError `not_found` when there is none, or it is older than RETAIN_EVENTS */
  async status(id: string): Promise<EventStatus> {
    return this.#look(id, performance.now() + CALL_MS);
  }

  /**
   * Resolves when nothing is owed any more: delivered to all, dead, or cancelled.
   * @param options `timeout`: how long to wait, 60 s by default
   * @throws HookshotError `timeout`; the webhook is owed all the same
   */
  async wait(id: string, options: { timeout?: Duration } = {}): Promise<EventStatus> {
    const timeoutMs = options.timeout === undefined ? WAIT_MS : milliseconds(options.timeout, "timeout");
    const deadline = performance.now() + timeoutMs;
    const late = (cause?: unknown) => {
      const message = `${id} is still pending after ${timeoutMs} ms. It is tried on; ask again later.`;
      return new HookshotError("timeout", message, { cause });
    };
    let looked = false;
    for (let lookMs = FIRST_LOOK_MS; ; lookMs = Math.min(LAST_LOOK_MS, lookMs * 1.5)) {
      const found = await this.#look(id, deadline).catch((error: unknown) => {
        // A look is tried until the deadline: the last one may be under way then.
        throw looked && error instanceof HookshotError && error.code === "unavailable" ? late(error) : error;
      });
      looked = true;
      if (found.status !== "pending") return found;
      if (performance.now() + lookMs > deadline) throw late();
      await pause(lookMs);
    }
  }

  /** Gives connections back. */
  async close(): Promise<void> {
    await this.#door.close();
  }

  async #submit(submission: Parameters<Door["submit"]>[0]): Promise<Sent> {
    return { id: await this.#door.submit(submission, performance.now() + CALL_MS) };
  }

  async #look(id: string, deadline: number): Promise<EventStatus> {
    const found = await this.#door.find(id, deadline);
    if (found) return { id, status: overall(found), deliveries: found.deliveries };
    throw new HookshotError("not_found", `There is no event ${id}; it never was, or it is older than RETAIN_EVENTS.`);
  }
}

type OfOneSend = { retry?: RetryPolicy; timeoutMs?: number; keepMs?: number };

/** Only what is given, so that it can be laid over the defaults. */
function ofOneSend({ retry, timeout, deadLetterRetention }: SendWebhookOptions | HookshotOptions): OfOneSend {
  return {
    ...(retry === undefined ? {} : { retry }),
    ...(timeout === undefined ? {} : { timeoutMs: milliseconds(timeout, "timeout") }),
    ...(deadLetterRetention === undefined ? {} : { keepMs: milliseconds(deadLetterRetention, "deadLetterRetention") }),
  };
}

function overall({ waiting, deliveries }: Found): EventStatus["status"] {
  if (waiting) return "pending";
  const states = new Set(deliveries.map(({ status }) => status));
  for (const state of ["pending", "dead", "cancelled", "delivered"] as const) if (states.has(state)) return state;
  return "unclaimed";
}

function keyOf({ idempotencyKey }: { idempotencyKey?: string }): string {
  return idempotencyKey ?? `hookshot-${crypto.randomUUID()}`;
}

/** @throws HookshotError for what JSON cannot say, such as undefined or a function */
function json(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined;
  if (text !== undefined) return text;
  throw new HookshotError("invalid", `The payload is ${typeof value}, which JSON cannot express; send an object, say.`);
}

/** Callers in plain JavaScript have no compiler to tell them. */
function checkOptions(options: HookshotOptions): void {
  const unknown = Object.keys(options ?? {}).find((name) => !OPTIONS.includes(name));
  if (unknown !== undefined) throw invalid(`There is no option ${unknown}; there are ${OPTIONS.join(", ")}.`);
  if (options?.db !== undefined && options.url === undefined) return;
  if (options?.db !== undefined || options?.url === undefined) throw invalid("Give either { url, apiKey } or { db }.");
  if (!/^https?:\/\//.test(options.url))
    throw invalid(`url ${options.url}: write DeltaHook's address, such as http://localhost:8080.`);
  if (!options.apiKey) throw invalid("apiKey is missing: make one with `deltahook keys create`.");
}

function invalid(message: string): HookshotError {
  return new HookshotError("invalid", message);
}
