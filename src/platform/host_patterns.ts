/**
 * Hosts that something is bound to: `erp.example.com`, an address, or `*.example.com` for all names below, each with
 * `:port` when only that port is meant. Pure.
 */
type Pattern = { wildcard: boolean; host: string; port: number | null };

/** A pattern in its normal form (lower case, punycode), or null when it is none. */
export function normalPattern(text: string): string | null {
  const [, star = "", name = "", port] = SHAPE.exec(text.trim().toLowerCase()) ?? [];
  const hostname = name === "" ? undefined : URL.parse(`http://${name}/`)?.hostname.replace(/\.$/, "");
  if (!hostname || Number(port ?? 1) > 65_535 || Number(port ?? 1) === 0) return null;
  if (star !== "" && /^\[|^[\d.]+$/.test(hostname)) return null;
  return `${star}${hostname}${port === undefined ? "" : `:${Number(port)}`}`;
}

/** What keeps a thing that is bound to `hosts` from going to a URL: a sentence with the remedy, or null. */
export function boundFault(hosts: readonly string[] | null, url: string): string | null {
  const target = URL.parse(url);
  if (hosts === null || !target) return null;
  const port = target.port === "" ? (target.protocol === "http:" ? 80 : 443) : Number(target.port);
  const goal: Pattern = { wildcard: false, host: target.hostname.toLowerCase().replace(/\.$/, ""), port };
  const patterns = hosts.map(read);
  if (patterns.some((pattern) => covers(pattern, goal))) return null;
  // A URL leaves the usual port out, which may be what keeps them apart.
  const place = patterns.some((pattern) => pattern.port !== null) ? `${target.hostname}:${port}` : target.host;
  return `The secret is bound to ${hosts.join(", ")} and must not go to ${place}. Use another secret, or ask an admin to add the host to it.`;
}

/** Whether everything that `narrower` lets through, `wider` lets through too. Null is not bound at all. */
export function isWithin(wider: readonly string[] | null, narrower: readonly string[] | null): boolean {
  if (wider === null) return true;
  return narrower?.every((each) => wider.some((one) => covers(read(one), read(each)))) ?? false;
}

const SHAPE = /^(\*\.)?(\[[\da-f:.]+\]|[^\s/?#@\\:*[\]]+)(?::(\d{1,5}))?$/;

function covers(wide: Pattern, narrow: Pattern): boolean {
  if (wide.port !== null && wide.port !== narrow.port) return false;
  if (wide.wildcard && narrow.host.endsWith(`.${wide.host}`)) return true;
  return wide.host === narrow.host && wide.wildcard === narrow.wildcard;
}

function read(normal: string): Pattern {
  const [, star, host = "", port] = SHAPE.exec(normal) ?? [];
  return { wildcard: star !== undefined, host, port: port === undefined ? null : Number(port) };
}
