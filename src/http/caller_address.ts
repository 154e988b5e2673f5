import { parseAddress, specialRange } from "../platform/addresses.ts";

/**
 * The address of who is asking. An https address in PUBLIC_URL means that a proxy stands in front (we speak plain http
 * only): then the last entry of X-Forwarded-For, which is the proxy's own, counts, provided that the request does come
 * from a private address. Any other entry could have been written by the caller.
 */
export function callerAddress(peer: string, forwardedFor: string | null, behindProxy: boolean): string {
  const direct = peer.replace(/^::ffff:(?=\d+\.)/i, "");
  if (!behindProxy || forwardedFor === null || !isPrivate(direct)) return direct;
  const last = forwardedFor.split(",").at(-1)?.trim() ?? "";
  return parseAddress(last) ? last : direct;
}

function isPrivate(address: string): boolean {
  const parsed = parseAddress(address);
  return parsed !== null && specialRange(parsed) !== null;
}
