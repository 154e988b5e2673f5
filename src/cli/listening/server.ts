import { AppError, type ErrorCode, messageOf } from "../../platform/errors.ts";

/** A server and the key to it. */
export type Server = { address: string; apiKey: string };

const ASK_MS = 10_000;

/** It does not answer, or cannot now: worth another try, unlike what it refuses. */
export class Passing extends AppError {
  constructor(message: string, cause?: unknown) {
    super("unavailable", message, { cause });
  }
}

/**
 * Makes a request that must succeed.
 * @throws Passing when the server does not answer or cannot now, AppError when it refuses
 */
export async function ask(
  { address, apiKey }: Server,
  request: { method: string; path: string; body?: unknown; signal?: AbortSignal },
): Promise<Response> {
  const headers: Record<string, string> = { authorization: `Bearer ${apiKey}` };
  if (request.body !== undefined) headers["content-type"] = "application/json";
  let response: Response;
  try {
    response = await fetch(address + request.path, {
      method: request.method,
      headers,
      redirect: "manual",
      signal: request.signal ?? AbortSignal.timeout(ASK_MS),
      ...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
    });
  } catch (error) {
    throw new Passing(`No server answers at ${address} (${reasonOf(error)}).`, error);
  }
  if (response.ok) return response;
  const message = (await detailOf(response)) ?? `${address} answers ${response.status}. Is it a DeltaHook server?`;
  if (response.status === 429 || response.status >= 500) throw new Passing(message);
  throw new AppError(CODES[response.status] ?? "invalid", message);
}

const CODES: Record<number, ErrorCode> = { 401: "unauthenticated", 403: "forbidden", 404: "not_found" };

function reasonOf(error: unknown): string {
  return (error as { code?: string }).code ?? messageOf(error);
}

/** The sentence of a problem document (RFC 9457); null when it is none, such as a proxy's page. */
async function detailOf(response: Response): Promise<string | null> {
  try {
    const { detail } = (await response.json()) as { detail?: unknown };
    return typeof detail === "string" ? detail : null;
  } catch {
    return null;
  }
}
