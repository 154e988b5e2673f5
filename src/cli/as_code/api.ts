import { AppError, type ErrorCode, type FieldFault } from "../../platform/errors.ts";
import { JsonError, parseJson, stringifyJson } from "../../platform/json.ts";
import { isObject } from "./resources.ts";

export type Method = "GET" | "POST" | "PATCH" | "DELETE";
export type Answered = { status: number; text: string; retryAfterSeconds?: number };

/** DeltaHook's REST API, whichever way it is reached: a path with its query, a JSON text in and out. */
export type Api = (method: Method, path: string, body?: string) => Promise<Answered>;

const PAGE = 200;
const TRY_MS = 60_000;
const MOST_WAITS = 10;

/** @returns the document that is answered. @throws AppError with the API's own words and pointers. */
export async function ask(api: Api, method: Method, path: string, body?: unknown): Promise<Record<string, unknown>> {
  for (let waited = 0; ; waited++) {
    const { status, text, retryAfterSeconds } = await api(
      method,
      path,
      body === undefined ? body : stringifyJson(body),
    );
    if (status < 400) return text === "" ? {} : read(text);
    if (status !== 429 || waited === MOST_WAITS) throw problemOf(status, text);
    await Bun.sleep((retryAfterSeconds ?? 1) * 1_000);
  }
}

/** All of a list, page by page. */
export async function askAll(api: Api, path: string): Promise<Record<string, unknown>[]> {
  const all: Record<string, unknown>[] = [];
  for (let cursor: unknown = null; ; ) {
    const after = cursor === null ? "" : `&cursor=${encodeURIComponent(String(cursor))}`;
    const page = await ask(api, "GET", `${path}?limit=${PAGE}${after}`);
    all.push(...(page.data as Record<string, unknown>[]));
    cursor = page.next ?? null;
    if (cursor === null) return all;
  }
}

/** The API of a server at an address. */
export function serverApi(options: { server: string; apiKey: string }): Api {
  const base = options.server.replace(/\/+$/, "");
  return async (method, path, body) => {
    const headers: Record<string, string> = { authorization: `Bearer ${options.apiKey}`, accept: "application/json" };
    if (body !== undefined) headers["content-type"] = "application/json";
    try {
      const signal = AbortSignal.timeout(TRY_MS);
      const response = await fetch(base + path, { method, headers, signal, redirect: "error", ...(body && { body }) });
      const retryAfterSeconds = Number(response.headers.get("retry-after") ?? 1);
      return { status: response.status, text: await response.text(), retryAfterSeconds };
    } catch (cause) {
      const reason = (cause as { code?: string }).code ?? (cause as Error).message;
      throw new AppError("unavailable", `${base} does not answer (${reason}). Is the address right?`, { cause });
    }
  };
}

function read(text: string): Record<string, unknown> {
  try {
    const document = parseJson(text);
    if (isObject(document)) return document;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
  }
  throw new AppError("unavailable", "The answer is not DeltaHook's. Is the address of the server right?");
}

/** A problem document (RFC 9457) back as the error that it was. */
function problemOf(status: number, text: string): AppError {
  const { detail, errors } = documentOf(text);
  const message = typeof detail === "string" ? detail : `The server answered ${status}. Is its address right?`;
  return new AppError(codeOf(status), message, { faults: Array.isArray(errors) ? (errors as FieldFault[]) : [] });
}

function documentOf(text: string): Record<string, unknown> {
  try {
    return read(text);
  } catch {
    return {}; // a proxy's page, say
  }
}

function codeOf(status: number): ErrorCode {
  const codes: Record<number, ErrorCode> = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    413: "too_large",
    429: "throttled",
  };
  return codes[status] ?? (status >= 500 ? "unavailable" : "invalid");
}
