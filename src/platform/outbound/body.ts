import type { Readable } from "node:stream";
import {
  brotliDecompressSync,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  gunzipSync,
  inflateRawSync,
  inflateSync,
} from "node:zlib";
import { codeOf, type OutboundFault } from "./faults.ts";

export type Body = { bytes: Uint8Array; truncated: boolean };
export type BodyLimit = { maxBytes: number; oversize: "fail" | "truncate"; host: string };

/** What `readBody` can decode; unknown codings are handed on as they came, as browsers do. */
export const ACCEPT_ENCODING = "gzip, deflate, br";

/**
 * Reads at most `maxBytes` of a reply, decoded. We decode ourselves because `fetch` has no cap on it: a small gzip bomb
 * cost it over 100 MB, and hundreds of replies are read at once. Errors of the connection reject.
 */
export async function readBody(response: Response, limit: BodyLimit): Promise<Body | OutboundFault> {
  const coding = codingOf(response.headers.get("content-encoding"));
  const length = Number(response.headers.get("content-length") ?? Number.NaN);
  if (!coding && length <= limit.maxBytes)
    return { bytes: new Uint8Array(await response.arrayBuffer()), truncated: false };

  // No coding makes data this much longer, so a coded body beyond it is too large when decoded as well.
  const maxWireBytes = coding ? limit.maxBytes + 1024 : limit.maxBytes;
  if (length > maxWireBytes && limit.oversize === "fail" && response.body) {
    await discard(response.body);
    return tooLarge(limit);
  }
  const wire = await readWire(response, maxWireBytes);
  if (wire.truncated && limit.oversize === "fail") return tooLarge(limit);
  if (!coding || wire.bytes.length === 0) return wire;
  const decoded = await decode(wire, coding, limit);
  return "bytes" in decoded && decoded.truncated && limit.oversize === "fail" ? tooLarge(limit) : decoded;
}

/** The first `maxBytes` of the stream; the rest is neither read nor kept. */
async function readWire(response: Response, maxBytes: number): Promise<Body> {
  if (!response.body) return { bytes: new Uint8Array(), truncated: false };
  const reader = response.body.getReader();
  const chunks: Uint8Array[] = [];
  for (let total = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return { bytes: join(chunks), truncated: false };
    chunks.push(value);
    total += value.length;
    if (total > maxBytes) {
      await discard(reader);
      return { bytes: join(chunks).slice(0, maxBytes), truncated: true };
    }
  }
}

/** Stops reading, which closes the connection; that it may be broken already is of no interest any more. */
export async function discard(body: { cancel(): Promise<void> } | null): Promise<void> {
  await body?.cancel().catch(() => {});
}

type Coding = "gzip" | "deflate" | "br";

function codingOf(header: string | null): Coding | null {
  const coding = header?.trim().toLowerCase();
  if (coding === "gzip" || coding === "x-gzip") return "gzip";
  return coding === "deflate" || coding === "br" ? coding : null;
}

const SMALL_BYTES = 64 * 1024;

async function decode(wire: Body, coding: Coding, limit: BodyLimit): Promise<Body | OutboundFault> {
  const decoder = DECODERS[coding](wire.bytes);
  try {
    if (!wire.truncated && wire.bytes.length <= SMALL_BYTES) {
      return { bytes: decoder.sync(wire.bytes, { maxOutputLength: Math.max(1, limit.maxBytes) }), truncated: false };
    }
  } catch (error) {
    if (codeOf(error) !== "ERR_BUFFER_TOO_LARGE") return undecodable(coding, limit);
    if (limit.oversize === "fail") return tooLarge(limit);
  }
  return decodeStart(wire, coding, decoder.stream(), limit);
}

/** Decodes off the main thread, and no further than `maxBytes`. */
async function decodeStart(
  wire: Body,
  coding: Coding,
  stream: Readable & { end(bytes: Uint8Array): unknown },
  limit: BodyLimit,
): Promise<Body | OutboundFault> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  try {
    stream.end(wire.bytes);
    for await (const chunk of stream) {
      chunks.push(chunk);
      total += chunk.length;
      if (total > limit.maxBytes) return { bytes: join(chunks).slice(0, limit.maxBytes), truncated: true };
    }
  } catch {
    // Input that we ourselves cut off ends too early by nature.
    if (!wire.truncated) return undecodable(coding, limit);
  }
  return { bytes: join(chunks), truncated: wire.truncated };
}

const DECODERS = {
  gzip: () => ({ sync: gunzipSync, stream: createGunzip }),
  br: () => ({ sync: brotliDecompressSync, stream: createBrotliDecompress }),
  // "deflate" means the zlib format (RFC 9110, 8.4.1.2), yet some servers send it bare: zlib's first byte ends in 8.
  deflate: (bytes: Uint8Array) =>
    ((bytes[0] ?? 0) & 0x0f) === 8
      ? { sync: inflateSync, stream: createInflate }
      : { sync: inflateRawSync, stream: createInflateRaw },
};

function join(chunks: readonly Uint8Array[]): Uint8Array {
  const [first] = chunks;
  return first && chunks.length === 1 ? first : Buffer.concat(chunks);
}

function tooLarge({ host, maxBytes }: BodyLimit): OutboundFault {
  return { kind: "too_large", message: `The answer of ${host} is larger than the ${maxBytes} bytes that are allowed.` };
}

function undecodable(coding: Coding, { host }: BodyLimit): OutboundFault {
  return {
    kind: "protocol",
    message: `The answer of ${host} says that it is ${coding}-encoded, but cannot be decoded.`,
  };
}
