import type { Json } from "../platform/json.ts";
import { parsed, type WatchPlugins } from "./hooks.ts";
import { countItems, nextPage, type Page } from "./pages.ts";
import { readReply } from "./reply.ts";
import { onPage, type ReadyRequest } from "./request.ts";
import type { Answer, Failure, SecretRef, Sender } from "./send.ts";
import type { KnownWatch } from "./watch_cache.ts";

/** What a watch's source says now. `bytes` are those of all pages, decoded. */
export type Asked =
  | {
      kind: "document";
      answer: Answer;
      document: Json;
      morePages: Json[];
      complete: boolean;
      bytes: number;
      /** Of the bodies of all pages. */
      body: Body;
    }
  | { kind: "not_modified"; answer: Answer; bytes: number }
  /** The very body that is known to change nothing. */
  | { kind: "same_body"; answer: Answer; bytes: number }
  | { kind: "failed"; failure: Failure; status: number | null; answer: Answer | null }
  | { kind: "aborted" };

/** What a source said, or why it said nothing of use. */
export type Answered = Exclude<Asked, { kind: "aborted" }>;

/** Stands for a body that was read: equal bodies have equal values. */
export type Body = number | bigint;

export type Ask = {
  watch: KnownWatch;
  secret: SecretRef | null;
  /** Conditional headers; a 304 without them is a fault. */
  conditions: Readonly<Record<string, string>> | null;
  /** A body that need not be parsed. */
  quietBody: Body | null;
  signal: AbortSignal;
};

/** All pages together may be this many times as large as one reply. */
const PAGES_FACTOR = 4;

/** Asks a watch's source: sends the request, walks the pages, and reads each reply. */
export function createAsk(deps: {
  sender: Sender;
  plugins: WatchPlugins;
  timeoutMs: number;
  maxBytes: number;
}): (ask: Ask) => Promise<Asked> {
  const { sender, plugins, timeoutMs, maxBytes } = deps;

  async function ask({ watch, secret, conditions, quietBody, signal }: Ask): Promise<Asked> {
    const sent = await sender.send(watch, secret, { conditions, timeoutMs, signal });
    if (sent.kind === "aborted") return sent;
    if (sent.kind === "failed") return { ...sent, answer: null };
    const { answer, ready } = sent;
    const bytes = answer.body.byteLength;
    const isPaged = watch.input.pagination !== null;
    const body = hashOf(watch, answer);
    if (quietBody !== null && body === quietBody && answer.status === 200) return { kind: "same_body", answer, bytes };
    const parsing = watch.use && parsed(plugins, watch.use, answer, signal);
    const reply = parsing ? await parsing : readAnswer(watch, answer);
    if (reply.kind === "aborted") return reply;
    if (reply.kind === "failed") return { kind: "failed", failure: reply, status: answer.status, answer };
    if (reply.kind === "not_modified") {
      return conditions
        ? { kind: "not_modified", answer, bytes }
        : failed("the source answered 304 without having been asked for it", answer);
    }
    const { document } = reply;
    if (!isPaged) return { kind: "document", answer, document, morePages: [], complete: true, bytes, body };
    return walk({ watch, ready, answer, document, body, signal });
  }

  /** From the first page to the last, or as far as `max_pages`. The time is that of one poll. */
  async function walk(begun: {
    watch: KnownWatch;
    ready: ReadyRequest;
    answer: Answer;
    document: Json;
    body: Body;
    signal: AbortSignal;
  }): Promise<Asked> {
    const { watch, ready, answer, document, body, signal } = begun;
    const { input, compiled, request } = watch;
    const walked = { kind: "document" as const, answer, document, morePages: [] as Json[], body };
    const seen = new Set([request.url]);
    let bytes = answer.body.byteLength;
    let leftMs = timeoutMs - answer.ms;
    let page: Page = { url: request.url, number: 0, document, headers: answer.headers, count: 0 };
    for (;;) {
      page.count = compiled.items ? countItems(compiled.items, page.document) : 0;
      const next = input.pagination ? nextPage(input.pagination, page) : null;
      if (next === null) return { ...walked, complete: true, bytes };
      if (typeof next !== "string") return failed(`page ${page.number + 1}: ${next.problem}`, answer);
      if (seen.has(next)) return failed(`page ${page.number + 1} leads back to a page that was read already`, answer);
      if (page.number + 1 >= (input.pagination?.max_pages ?? 1)) return { ...walked, complete: false, bytes };
      if (leftMs <= 0)
        return failed(`after ${page.number + 1} pages the time for one poll was over: raise POLL_TIMEOUT`, answer);
      seen.add(next);

      const sent = await sender.sendReady(watch, onPage(ready, next), { conditions: null, timeoutMs: leftMs, signal });
      if (sent.kind === "aborted") return sent;
      if (sent.kind === "failed") return { ...sent, answer };
      leftMs -= sent.answer.ms;
      bytes += sent.answer.body.byteLength;
      if (bytes > maxBytes * PAGES_FACTOR)
        return failed(`the pages together have more than ${maxBytes * PAGES_FACTOR} bytes`, answer);
      const parsing = watch.use && parsed(plugins, watch.use, sent.answer, signal);
      const reply = parsing ? await parsing : readAnswer(watch, sent.answer);
      if (reply.kind === "aborted") return reply;
      if (reply.kind !== "document") {
        const { about, problem } =
          reply.kind === "failed" ? reply : { about: "body" as const, problem: "304, unasked" };
        return {
          kind: "failed",
          failure: { about, problem: `page ${page.number + 2}: ${problem}` },
          status: sent.answer.status,
          answer: sent.answer,
        };
      }
      walked.morePages.push(reply.document);
      walked.body = Bun.hash(sent.answer.body, BigInt(walked.body));
      page = { url: next, number: page.number + 1, document: reply.document, headers: sent.answer.headers, count: 0 };
    }
  }

  /** Another version of a plugin may make something else of the same body. */
  function hashOf({ use }: KnownWatch, { body }: Answer): Body {
    return use ? Bun.hash(body, BigInt(Bun.hash(plugins.versionOf(use.names)))) : Bun.hash(body);
  }

  return ask;
}

function readAnswer({ compiled }: KnownWatch, { status, headers, body }: Answer) {
  return readReply({ status, contentType: headers["content-type"] ?? "", bytes: body }, compiled.format);
}

function failed(problem: string, answer: Answer): Asked {
  return { kind: "failed", failure: { about: "body", problem }, status: answer.status, answer };
}
