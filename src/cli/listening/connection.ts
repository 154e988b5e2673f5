import { createParser, type EventSourceMessage } from "eventsource-parser";
import { AppError } from "../../platform/errors.ts";
import { ask, Passing, type Server } from "./server.ts";

/** The temporary endpoint, as the server tells it. */
export type Listener = { id: string; secret: string; event_types: string[]; filter: string | null };

/** One request to answer. */
export type Heard = { id: string; webhook_id: string; headers: Record<string, string>; body: string };

export type Following = {
  query: Record<string, string>;
  stop: AbortSignal;
  /** Connected, for the first time or again; it is another listener if the earlier one was given up meanwhile. */
  onReady(listener: Listener): void;
  onDelivery(heard: Heard, listener: Listener): void;
  /** The connection broke; the next try is made in `waitMs`. */
  onLost(reason: string, waitMs: number): void;
};

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 5_000;
/** The server says every 5 s that it is there. */
const SILENCE_MS = 20_000;

/**
 * Follows a listener over as many connections as it takes, until `stop`.
 * @throws AppError when the server refuses, or does not answer the first time
 */
export async function follow(server: Server, { query, stop, ...on }: Following): Promise<void> {
  let listener: Listener | null = null;
  let connected = false;
  let failures = 0;

  async function readOnce(): Promise<void> {
    const asked = new URLSearchParams(listener ? { listener: listener.id } : query);
    const quiet = new AbortController();
    const signal = AbortSignal.any([stop, quiet.signal]);
    const silence = setTimeout(() => quiet.abort(), SILENCE_MS);
    try {
      const response = await ask(server, { method: "GET", path: `/v1/listen?${asked}`, signal });
      if (!response.headers.get("content-type")?.startsWith("text/event-stream")) {
        throw new AppError("invalid", `${server.address} does not answer as DeltaHook does. Is the address right?`);
      }
      const parser = createParser({ onEvent: take });
      const decoder = new TextDecoder();
      for await (const part of response.body ?? []) {
        silence.refresh();
        parser.feed(decoder.decode(part, { stream: true }));
      }
    } catch (error) {
      if (error instanceof AppError) throw error;
      const reason = quiet.signal.aborted ? "it has fallen silent" : "the connection broke";
      throw new Passing(`${server.address}: ${reason}.`, error);
    } finally {
      clearTimeout(silence);
    }
  }

  function take({ event, data }: EventSourceMessage): void {
    if (event === "ready") {
      listener = (JSON.parse(data) as { listener: Listener }).listener;
      connected = true;
      failures = 0;
      on.onReady(listener);
    } else if (event === "delivery" && listener) {
      on.onDelivery(JSON.parse(data) as Heard, listener);
    }
  }

  while (!stop.aborted) {
    try {
      await readOnce();
      // A stream ends in order when the server wants to see the key again, or stops.
      await pause(FIRST_WAIT_MS, stop);
    } catch (error) {
      if (stop.aborted) return;
      if (listener && error instanceof AppError && error.code === "not_found") {
        listener = null;
        continue;
      }
      if (!(error instanceof Passing) || !connected) throw error;
      const waitMs = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures++);
      on.onLost(error.message, waitMs);
      await pause(waitMs, stop);
    }
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise.finally(() => clearTimeout(timer));
}
