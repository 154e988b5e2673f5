import ipaddr from "ipaddr.js";
import { AppError } from "./errors.ts";

export type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** A range that is not part of the public internet; `name` completes the sentence "10.0.0.5 is …". */
export type SpecialRange = { cidr: string; name: string; source: string };

/** What the operator opened: exactly these networks (on one port or on all) and these `host` or `host:port` names. */
export type AllowedNetworks = {
  readonly networks: readonly { network: [Address, number]; port: number | null }[];
  readonly hosts: ReadonlySet<string>;
};

/**
 * An IP address in its usual spelling, or `null`. Dotted IPv4 must be four plain decimals: octal, hexadecimal and short
 * forms are turned into that by the URL parser, and must not be guessed at anywhere else. Zone ids are refused.
 */
export function parseAddress(text: string): Address | null {
  if (text.includes(":")) return !text.includes("%") && ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : null;
  return FOUR_DECIMALS.test(text) && ipaddr.IPv4.isValid(text) ? ipaddr.IPv4.parse(text) : null;
}

/** The special-purpose range that an address lies in, or `null` for an address of the public internet. */
export function specialRange(address: Address): SpecialRange | null {
  const found = TABLE.find(({ network }) => contains(network, address));
  if (found) return found.range;
  if (address.kind() === "ipv4" || contains(GLOBAL_UNICAST, address)) return null;
  return { cidr: "outside 2000::/3", name: "not a public unicast address", source: "RFC 4291" };
}

/**
 * Whether the operator opened this address on this port. An IPv4 entry opens IPv4 only, never the same address wrapped
 * into IPv6 (mapped, 6to4, NAT64 …): such a form is open only when an IPv6 entry names it.
 */
export function allowsAddress(allowed: AllowedNetworks, address: Address, port: number): boolean {
  return allowed.networks.some(
    (entry) => (entry.port === null || entry.port === port) && contains(entry.network, address),
  );
}

/** Whether the operator opened this host name (lower case, no trailing dot), whatever it resolves to. */
export function allowsHost(allowed: AllowedNetworks, host: string, port: number): boolean {
  return allowed.hosts.has(host) || allowed.hosts.has(`${host}:${port}`);
}

/**
 * Reads `ALLOWED_NETWORKS`: each entry is a network (`10.0.0.0/8`, `fd00::/8`), an address or a host name, the latter
 * two also with a port (`10.0.0.5:8080`, `[fd00::5]:8080`, `erp.internal:8080`). Blank entries are skipped.
 * @throws AppError `invalid`, naming the entry and what is wrong with it.
 */
export function parseAllowedNetworks(list: readonly string[]): AllowedNetworks {
  const networks: { network: [Address, number]; port: number | null }[] = [];
  const hosts = new Set<string>();
  for (const raw of list) {
    const entry = raw.trim().toLowerCase();
    if (entry === "") continue;
    if (entry.includes("/")) {
      networks.push({ network: parseNetwork(entry), port: null });
      continue;
    }
    const { host, port } = splitPort(entry);
    const address = parseAddress(host);
    if (address) networks.push({ network: [address, address.kind() === "ipv4" ? 32 : 128], port });
    else hosts.add(port === null ? hostName(entry, host) : `${hostName(entry, host)}:${port}`);
  }
  return { networks, hosts };
}

function parseNetwork(entry: string): [Address, number] {
  const [text = "", bits = "", ...rest] = entry.split("/");
  const address = parseAddress(text);
  if (!address) throw badEntry(entry, `"${text}" is not an IP address`);
  const maxBits = address.kind() === "ipv4" ? 32 : 128;
  if (rest.length > 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > maxBits) {
    throw badEntry(entry, `the prefix length must be a number from 0 to ${maxBits}`);
  }
  const first = ipaddr[address.kind() === "ipv4" ? "IPv4" : "IPv6"].networkAddressFromCIDR(entry).toString();
  if (first !== address.toString()) throw badEntry(entry, `the network starts at ${first}; write ${first}/${bits}`);
  return [address, Number(bits)];
}

function splitPort(entry: string): { host: string; port: number | null } {
  const match = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry);
  const host = match?.[1] ?? entry;
  const port = match ? Number(match[2]) : null;
  if (port !== null && (port < 1 || port > 65_535)) throw badEntry(entry, "the port must be from 1 to 65535");
  return { host: host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host, port };
}

function hostName(entry: string, host: string): string {
  const name = host.endsWith(".") ? host.slice(0, -1) : host;
  const isName =
    name.length <= 253 && name.split(".").every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label));
  // A URL never has an all-numeric last label: such an entry is a mistyped address that could not match anything.
  if (isName && !/(^|\.)(\d+|0x[0-9a-f]*)$/.test(name)) return name;
  throw badEntry(entry, "it is neither a network (10.0.0.0/8), nor an address, nor an exact host name");
}

function badEntry(entry: string, fault: string): AppError {
  return new AppError("invalid", `ALLOWED_NETWORKS: "${entry}" cannot be used: ${fault}.`);
}

function contains([network, bits]: [Address, number], address: Address): boolean {
  return network.kind() === address.kind() && address.match(network, bits);
}

const FOUR_DECIMALS = /^(0|[1-9]\d{0,2})(\.(0|[1-9]\d{0,2})){3}$/;

const GLOBAL_UNICAST: [Address, number] = ipaddr.parseCIDR("2000::/3");

// The IANA IPv4 and IPv6 Special-Purpose Address Registries, also those entries that they call globally reachable
// (anycast and AS112 sinks: nobody's API lives there), with multicast, reserved and retired space. First match names it.
const TABLE = (
  [
    ["0.0.0.0/32", "the unspecified address", "RFC 1122"],
    ["0.0.0.0/8", 'an address of "this network"', "RFC 791"],
    ["10.0.0.0/8", "a private address", "RFC 1918"],
    ["100.64.0.0/10", "a shared carrier-grade NAT address", "RFC 6598"],
    ["127.0.0.0/8", "a loopback address", "RFC 1122"],
    ["168.63.129.16/32", "the Azure platform's own address", "Azure virtual public IP"],
    ["169.254.0.0/16", "a link-local address, where clouds keep their metadata", "RFC 3927"],
    ["172.16.0.0/12", "a private address", "RFC 1918"],
    ["192.0.0.0/24", "an IETF protocol assignment", "RFC 6890"],
    ["192.0.2.0/24", "a documentation address", "RFC 5737"],
    ["192.31.196.0/24", "an AS112 sink address", "RFC 7535"],
    ["192.52.193.0/24", "an AMT relay address", "RFC 7450"],
    ["192.88.99.0/24", "a retired 6to4 relay address", "RFC 7526"],
    ["192.168.0.0/16", "a private address", "RFC 1918"],
    ["192.175.48.0/24", "an AS112 sink address", "RFC 7534"],
    ["198.18.0.0/15", "a benchmarking address", "RFC 2544"],
    ["198.51.100.0/24", "a documentation address", "RFC 5737"],
    ["203.0.113.0/24", "a documentation address", "RFC 5737"],
    ["224.0.0.0/4", "a multicast address", "RFC 5771"],
    ["255.255.255.255/32", "the broadcast address", "RFC 919"],
    ["240.0.0.0/4", "a reserved address", "RFC 1112"],
    ["::/128", "the unspecified address", "RFC 4291"],
    ["::1/128", "the loopback address", "RFC 4291"],
    ["::ffff:0:0/96", "an IPv4 address mapped into IPv6", "RFC 4291"],
    ["::/96", "an IPv4-compatible IPv6 address", "RFC 4291"],
    ["::ffff:0:0:0/96", "an IPv4-translated IPv6 address", "RFC 2765"],
    ["64:ff9b::/96", "a NAT64 address", "RFC 6052"],
    ["64:ff9b:1::/48", "a local NAT64 address", "RFC 8215"],
    ["100::/64", "a discard-only address", "RFC 6666"],
    ["100:0:0:1::/64", "a dummy address", "RFC 9780"],
    ["2001::/32", "a Teredo tunnel address", "RFC 4380"],
    ["2001:2::/48", "a benchmarking address", "RFC 5180"],
    ["2001:3::/32", "an AMT relay address", "RFC 7450"],
    ["2001:4:112::/48", "an AS112 sink address", "RFC 7535"],
    ["2001:10::/28", "an ORCHID identifier", "RFC 4843"],
    ["2001:20::/28", "an ORCHIDv2 identifier", "RFC 7343"],
    ["2001:30::/28", "a drone remote ID", "RFC 9374"],
    ["2001::/23", "an IETF protocol assignment", "RFC 2928"],
    ["2001:db8::/32", "a documentation address", "RFC 3849"],
    ["2002::/16", "a 6to4 tunnel address", "RFC 3056"],
    ["2620:4f:8000::/48", "an AS112 sink address", "RFC 7534"],
    ["3ffe::/16", "a retired 6bone address", "RFC 3701"],
    ["3fff::/20", "a documentation address", "RFC 9637"],
    ["5f00::/16", "a segment-routing identifier", "RFC 9602"],
    ["fc00::/7", "a private (unique local) address", "RFC 4193"],
    ["fe80::/10", "a link-local address", "RFC 4291"],
    ["fec0::/10", "a retired site-local address", "RFC 3879"],
    ["ff00::/8", "a multicast address", "RFC 4291"],
  ] as const
).map(([cidr, name, source]) => ({ network: ipaddr.parseCIDR(cidr), range: { cidr, name, source } }));

/** What one caller can be told apart by: an IPv4 address, or the /64 that one IPv6 customer has all to himself. */
export function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return "unknown";
  const parsed = ipaddr.process(address);
  if (parsed.kind() === "ipv4") return parsed.toString();
  return `${parsed.toNormalizedString().split(":").slice(0, 4).join(":")}::/64`;
}
