import type { OutboundFault } from "./faults.ts";

/** One request of a chain of redirects: the parts that a redirect may change. */
export type Hop = {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string | Uint8Array | undefined;
};

const CREDENTIALS = ["authorization", "cookie", "proxy-authorization"];
const ABOUT_BODY = ["content-encoding", "content-language", "content-location", "content-type"];

/**
 * The request that a 3xx answer asks for next (fetch standard, "HTTP-redirect fetch"): POST becomes GET on 301 and
 * 302, everything but HEAD on 303, and credentials stay with the origin they were meant for.
 * @returns null when the answer is no redirect, or names no place to go to.
 */
export function nextHop(
  hop: Hop,
  from: URL,
  answer: { status: number; location: string | null },
  secretHeaders: readonly string[],
): Hop | OutboundFault | null {
  const { status, location } = answer;
  if (location === null || ![301, 302, 303, 307, 308].includes(status)) return null;
  const to = URL.parse(location, from.href);
  if (!to) return { kind: "invalid_url", message: `${from.host} redirects to something that is not a URL.` };
  if (from.protocol === "https:" && to.protocol === "http:") {
    const message = `${from.host} redirects from https to http (${to.host}), which would send the request in the clear. Use the address it should go to.`;
    return { kind: "blocked", message };
  }
  const becomesGet = status === 303 ? hop.method !== "HEAD" : status <= 302 && hop.method === "POST";
  const dropped = [
    ...(to.origin === from.origin ? [] : [...CREDENTIALS, ...secretHeaders.map((name) => name.toLowerCase())]),
    ...(becomesGet ? ABOUT_BODY : []),
  ];
  return {
    method: becomesGet ? "GET" : hop.method,
    url: to.href,
    headers: Object.fromEntries(Object.entries(hop.headers).filter(([name]) => !dropped.includes(name.toLowerCase()))),
    body: becomesGet ? undefined : hop.body,
  };
}
