import { createBatcher } from "../platform/batch.ts";
import type { Sql } from "../platform/database.ts";
import { sealHeaders } from "../vault/headers.ts";
import type { Vault } from "../vault/vault.ts";
import type { Target } from "./attempt.ts";
import { DEFAULT_MAX_IN_FLIGHT } from "./endpoint.ts";
import { directEndpoints, insertEndpoint, newId } from "./endpoint_store.ts";
import type { RetryPolicy } from "./retry.ts";
import { firstSigning } from "./signing_secrets.ts";

/** Sends to a URL go through an implicit endpoint per origin, with its own signing secret, limits and breaker. */
export type DirectEndpoints = {
  /** The endpoint (UUID) for a URL that was checked; made at the first send. */
  endpointFor(url: string): Promise<string>;
};

/**
 * Looks origins up in batches, each time anew: an endpoint remembered in memory could have been deleted meanwhile, and
 * what is owed to nobody would never be sent.
 */
export function createDirectEndpoints(sql: Sql, vault: Vault): DirectEndpoints {
  const finding = createBatcher<string, string>({
    size: 500,
    waitMs: 1,
    concurrency: 4,
    async run(origins) {
      const found = await find([...new Set(origins)]);
      return origins.map((origin) => found.get(origin) ?? unreachable(origin));
    },
  });

  async function find(origins: string[]): Promise<Map<string, string>> {
    const known = await read(origins);
    const missing = origins.filter((origin) => !known.has(origin));
    if (missing.length === 0) return known;
    for (const origin of missing) await create(origin);
    return read(origins);
  }

  async function read(origins: string[]): Promise<Map<string, string>> {
    const rows = await directEndpoints(sql, origins);
    return new Map(rows.map(({ origin, id }) => [origin, id]));
  }

  /** Whoever else makes it at the same time: one wins, both read the winner's. */
  async function create(origin: string): Promise<void> {
    const id = await newId(sql);
    await insertEndpoint(sql, {
      ...IMPLICIT,
      id,
      origin,
      name: origin,
      url: origin,
      signing: await firstSigning(vault, id),
    });
  }

  return { endpointFor: (url) => finding.add(new URL(url).origin) };
}

/** What is particular to one direct send, as it lies with its event; credentials are sealed for the event's id. */
export async function storeTarget(
  vault: Vault,
  eventId: string,
  send: {
    url: string;
    headers?: Record<string, string> | undefined;
    retry?: RetryPolicy | undefined;
    timeoutMs?: number | undefined;
    keepMs?: number | undefined;
  },
): Promise<string> {
  const target: Target = { url: send.url };
  if (send.headers) target.headers = await sealHeaders(vault, eventId, send.headers);
  if (send.retry) target.retry = send.retry;
  if (send.timeoutMs !== undefined) target.timeoutMs = send.timeoutMs;
  if (send.keepMs !== undefined) target.keepMs = send.keepMs;
  return JSON.stringify(target);
}

/** The settings of an endpoint that nobody has made. */
export const IMPLICIT = {
  event_types: [],
  filter: null,
  headers: {},
  secret_id: null,
  plugin: [],
  plugin_options: "{}",
  retry: null,
  timeout_ms: null,
  rate_limit_max: null,
  rate_limit_per_ms: null,
  max_in_flight: DEFAULT_MAX_IN_FLIGHT,
  ordered: false,
  auto_pause: true,
};

function unreachable(origin: string): never {
  throw new Error(`the implicit endpoint of ${origin} was deleted while it was being made`);
}
