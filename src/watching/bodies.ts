import { type Json, parseJson, stringifyJson } from "../platform/json.ts";

/** What a poll read, as it is kept for backtests: the document, and those of further pages. */
export type Reading = { pages: readonly Json[]; complete: boolean };

/** A reading on its way into the database. */
export type KeptBody = {
  /** The poll's. */
  id: string;
  watchId: string;
  /** Of the watch; one that was changed meanwhile reads other bodies. */
  revision: number;
  /** How many are kept with this one. */
  keep: number;
  digest: number | bigint;
  text: string;
};

const MAX_COMPRESSED_BYTES = 1024 * 1024;

export function writeReading({ pages, complete }: Reading): string {
  return stringifyJson({ complete, pages });
}

/** @returns null when it is too large to keep. */
export async function compressBody(text: string): Promise<Uint8Array | null> {
  const body = await Bun.zstdCompress(text);
  return body.byteLength <= MAX_COMPRESSED_BYTES ? body : null;
}

export async function readBody(body: Uint8Array): Promise<Reading> {
  return parseJson(new TextDecoder().decode(await Bun.zstdDecompress(body))) as unknown as Reading;
}
