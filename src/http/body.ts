import { AppError } from "../platform/errors.ts";
import { JsonError, parseJson } from "../platform/json.ts";
import { HttpFault } from "./problem.ts";

export const USUAL_BODY_BYTES = 1024 * 1024;
const UTF8 = new TextDecoder("utf-8", { fatal: true });

export type BodyLimits = { maxBytes: number; timeoutMs: number };

/** A JSON body: its text as it arrived, and its value with exact numbers; both empty when there was none. */
export async function readJsonBody(request: Request, limits: BodyLimits): Promise<{ text: string; value: unknown }> {
  const text = await readText(request, limits);
  if (text === "") return { text, value: undefined };
  requireType(request, /^application\/(?:[\w.+-]+\+)?json$/, "application/json");
  try {
    return { text, value: parseJson(text) };
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new AppError("malformed", `The body is not JSON: ${error.message}${placeOf(text, error.position)}.`);
  }
}

/** A browser's form (`application/x-www-form-urlencoded`), one string per field. */
export async function readFormBody(request: Request, limits: BodyLimits): Promise<{ text: string; value: unknown }> {
  const text = await readText(request, limits);
  if (text !== "") requireType(request, /^application\/x-www-form-urlencoded$/, "application/x-www-form-urlencoded");
  return { text, value: fieldsOf(new URLSearchParams(text), "form") };
}

/** The parameters of an address, one string each. */
export function readQuery(url: string): Record<string, string> {
  const start = url.indexOf("?");
  return start === -1 ? {} : fieldsOf(new URLSearchParams(url.slice(start + 1)), "query");
}

/** A parameter given twice would be read by its first or its last value, depending on who reads: refused. */
function fieldsOf(parameters: URLSearchParams, where: string): Record<string, string> {
  const fields = new Map<string, string>();
  for (const [name, value] of parameters) {
    if (fields.has(name))
      throw new AppError("invalid", `The ${where} has ${JSON.stringify(name)} twice: give it once.`);
    fields.set(name, value);
  }
  return Object.fromEntries(fields);
}

function requireType(request: Request, accepted: RegExp, name: string): void {
  const type = (request.headers.get("content-type") ?? "").split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (accepted.test(type)) return;
  const found = type === "" ? "The request has no content-type" : `The content-type is ${type.slice(0, 100)}`;
  throw new HttpFault("media_type", `${found}; send the body as ${name}.`, { accept: name });
}

async function readText(request: Request, { maxBytes, timeoutMs }: BodyLimits): Promise<string> {
  const length = request.headers.get("content-length");
  if (length === "0" || (length === null && !request.body)) return "";
  if (Number(length) > maxBytes) throw tooLarge(maxBytes);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const tooSlow = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(slow(timeoutMs)), timeoutMs);
  });
  // The server ends a body at its declared length; one without (chunked) is counted as it comes.
  const reading = length === null ? readCapped(request, maxBytes, tooSlow) : Promise.race([readAll(request), tooSlow]);
  const bytes = await reading.finally(() => clearTimeout(timer));
  if (bytes.length > maxBytes) throw tooLarge(maxBytes);
  return decode(bytes);
}

function decode(bytes: Uint8Array): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new AppError("malformed", "The body is not UTF-8 text (RFC 8259, section 8.1).");
  }
}

async function readAll(request: Request): Promise<Uint8Array> {
  return new Uint8Array(await request.arrayBuffer());
}

async function readCapped(request: Request, maxBytes: number, tooSlow: Promise<never>): Promise<Uint8Array> {
  const reader = (request.body ?? new Blob().stream()).getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  try {
    for (;;) {
      const { done, value } = await Promise.race([reader.read(), tooSlow]);
      if (done) return Buffer.concat(chunks);
      size += value.length;
      if (size > maxBytes) throw tooLarge(maxBytes);
      chunks.push(value);
    }
  } catch (error) {
    reader.cancel().catch(() => {});
    throw error;
  }
}

function tooLarge(maxBytes: number): AppError {
  return new AppError(
    "too_large",
    `The body is larger than the ${maxBytes} bytes that are accepted here; send less at once.`,
  );
}

function slow(timeoutMs: number): HttpFault {
  return new HttpFault("too_slow", `The body did not arrive within ${timeoutMs / 1000} s.`);
}

function placeOf(text: string, position: number | null): string {
  if (position === null) return "";
  const before = text.slice(0, position);
  return ` (line ${before.split("\n").length}, column ${position - before.lastIndexOf("\n")})`;
}
