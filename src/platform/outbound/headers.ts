import { ACCEPT_ENCODING } from "./body.ts";
import type { OutboundFault } from "./faults.ts";

const MAX_RESPONSE_CHARS = 64 * 1024;
const METHODS = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

// RFC 9110, section 5.6.2 and 5.5: what a name and a value consist of. CR and LF are what must never get through.
const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

// They describe the connection or the framing of this very request, which are not the user's to describe.
const OWN = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "upgrade",
  "expect",
]);

/** What is wrong with request headers, as a sentence, or null. Values are never quoted: they may be secrets. */
export function checkHeaders(headers: Readonly<Record<string, string>>): string | null {
  for (const name in headers) {
    if (!NAME.test(name)) return `${JSON.stringify(name.slice(0, 100))} is not a header name.`;
    if (OWN.has(name.toLowerCase())) return `The header "${name}" is set by DeltaHook itself. Take it out.`;
    if (!VALUE.test(headers[name] ?? "")) {
      return `The value of the header "${name}" has a line break, a control character or a character beyond Latin-1. Take it out.`;
    }
  }
  return null;
}

/** What is wrong with a request's method, headers or body, or null. */
export function requestFault(r: {
  method: string;
  headers: Readonly<Record<string, string>>;
  body?: string | Uint8Array;
}): OutboundFault | null {
  if (!METHODS.has(r.method)) {
    return { kind: "protocol", message: `The method must be one of ${[...METHODS].join(", ")}, in capitals.` };
  }
  if (r.body !== undefined && r.body.length > 0 && (r.method === "GET" || r.method === "HEAD")) {
    return { kind: "protocol", message: `A ${r.method} request cannot carry a body (fetch standard). Use POST.` };
  }
  const message = checkHeaders(r.headers);
  return message === null ? null : { kind: "protocol", message };
}

/** The headers that are sent: the user's (checked before), ours, and the host that the URL names. */
export function outgoingHeaders(headers: Readonly<Record<string, string>>, host: string): Record<string, string> {
  const sent: Record<string, string> = { host };
  let chosen = false;
  for (const name in headers) {
    sent[name] = headers[name] ?? "";
    chosen ||= name.length === 15 && name.toLowerCase() === "accept-encoding";
  }
  if (!chosen) sent["accept-encoding"] = ACCEPT_ENCODING;
  return sent;
}

/** The headers of a reply: lower-case names, repeated ones joined by ", ", or a fault when they exceed 64 KiB. */
export function responseHeaders(headers: Headers, host: string): { fields: Record<string, string> } | OutboundFault {
  const fields: Record<string, string> = {};
  let chars = 0;
  headers.forEach((value, name) => {
    chars += name.length + value.length;
    const earlier = fields[name];
    fields[name] = earlier === undefined ? value : `${earlier}, ${value}`;
  });
  if (chars <= MAX_RESPONSE_CHARS) return { fields };
  return { kind: "protocol", message: `${host} answered with more than ${MAX_RESPONSE_CHARS / 1024} KiB of headers.` };
}
