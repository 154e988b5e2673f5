/** The public prefix of each kind of id; the rest is the UUIDv7 in 32 lower-case hex digits. */
export const PREFIXES = {
  watch: "watch",
  event: "evt",
  endpoint: "ep",
  delivery: "dlv",
  secret: "sec",
  user: "usr",
  apiKey: "key",
  operation: "op",
  poll: "poll",
  audit: "aud",
  request: "req",
} as const;

export type IdKind = keyof typeof PREFIXES;

/** A UUID as the database writes it → the id that users see, e.g. `evt_0192f3…`. */
export function publicId(kind: IdKind, uuid: string): string {
  return `${PREFIXES[kind]}_${uuid.replaceAll("-", "")}`;
}

/** A public id → the UUID in it, or `null` when it is not an id of that kind. */
export function parseId(kind: IdKind, id: string): string | null {
  const prefix = `${PREFIXES[kind]}_`;
  if (!id.startsWith(prefix)) return null;
  const hex = id.slice(prefix.length);
  if (!/^[0-9a-f]{32}$/.test(hex)) return null;
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** When a UUIDv7 was made, in milliseconds since 1970 (RFC 9562, section 5.7). */
export function uuidTime(uuid: string): number {
  return Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16);
}

/** The smallest UUIDv7 of a moment: everything made since then is not below it. */
export function uuidFloor(ms: number): string {
  const hex = Math.floor(ms).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
