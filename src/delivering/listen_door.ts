import type { Sql } from "../platform/database.ts";
import { formatDuration } from "../platform/durations.ts";
import type { Log } from "../platform/log.ts";
import {
  checkHeaders,
  type Outbound,
  type OutboundFault,
  type OutboundRequest,
  type OutboundResult,
} from "../platform/outbound.ts";
import { createLook } from "./listen_look.ts";
import { deleteRequest, type ListenAnswer, putRequest, takeAnswers } from "./listen_store.ts";

const ADDRESS = "deltahook://listen/";

/** What a listener's request may end with, besides its answer. */
type End = { answer: ListenAnswer } | { fault: OutboundFault };
type Wait = { put(): Promise<boolean>; end(end: End): void };

/** The address of a listener. No user can give it: `checkUrl` of the door knows nothing of it. */
export function listenerUrl(endpointId: string): string {
  return ADDRESS + endpointId;
}

/**
 * The same door with listeners behind it: a request to one is put into the database, where the node that holds its
 * stream finds it, and whichever node is given the answer leaves it.
 */
export function withListeners(door: Outbound, { sql, log }: { sql: Sql; log: Log }): Outbound {
  const waiting = new Map<string, Wait>();
  const begin = createLook({ name: "the look for answers of listeners", log, wanted: () => waiting.size > 0, look });

  async function look(): Promise<void> {
    for (const { id, answer } of await takeAnswers(sql, [...waiting.keys()])) {
      const wait = waiting.get(id);
      if (!wait) continue;
      if (answer) wait.end({ answer });
      // A crash of Postgres empties the table; else it went together with its listener.
      else if (!(await wait.put())) wait.end({ fault: GONE });
    }
  }

  async function ask(endpointId: string, r: OutboundRequest): Promise<End> {
    const malformed = checkHeaders(r.headers);
    if (malformed !== null) return { fault: { kind: "protocol", message: malformed } };
    if (r.signal?.aborted) return { fault: STOPPED };
    const id = Bun.randomUUIDv7();
    const body = typeof r.body === "string" ? new TextEncoder().encode(r.body) : (r.body ?? new Uint8Array());
    const request = { id, endpointId, headers: r.headers, body, timeoutMs: r.timeoutMs };
    const put = () => putRequest(sql, request);
    if (!(await put())) return { fault: GONE };

    const ended = Promise.withResolvers<End>();
    const stop = () => ended.resolve({ fault: STOPPED });
    const timer = setTimeout(() => ended.resolve({ fault: timedOut(r.timeoutMs) }), r.timeoutMs);
    r.signal?.addEventListener("abort", stop, { once: true });
    if (r.signal?.aborted) stop(); // while it was put
    waiting.set(id, { put, end: ended.resolve });
    begin();
    try {
      const end = await ended.promise;
      // Where that fails its deadline ends it.
      if ("fault" in end) await deleteRequest(sql, id).catch(() => {});
      return end;
    } finally {
      waiting.delete(id);
      clearTimeout(timer);
      r.signal?.removeEventListener("abort", stop);
    }
  }

  return {
    async request(r) {
      if (!r.url.startsWith(ADDRESS)) return door.request(r);
      const startedAt = performance.now();
      const end = await ask(r.url.slice(ADDRESS.length), r);
      return resultOf(end, r, Math.round(performance.now() - startedAt));
    },
    checkUrl: (url) => door.checkUrl(url),
  };
}

function resultOf(end: End, { url, maxBytes }: OutboundRequest, ms: number): OutboundResult {
  if ("fault" in end) return { ok: false, fault: end.fault, status: null, ms };
  if ("error" in end.answer) {
    return { ok: false, fault: { kind: "connect", message: end.answer.error }, status: null, ms };
  }
  const { status, headers, body } = end.answer;
  const bytes = new TextEncoder().encode(body);
  const truncated = bytes.length > maxBytes;
  return { ok: true, status, headers, body: truncated ? bytes.subarray(0, maxBytes) : bytes, truncated, url, ms };
}

const GONE: OutboundFault = { kind: "connect", message: "Nobody listens here any more." };
const STOPPED: OutboundFault = {
  kind: "aborted",
  message: "The request was stopped, since DeltaHook is shutting down.",
};

function timedOut(timeoutMs: number): OutboundFault {
  const message = `Whoever listens did not answer within ${formatDuration(timeoutMs)}.`;
  return { kind: "timeout", message };
}
