import type { Outbound, OutboundRequest, OutboundResult } from "../outbound.ts";

/** What one built-in address answers to a request at a time (milliseconds since 1970). Far shorter than any limit. */
export type Inside = (
  asked: OutboundRequest,
  now: number,
) => { status: number; headers: Record<string, string>; body: string };

/** What polls may read: an order that moves on by itself. */
export const SAMPLE: Readonly<Record<string, Inside>> = { "deltahook://sample": answerSample };

/** What deliveries may reach: one that takes everything, and one that takes nothing, to see retries. */
export const PLAY: Readonly<Record<string, Inside>> = {
  "deltahook://play": takeWebhook,
  "deltahook://play/fail": refuseWebhook,
};

const SCHEME = "deltahook:";
const STEP_MS = 5_000;
const STATUSES = ["pending", "paid", "shipped"] as const;

/**
 * The same door with built-in addresses behind it, which are answered in process, so that a first webhook needs no
 * opened network. Nothing else of their scheme is let through, and no server can redirect to them.
 */
export function withInside(door: Outbound, addresses: Readonly<Record<string, Inside>>, now: () => number): Outbound {
  return {
    async request(r) {
      // A watch may add parameters, which mean nothing here.
      const inside = find(addresses, r.url.split("?", 1)[0] ?? "");
      return inside ? answerInside(r, inside, now()) : door.request(r);
    },
    checkUrl(url) {
      if (find(addresses, url)) return null;
      if (!url.startsWith(SCHEME)) return door.checkUrl(url);
      return `There is no such built-in address here. Use ${Object.keys(addresses).join(" or ")}, or an https: URL.`;
    },
  };
}

function find(addresses: Readonly<Record<string, Inside>>, url: string): Inside | undefined {
  return Object.hasOwn(addresses, url) ? addresses[url] : undefined;
}

function answerInside(r: OutboundRequest, inside: Inside, now: number): OutboundResult {
  if (r.signal?.aborted) {
    const message = "The request was stopped, since DeltaHook is shutting down.";
    return { ok: false, fault: { kind: "aborted", message }, status: null, ms: 0 };
  }
  const { status, headers, body } = inside(r, now);
  return { ok: true, status, headers, body: new TextEncoder().encode(body), truncated: false, url: r.url, ms: 0 };
}

/** Its status changes every 5 seconds, its total with every third change; the same on every node at the same time. */
function answerSample({ method, headers }: OutboundRequest, now: number): ReturnType<Inside> {
  if (method !== "GET") return json(405, { error: "The sample is only read: use GET." }, { allow: "GET" });
  const step = Math.floor(now / STEP_MS);
  const round = Math.floor(step / STATUSES.length);
  const etag = `"${step}"`;
  if (header(headers, "if-none-match") === etag) return { status: 304, headers: { etag }, body: "" };
  const order = { id: 42, status: STATUSES[step % STATUSES.length], total: 19.5 + ((round * 37) % 80) };
  return json(200, { order, updated_at: new Date(step * STEP_MS).toISOString() }, { etag });
}

function takeWebhook(): ReturnType<Inside> {
  return json(200, { received: true });
}

function refuseWebhook(): ReturnType<Inside> {
  return json(500, { error: "This address fails on purpose, to show retries and dead letters." });
}

function json(status: number, value: unknown, headers: Record<string, string> = {}): ReturnType<Inside> {
  return { status, headers: { "content-type": "application/json", ...headers }, body: JSON.stringify(value) };
}

function header(headers: Record<string, string>, wanted: string): string | undefined {
  return Object.entries(headers).find(([name]) => name.toLowerCase() === wanted)?.[1];
}
