import {
  type Address,
  type AllowedNetworks,
  allowsAddress,
  allowsHost,
  parseAddress,
  specialRange,
} from "../addresses.ts";
import type { OutboundFault } from "./faults.ts";

/** A URL that passed every check that needs no look-up, taken apart for a request to a pinned address. */
export type Target = {
  url: URL;
  /** `example.com` or `example.com:8443`: the Host header, and the name used in messages. */
  host: string;
  /** Lower case, without brackets and without the trailing dot. */
  hostname: string;
  port: number;
  /** Addresses known without a look-up, as they stand in a URL (`[::1]`), or null for a name to be resolved. */
  addresses: readonly string[] | null;
  /** What precedes and follows the address in the URL that is fetched. */
  prefix: string;
  suffix: string;
  tls: { serverName?: string; rejectUnauthorized: true } | undefined;
};

/** Reads a URL and checks scheme, credentials, port and a literal address. Pure. */
export function parseTarget(text: string, allowed: AllowedNetworks): Target | OutboundFault {
  const url = URL.parse(text);
  if (!url) {
    return badUrl(`"${clip(text)}" is not a URL. Write the whole address, such as https://example.com/hooks.`);
  }
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    return badUrl(`"${clip(url.protocol)}" addresses cannot be called. Use an https: or http: URL.`);
  }
  if (url.username !== "" || url.password !== "") {
    return badUrl("The URL carries a user name or password. Take them out, and keep them as a secret in the vault.");
  }
  const secure = url.protocol === "https:";
  const port = url.port === "" ? (secure ? 443 : 80) : Number(url.port);
  if (BAD_PORTS.has(port)) {
    return badUrl(
      `Port ${port} belongs to another protocol (fetch standard, "bad port"). Use a port that serves HTTP.`,
    );
  }
  const bare = url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
  const hostname = bare.endsWith(".") ? bare.slice(0, -1) : bare;
  const address = parseAddress(hostname);
  if (!address && !isHostName(hostname)) return badUrl(`"${clip(hostname)}" is not a host name.`);

  const addresses = address ? [address] : isLoopbackName(hostname) ? LOOPBACK : null;
  const open = addresses?.filter((one) => addressFault(one, hostname, port, allowed) === null) ?? null;
  const [first] = addresses ?? [];
  if (first && open?.length === 0) {
    return addressFault(first, hostname, port, allowed) ?? badUrl(`${hostname} cannot be used.`);
  }
  const portSuffix = url.port === "" ? "" : `:${url.port}`;
  return {
    url,
    host: `${url.hostname.startsWith("[") ? url.hostname : hostname}${portSuffix}`,
    hostname,
    port,
    addresses: open?.map(inUrl) ?? null,
    prefix: `${url.protocol}//`,
    suffix: `${portSuffix}${url.pathname}${url.search}`,
    // Explicit, since NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment would otherwise turn verification off.
    tls: secure ? { ...(address ? {} : { serverName: hostname }), rejectUnauthorized: true } : undefined,
  };
}

/** The fault of connecting to `address` for `hostname`, or null when it is public or allowed. */
export function addressFault(
  address: Address,
  hostname: string,
  port: number,
  allowed: AllowedNetworks,
): OutboundFault | null {
  const special = specialRange(address);
  if (!special || allowsHost(allowed, hostname, port) || allowsAddress(allowed, address, port)) return null;
  const text = address.toString();
  const from = parseAddress(hostname) ? "" : ` (from ${clip(hostname)})`;
  return {
    kind: "blocked",
    message: `${text}${from} is ${special.name} (${special.cidr}, ${special.source}). To allow it, add it to ALLOWED_NETWORKS.`,
  };
}

/** An address as it stands in a URL. */
export function inUrl(address: Address): string {
  return address.kind() === "ipv6" ? `[${address.toString()}]` : address.toString();
}

function badUrl(message: string): OutboundFault {
  return { kind: "invalid_url", message };
}

function clip(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text;
}

function isHostName(name: string): boolean {
  return name.length <= 253 && name.split(".").every((label) => label.length > 0 && label.length <= 63);
}

/** RFC 6761, section 6.3: these names are loopback by definition and must not be asked of a name server. */
function isLoopbackName(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost");
}

const LOOPBACK = ["127.0.0.1", "::1"].map(parseAddress).filter((address) => address !== null);

// https://fetch.spec.whatwg.org/#port-blocking: ports whose servers could be talked into something by an HTTP request.
const BAD_PORTS = new Set([
  0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110,
  111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532,
  540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061,
  6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
]);
