import { stringifyJson } from "../platform/json.ts";
import { VERSION } from "../platform/version.ts";
import {
  type AppliedCredential,
  applyCredential,
  headerSecrets,
  type ReadyCredential,
  redactor,
} from "../vault/credentials.ts";
import { openHeaders, type StoredHeaders } from "../vault/headers.ts";
import type { Vault } from "../vault/vault.ts";
import { firstPage } from "./pages.ts";
import type { StoredWatch } from "./stored_watch.ts";

/** A watch's request without its credential. */
export type PlainRequest = { method: string; url: string; headers: StoredHeaders; body: string | null };

/** A request as it is sent, with the credential that was put on it. */
export type ReadyRequest = AppliedCredential & {
  credential: ReadyCredential | null;
  /** Without the credential, for plugins that sign. */
  bare: { url: string; headers: Record<string, string> };
};

const USER_AGENT = `DeltaHook/${VERSION}`;
const ACCEPT = {
  json: "application/json",
  xml: "application/xml, text/xml;q=0.9, */*;q=0.5",
  csv: "text/csv, text/plain;q=0.9, */*;q=0.5",
};

/** URL with query and first page, default headers, body: all that needs no secret. A body that is text is sent as it is. */
export function plainRequest({ request, pagination, format }: StoredWatch): PlainRequest {
  const { method, body } = request;
  const headers: StoredHeaders = { accept: ACCEPT[format], "user-agent": USER_AGENT };
  if (body !== null) headers["content-type"] = typeof body === "string" ? "text/plain" : "application/json";
  for (const [name, value] of Object.entries(request.headers)) headers[name.toLowerCase()] = value;
  const url = urlOf(request);
  return {
    method,
    url: pagination ? firstPage(pagination, url) : url,
    headers,
    body: body === null || typeof body === "string" ? body : stringifyJson(body),
  };
}

/** Opens the sealed headers and puts the credential on. @throws AppError when a value cannot be opened. */
export async function readyRequest(
  vault: Vault,
  ownerId: string,
  plain: PlainRequest,
  credential: ReadyCredential | null,
): Promise<ReadyRequest> {
  const headers = await openHeaders(vault, ownerId, plain.headers);
  const sealed = Object.keys(plain.headers).filter((name) => typeof plain.headers[name] !== "string");
  const hide = redactor(sealed.flatMap((name) => headerSecrets(headers[name] ?? "")));
  const request = { url: plain.url, headers };
  if (!credential)
    return { ...request, secretHeaders: sealed, onlyHosts: null, redact: hide, credential, bare: request };
  const applied = applyCredential(credential, request);
  return {
    ...applied,
    secretHeaders: [...sealed, ...applied.secretHeaders],
    redact: (text) => applied.redact(hide(text)),
    credential,
    bare: request,
  };
}

/** The same request to another page of the same source. */
export function onPage(ready: ReadyRequest, url: string): ReadyRequest {
  const bare = { ...ready.bare, url };
  if (!ready.credential) return { ...ready, url, bare };
  return { ...ready, url: applyCredential(ready.credential, { url, headers: ready.headers }).url, bare };
}

/** The text of the URL is kept where nothing is added, since a source may care how it is spelt. */
function urlOf({ url, query }: StoredWatch["request"]): string {
  const parameters = Object.entries(query);
  if (parameters.length === 0) return url;
  const changed = new URL(url);
  for (const [name, value] of parameters) {
    changed.searchParams.delete(name);
    for (const each of Array.isArray(value) ? value : [value]) changed.searchParams.append(name, String(each));
  }
  return changed.href;
}
