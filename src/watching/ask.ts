import { AppError } from "../platform/errors.ts";
import type { Json } from "../platform/json.ts";
import type { Outbound, OutboundResult } from "../platform/outbound.ts";
import type { ReadyCredential } from "../vault/credentials.ts";
import { TokenRefused } from "../vault/oauth.ts";
import type { Vault } from "../vault/vault.ts";
import type { Credentials } from "./credentials.ts";
import { countItems, nextPage } from "./pages.ts";
import { type RawReply, type ReplyProblem, readReply } from "./reply.ts";
import { onPage, type ReadyRequest, readyRequest } from "./request.ts";
import type { KnownWatch } from "./watch_cache.ts";

/** Why there is no document. `problem` names cause and remedy and carries no secret. */
export type Failure = { about: ReplyProblem | "network"; problem: string };

export type Answer = OutboundResult & { ok: true };

/** The first page as it came, or why it did not; `aborted` by our own signal, which says nothing about the source. */
export type Asked =
  | { kind: "answer"; answer: Answer; ready: ReadyRequest }
  | { kind: "failed"; failure: Failure; status: number | null; ms: number }
  | { kind: "aborted" };

/** All pages of a reply. `complete`: the walk reached the last one. */
export type Pages = { kind: "pages"; morePages: Json[]; complete: boolean; bytes: number; ms: number };

export type Asker = {
  /** Sends a watch's request; once more with a new token when the first one was refused. */
  first(ask: {
    watch: KnownWatch;
    secret: { id: string; revision: number | null } | null;
    conditions: Readonly<Record<string, string>> | null;
    signal: AbortSignal;
  }): Promise<Asked>;
  /** Walks on from the first page of a watch with pagination. */
  rest(walk: {
    watch: KnownWatch;
    ready: ReadyRequest;
    first: { document: Json; headers: Readonly<Record<string, string>>; ms: number };
    signal: AbortSignal;
  }): Promise<Pages | Exclude<Asked, { kind: "answer" }>>;
};

const REDIRECTS = 5;

export function createAsker(deps: {
  outbound: Outbound;
  vault: Vault;
  credentials: Credentials;
  timeoutMs: number;
  maxBytes: number;
}): Asker {
  const { outbound, vault, credentials, timeoutMs, maxBytes } = deps;

  const first: Asker["first"] = async ({ watch, secret, conditions, signal }) => {
    let ready = watch.ready;
    try {
      if (!ready || secret) ready = await authorise(watch, secret);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      const about = error instanceof TokenRefused ? "auth" : "network";
      return { kind: "failed", failure: { about, problem: error.message }, status: null, ms: 0 };
    }
    const result = await send(watch, ready, conditions, timeoutMs, signal);
    if (!result.ok || result.status !== 401 || !secret || !ready.credential) return asked(result, ready);
    if (!(await credentials.refused(secret.id, ready.credential))) return asked(result, ready);
    watch.ready = null;
    const again = await authorise(watch, secret).catch(() => null);
    if (!again) return asked(result, ready);
    return asked(await send(watch, again, conditions, timeoutMs - result.ms, signal), again);
  };

  async function authorise(watch: KnownWatch, secret: { id: string; revision: number | null } | null) {
    let credential: ReadyCredential | null = null;
    if (secret) {
      const opened = credentials.ready(secret.id, secret.revision);
      credential = opened instanceof Promise ? await opened : opened;
    }
    if (watch.ready?.credential === credential) return watch.ready;
    watch.ready = await readyRequest(vault, watch.id, watch.request, credential);
    return watch.ready;
  }

  const rest: Asker["rest"] = async ({ watch, ready, first: begun, signal }) => {
    const { pagination } = watch.input;
    const { items } = watch.compiled;
    const morePages: Json[] = [];
    let bytes = 0;
    let ms = begun.ms;
    if (!pagination || !items) return { kind: "pages", morePages, complete: true, bytes, ms };
    const seen = new Set([watch.request.url]);
    let page = { url: watch.request.url, number: 0, document: begun.document, headers: begun.headers };
    for (;;) {
      const next = nextPage(pagination, { ...page, count: countItems(items, page.document) });
      if (next === null) return { kind: "pages", morePages, complete: true, bytes, ms };
      const stop = typeof next !== "string" ? next.problem : seen.has(next) ? "its link leads back to a page that was read" : null;
      if (stop !== null) return failed(`page ${page.number + 1}: ${stop}`, ms);
      if (page.number + 1 >= pagination.max_pages) return { kind: "pages", morePages, complete: false, bytes, ms };
      if (ms >= timeoutMs) return failed(`after ${page.number + 1} pages the time for one poll was over`, ms);
      const url = next as string;
      seen.add(url);
      const result = await send(watch, onPage(ready, url), null, timeoutMs - ms, signal);
      const got = asked(result, ready);
      if (got.kind !== "answer") return got;
      ms += got.answer.ms;
      bytes += got.answer.body.byteLength;
      if (bytes > maxBytes * 4) return failed(`the pages together are larger than ${maxBytes * 4} bytes`, ms);
      const reply = readReply(rawReply(got.answer));
      if (reply.kind === "failed") {
        const failure = { about: reply.about, problem: `page ${page.number + 2}: ${reply.problem}` };
        return { kind: "failed", failure, status: got.answer.status, ms };
      }
      if (reply.kind === "not_modified") return failed(`page ${page.number + 2}: the source answered 304 unasked`, ms);
      morePages.push(reply.document);
      page = { url, number: page.number + 1, document: reply.document, headers: got.answer.headers };
    }
  };

  function send(
    { request }: KnownWatch,
    ready: ReadyRequest,
    conditions: Readonly<Record<string, string>> | null,
    leftMs: number,
    signal: AbortSignal,
  ): Promise<OutboundResult> {
    const call = {
      method: request.method,
      url: ready.url,
      headers: conditions ? { ...ready.headers, ...conditions } : ready.headers,
      timeoutMs: leftMs,
      maxBytes,
      oversize: "fail" as const,
      redirects: REDIRECTS,
      secretHeaders: ready.secretHeaders,
      signal,
    };
    return outbound.request(request.body === null ? call : { ...call, body: request.body });
  }

  return { first, rest };
}

/** The parts of an answer that make a document or not. */
export function rawReply({ status, headers, body }: Answer): RawReply {
  return { status, headers: headersOfType(headers["content-type"] ?? ""), bytes: body };
}

function asked(result: OutboundResult, ready: ReadyRequest): Asked {
  if (result.ok) return { kind: "answer", answer: result, ready };
  if (result.fault.kind === "aborted") return { kind: "aborted" };
  const failure: Failure = { about: "network", problem: ready.redact(result.fault.message) };
  return { kind: "failed", failure, status: result.status, ms: result.ms };
}

function failed(problem: string, ms: number): Extract<Asked, { kind: "failed" }> {
  return { kind: "failed", failure: { about: "body", problem }, status: null, ms };
}

/** Few content types make many replies. */
const headersByType = new Map<string, Headers>();

function headersOfType(type: string): Headers {
  const known = headersByType.get(type);
  if (known) return known;
  if (headersByType.size >= 1_000) headersByType.clear();
  const headers = new Headers({ "content-type": type });
  headersByType.set(type, headers);
  return headers;
}
