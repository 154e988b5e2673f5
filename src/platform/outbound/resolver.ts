import { lookup } from "node:dns/promises";
import { type AllowedNetworks, parseAddress } from "../addresses.ts";
import { messageOf } from "../errors.ts";
import { codeOf, type OutboundFault } from "./faults.ts";
import { addressFault, inUrl, type Target } from "./target.ts";

const FOUND_MS = 5_000;
const NOT_FOUND_MS = 1_000;
const AVOID_MS = 60_000;
const MAX_ENTRIES = 10_000;

export type Resolver = {
  /** Checked addresses to connect to, in order; a promise only when a look-up is needed. Never rejects. */
  resolve(target: Target): Checked | Promise<Checked>;
  /** An address that could not be reached is tried last for a minute. */
  avoid(address: string): void;
};

export type Checked = readonly string[] | OutboundFault;

/**
 * Looks names up and checks every address found: one forbidden address refuses the name, so an answer cannot hide a
 * private address among public ones. The addresses returned are the ones to connect to; nothing looks them up again,
 * which is what makes DNS rebinding harmless. Answers are kept for a few seconds and concurrent look-ups are shared.
 */
export function createResolver(allowed: AllowedNetworks, lookUp: (host: string) => Promise<string[]>): Resolver {
  const entries = new Map<string, { untilMs: number; checked: Checked | Promise<Checked> }>();
  const avoided = new Map<string, number>();

  function resolve(target: Target): Checked | Promise<Checked> {
    if (target.addresses) return target.addresses;
    const key = `${target.hostname}:${target.port}`;
    const entry = entries.get(key);
    if (entry && entry.untilMs > performance.now()) return entry.checked;
    const pending = lookUpAndCheck(target).then((checked) => {
      remember(entries, key, { untilMs: performance.now() + ("kind" in checked ? NOT_FOUND_MS : FOUND_MS), checked });
      return checked;
    });
    remember(entries, key, { untilMs: Number.POSITIVE_INFINITY, checked: pending });
    return pending;
  }

  async function lookUpAndCheck({ hostname, port }: Target): Promise<Checked> {
    let found: string[];
    try {
      found = await lookUp(hostname);
    } catch (error) {
      return { kind: "dns", message: lookupSentence(hostname, error) };
    }
    const addresses: string[] = [];
    for (const text of found) {
      const address = parseAddress(text);
      if (!address) return { kind: "dns", message: `The name server gave "${text}" for ${hostname}: not an address.` };
      const fault = addressFault(address, hostname, port, allowed);
      if (fault) return fault;
      addresses.push(inUrl(address));
    }
    if (addresses.length === 0) return { kind: "dns", message: `${hostname} has no address. Check the host name.` };
    return addresses.sort((a, b) => Number(isAvoided(a)) - Number(isAvoided(b)));
  }

  function isAvoided(address: string): boolean {
    return (avoided.get(address) ?? 0) > performance.now();
  }

  return { resolve, avoid: (address) => remember(avoided, address, performance.now() + AVOID_MS) };
}

/** The system's resolver: hosts file, search domains and name servers as the machine has them. */
export async function systemLookUp(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

function remember<T>(map: Map<string, T>, key: string, value: T): void {
  map.delete(key);
  const [oldest] = map.size >= MAX_ENTRIES ? map.keys() : [];
  if (oldest !== undefined) map.delete(oldest);
  map.set(key, value);
}

function lookupSentence(hostname: string, error: unknown): string {
  const code = codeOf(error).replace(/^DNS_/, "");
  if (code === "ENOTFOUND" || code === "ENODATA")
    return `${hostname} is not known to DNS (${code}). Check the host name.`;
  return `${hostname} could not be looked up (${code || messageOf(error)}). Is the name server reachable?`;
}
