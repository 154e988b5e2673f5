import { parseJson } from "../platform/json.ts";
import { maskHeaders, type StoredHeaders } from "../vault/headers.ts";
import { type CompiledWatch, compileWatch } from "./compile.ts";
import type { RequestInput } from "./request_input.ts";
import type { WatchInput } from "./watch.ts";

/** A watch as it lies in the database: the body that was accepted, its credential headers sealed. */
export type StoredWatch = Omit<WatchInput, "request"> & {
  request: Omit<RequestInput, "headers"> & { headers: StoredHeaders };
  /** The key by which redacted values are hashed: its own, so that equal values of two watches cannot be told. */
  redaction?: { sealed: string };
};

/** What a watch's own sealed key is sealed as. */
export const REDACTION = "redaction";

export function readDefinition(text: string): StoredWatch {
  return parseJson(text) as unknown as StoredWatch;
}

/** The body as the API shows it: no value of a credential. */
export function shownWatch({ redaction: _, ...stored }: StoredWatch): WatchInput {
  return { ...stored, request: { ...stored.request, headers: maskHeaders(stored.request.headers) } };
}

/** Another value of a credential, or the same one sealed anew, is no other request: it takes no new reference. */
export function compileStored(stored: StoredWatch): CompiledWatch {
  return compileWatch(shownWatch(stored));
}
