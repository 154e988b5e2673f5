import type { Door, Found, Submission } from "./door.ts";
import { HookshotError } from "./error.ts";
import { Passing, persist } from "./persistence.ts";
import type { DeliveryStatus, HookshotErrorCode, Sent } from "./types.ts";

const TRY_MS = 10_000;
const PAGE = 200;

type Request = { method: "GET" | "POST"; path: string; body?: string };
type Page<T> = { data: T[]; next: string | null };
type ShownDelivery = {
  id: string;
  url: string;
  status: DeliveryStatus["status"];
  tries: number;
  due_at: string | null;
  finished_at: string | null;
  last_status: number | null;
  last_error: string | null;
};

/** Through DeltaHook's REST API. Network errors, 5xx and 429 are tried again: the idempotency key makes that safe. */
export function openHttpDoor(options: { url: string; apiKey: string }): Door {
  const base = options.url.replace(/\/+$/, "");

  /** @returns the JSON document that is answered */
  async function call<T>(request: Request, deadline: number): Promise<T> {
    const { status, text, headers } = await fetchOnce(request, deadline);
    if (status < 400) return parse<T>(text, base);
    const message = detailOf(text) ?? `${base} answered ${status}.`;
    if (status === 429 || status >= 500) {
      throw new Passing(message, { afterMs: retryAfterMs(headers.get("retry-after")), status });
    }
    throw new HookshotError(codeOf(status), message, { status });
  }

  async function fetchOnce({ method, path, body }: Request, deadline: number) {
    const headers: Record<string, string> = { authorization: `Bearer ${options.apiKey}`, accept: "application/json" };
    if (body !== undefined) headers["content-type"] = "application/json";
    // Node takes whole milliseconds only.
    const signal = AbortSignal.timeout(Math.max(1, Math.ceil(Math.min(TRY_MS, deadline - performance.now()))));
    try {
      const response = await fetch(base + path, { method, headers, signal, redirect: "error", ...(body && { body }) });
      return { status: response.status, text: await response.text(), headers: response.headers };
    } catch (cause) {
      throw new Passing(`${base} does not answer (${reasonOf(cause)}).`, { cause });
    }
  }

  async function readPage(id: string, cursor: string | null, deadline: number): Promise<Page<ShownDelivery>> {
    const query = new URLSearchParams({ limit: String(PAGE), ...(cursor === null ? {} : { cursor }) });
    const path = `/v1/events/${encodeURIComponent(id)}/deliveries?${query}`;
    return persist(() => call<Page<ShownDelivery>>({ method: "GET", path }, deadline), deadline);
  }

  return {
    async submit(submission, deadline) {
      const request = { method: "POST" as const, path: "/v1/events", body: bodyOf(submission) };
      return (await persist(() => call<Sent>(request, deadline), deadline)).id;
    },

    async find(id, deadline): Promise<Found | null> {
      const deliveries: DeliveryStatus[] = [];
      try {
        let cursor: string | null = null;
        do {
          const page: Page<ShownDelivery> = await readPage(id, cursor, deadline);
          deliveries.push(...page.data.map(read));
          cursor = page.next;
        } while (cursor !== null);
      } catch (error) {
        if (error instanceof HookshotError && error.code === "not_found") return null;
        throw error;
      }
      return { waiting: false, deliveries };
    },

    close: async () => {},
  };
}

/** `data` is put in as the text that it is, so that its bytes are the sender's. */
function bodyOf(submission: Submission): string {
  const { type, data, idempotencyKey, url, headers, retry, timeoutMs, keepMs, endpointIds } = submission;
  const rest = {
    type,
    idempotency_key: idempotencyKey,
    url,
    headers,
    retry,
    timeout: timeoutMs === undefined ? undefined : `${timeoutMs}ms`,
    dead_letter_retention: keepMs === undefined ? undefined : `${keepMs}ms`,
    endpoint_ids: endpointIds,
  };
  return `${JSON.stringify(rest).slice(0, -1)},"data":${data}}`;
}

function read(shown: ShownDelivery): DeliveryStatus {
  const { id, url, status, tries } = shown;
  return {
    id,
    url,
    status,
    tries,
    dueAt: shown.due_at,
    finishedAt: shown.finished_at,
    lastStatus: shown.last_status,
    lastError: shown.last_error,
  };
}

function parse<T>(text: string, base: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new HookshotError("invalid", `${base} does not answer as DeltaHook does. Is the url right?`, { cause });
  }
}

/** The sentence of a problem document (RFC 9457), with the places it names. */
function detailOf(text: string): string | null {
  try {
    const { detail, errors = [] } = JSON.parse(text) as {
      detail?: string;
      errors?: { pointer: string; message: string }[];
    };
    if (!detail) return null;
    const more = errors.filter(({ message }) => !detail.includes(message));
    return [detail, ...more.map(({ pointer, message }) => `${pointer} ${message}`)].join(" ");
  } catch {
    return null; // a proxy's page, say
  }
}

function codeOf(status: number): HookshotErrorCode {
  if (status === 401 || status === 403) return "refused";
  if (status === 404) return "not_found";
  return status === 409 ? "conflict" : "invalid";
}

/** Seconds or a date (RFC 9110, 10.2.3). */
function retryAfterMs(value: string | null): number {
  if (value === null) return 0;
  const seconds = Number(value);
  const ms = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

/** Node hides the reason of "fetch failed" in the cause. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as { message: string; cause?: { code?: string; message?: string } };
  return cause?.code ?? cause?.message ?? message;
}
