import type { RetryPolicy } from "./retry.ts";

export const DEFAULT_MAX_IN_FLIGHT = 32;

/**
 * `subscribed`: made by people. `direct`: implicit, one for each origin that is sent to by its address. `listen`:
 * temporary, its deliveries answered by whoever listens.
 */
export type EndpointKind = "subscribed" | "direct" | "listen";

/** An endpoint as the sender needs it: everything opened, parsed and in milliseconds. Kept in memory by revision. */
export type Endpoint = {
  id: string;
  revision: number;
  kind: EndpointKind;
  name: string;
  url: string;
  headers: Record<string, string>;
  /** Names of the headers whose values are credentials: shown as `***`. */
  secretHeaders: readonly string[];
  /** Takes the values of those headers out of a text; null where there are none. */
  redact: ((text: string) => string) | null;
  secretId: string | null;
  plugin: readonly string[];
  pluginOptions: unknown;
  retry: RetryPolicy;
  timeoutMs: number;
  rateLimit: { max: number; perMs: number } | null;
  maxInFlight: number;
  ordered: boolean;
  autoPause: boolean;
  /** The live signing keys, newest first. */
  signing: readonly { key: Uint8Array; expiresAt: number | null }[];
  /** Why its sealed parts cannot be opened: each try fails with this sentence. */
  problem: string | null;
};
