import { type Json, JsonError, type JsonObject, MAX_REPLY_DEPTH, parseJson, sanitiseText } from "../platform/json.ts";
import { readCsv } from "./csv.ts";
import { readXml } from "./xml.ts";

/** What a failed reply calls for: the credential, the host's patience, or a look at the source. */
export type ReplyProblem = "auth" | "throttled" | "status" | "body";

export type Reply =
  | { kind: "document"; document: Json }
  | { kind: "not_modified" }
  | { kind: "failed"; about: ReplyProblem; problem: string };

/** How a reply is written; of XML, the elements that are lists however many there are. */
export type Format = { kind: "json" } | { kind: "csv" } | { kind: "xml"; lists: ReadonlySet<string> };

/** A source's answer, its body decompressed and within the size cap. */
export type RawReply = { status: number; contentType: string; bytes: Uint8Array };

/** Makes a reply into a document, or names why it cannot be one and what to do. Pure. */
export function readReply({ status, contentType, bytes }: RawReply, format: Format): Reply {
  if (status === 304) return { kind: "not_modified" };
  if (status < 200 || status > 299) return statusProblem(status);
  const text = decode(contentType, bytes, format);
  if (typeof text !== "string") return failed(text.problem);
  const body = text.trimStart();
  if (body === "") return failed(`the source answered ${status} with an empty body`);
  if (isPage(body)) return failed(PAGE);
  const read = readAs(format, body);
  return "problem" in read ? failed(read.problem) : { kind: "document", document: read.document };
}

function readAs(format: Format, text: string): { document: Json } | { problem: string } {
  if (format.kind === "csv") return text.startsWith("<") ? { problem: markupInstead("CSV") } : readCsv(text);
  if (format.kind === "json") return text.startsWith("<") ? { problem: markupInstead("JSON") } : readJson(text);
  const read = readXml(text, format.lists);
  // A page may begin with an XML declaration.
  return "document" in read && isObject(read.document) && "html" in read.document ? { problem: PAGE } : read;
}

function readJson(text: string): { document: Json } | { problem: string } {
  try {
    const document = parseJson(text, MAX_REPLY_DEPTH);
    const refusal = graphqlRefusal(document);
    return refusal === null ? { document } : { problem: refusal };
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    return { problem: `the reply is not JSON that can be read: ${error.message}` };
  }
}

function failed(problem: string, about: ReplyProblem = "body"): Reply {
  return { kind: "failed", about, problem };
}

function statusProblem(status: number): Reply {
  const said = `the source answered ${status}`;
  if (status === 401) return failed(`${said} (unauthorized): check the watch's secret`, "auth");
  if (status === 403) return failed(`${said} (forbidden): check what the watch's secret may read`, "auth");
  if (status === 407) return failed(`${said}: a proxy in between asks for its own credentials`, "status");
  if (status === 429)
    return failed(`${said} (too many requests): poll less often, or lower the host's rate`, "throttled");
  if (status === 503) return failed(`${said} (unavailable)`, "throttled");
  if (status === 404 || status === 410) return failed(`${said} (nothing there): check the address`, "status");
  if (status >= 300 && status <= 399)
    return failed(`${said}, a redirect, which is not followed here: use the final address`, "status");
  if (status >= 500) return failed(`${said}: a fault on its side`, "status");
  return failed(`${said}: check the request`, "status");
}

/**
 * Strict decoding: text in another charset than declared is a problem to name, not mojibake to compare. A byte order mark
 * outranks the declaration, and that of the Content-Type outranks the one in an XML document (RFC 7303, section 3); all
 * else is UTF-8 (RFC 8259, section 8.1).
 */
function decode(contentType: string, bytes: Uint8Array, format: Format): string | { problem: string } {
  const inType = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType)?.[1];
  const declared = inType ?? (format.kind === "xml" ? encodingIn(bytes) : undefined);
  const label = markOf(bytes) ?? declared ?? "utf-8";
  try {
    return new TextDecoder(label as Bun.Encoding, { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof RangeError)
      return { problem: `the source declares the charset "${label.slice(0, 40)}", which is not known` };
    if (!declared) return { problem: "the reply is not UTF-8, and its Content-Type names no charset" };
    return { problem: `the reply is not in the charset that the source declares, "${label.slice(0, 40)}"` };
  }
}

/** The encoding that an XML declaration names (XML 1.0, section 4.3.3). */
function encodingIn(bytes: Uint8Array): string | undefined {
  const start = new TextDecoder("latin1").decode(bytes.subarray(0, 200));
  return /^\s*<\?xml\s[^>]*?encoding\s*=\s*["']([\w.:-]+)["']/.exec(start)?.[1];
}

function markOf(bytes: Uint8Array): string | null {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  return bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? "utf-8" : null;
}

const PAGE = "the source answered an HTML page (a login page?): check the address and the watch's secret";

function isPage(body: string): boolean {
  return /^(?:<!--[^>]*-->\s*)?<(?:!doctype\s+html|html|head|body|script|div|title|meta)\b/i.test(body);
}

function markupInstead(wanted: string): string {
  return `the source answered XML instead of ${wanted}: set "format" to "xml", if that is what it gives`;
}

/**
 * What failed, as it is told: a source's own words, which may be long and hold what Postgres does not store, with the
 * credential that they may say back taken out.
 */
export function toldProblem(problem: string, redact: ((text: string) => string) | undefined): string {
  // Cut afterwards, or the start of a secret could stand at the end.
  const told = redact ? redact(problem) : problem;
  return sanitiseText(told.length <= MOST_TOLD_CHARS ? told : `${told.slice(0, MOST_TOLD_CHARS)}…`);
}

const MOST_TOLD_CHARS = 500;

/** GraphQL answers 200 when it refuses: `errors` and no `data` (specification, section 7.1). */
function graphqlRefusal(document: Json): string | null {
  if (!isObject(document) || !("errors" in document)) return null;
  const { errors, data } = document;
  if (!Array.isArray(errors) || errors.length === 0 || (data !== undefined && data !== null)) return null;
  if (Object.keys(document).some((key) => !["errors", "data", "extensions"].includes(key))) return null;
  const [first] = errors;
  const message =
    typeof first === "object" && first !== null && "message" in first ? String(first.message) : "no message";
  return `the source answered errors and no data: ${message}`;
}

function isObject(document: Json): document is JsonObject {
  return typeof document === "object" && document !== null && !Array.isArray(document);
}
