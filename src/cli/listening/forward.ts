import { parseAllowedNetworks } from "../../platform/addresses.ts";
import { createOutbound } from "../../platform/outbound.ts";
import { usage } from "../failure.ts";
import type { Heard } from "./connection.ts";

/** What came of a request: an answer as the server takes it, or why there is none. */
export type Forwarded = { status: number; headers: Record<string, string>; body: string } | { error: string };

export type Forward = {
  /** Where to; null: each request is answered with 200, here. */
  to: string | null;
  send(heard: Heard): Promise<Forwarded>;
};

/** The server waits for 30 s. */
const TIMEOUT_MS = 28_000;
// What the server takes of an answer.
const MOST_BODY_BYTES = 16_384;
const MOST_HEADERS = 100;
const MOST_HEADER_CHARS = 4_000;
const MOST_ERROR_CHARS = 500;

/**
 * Sends requests on as they are: the same bytes, the same headers. All networks are open to it, since it is the user's
 * own machine that asks, at an address that the user gave.
 */
export function createForward(to: string | undefined): Forward {
  if (to === undefined) return { to: null, send: async () => ({ status: 200, headers: {}, body: "" }) };
  const door = createOutbound({ allowedNetworks: parseAllowedNetworks(["0.0.0.0/0", "::/0"]) });
  const fault = door.checkUrl(to);
  if (fault) throw usage(`--forward-to ${to}: ${fault}`);

  return {
    to,
    async send({ headers, body }) {
      const result = await door.request({
        method: "POST",
        url: to,
        headers,
        body,
        timeoutMs: TIMEOUT_MS,
        maxBytes: MOST_BODY_BYTES,
        oversize: "truncate",
      });
      if (!result.ok) return { error: oneLine(result.fault.message).slice(0, MOST_ERROR_CHARS) };
      const kept = Object.entries(result.headers).filter(([, value]) => value.length <= MOST_HEADER_CHARS);
      return {
        status: result.status,
        headers: Object.fromEntries(kept.slice(0, MOST_HEADERS)),
        body: new TextDecoder().decode(result.body),
      };
    },
  };
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cs}]+/gu, " ");
}
