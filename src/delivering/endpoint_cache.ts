import { createBatcher } from "../platform/batch.ts";
import type { Sql } from "../platform/database.ts";
import { AppError } from "../platform/errors.ts";
import { headerSecrets, redactor } from "../vault/credentials.ts";
import { isCredentialName, openHeaders, type StoredHeaders } from "../vault/headers.ts";
import type { Vault } from "../vault/vault.ts";
import type { Endpoint, EndpointKind } from "./endpoint.ts";
import type { RetryPolicy } from "./retry.ts";
import { signingKey } from "./signature.ts";

/** Endpoints with everything opened, kept in memory for as long as their revision stands. */
export type EndpointCache = {
  /** @returns null when the endpoint is gone. */
  get(id: string, revision: number): Promise<Endpoint | null> | Endpoint;
};

const MOST = 20_000;

export function createEndpointCache(
  sql: Sql,
  vault: Vault,
  defaults: { retry: RetryPolicy; timeoutMs: number },
): EndpointCache {
  const known = new Map<string, Endpoint>();
  const opening = new Map<string, Promise<Endpoint | null>>();
  const loading = createBatcher<string, EndpointRow | null>({
    size: 200,
    waitMs: 1,
    concurrency: 2,
    run: async (ids) => {
      const rows = await readEndpoints(sql, ids);
      const byId = new Map(rows.map((row) => [row.id, row]));
      return ids.map((id) => byId.get(id) ?? null);
    },
  });

  /** Opening costs: the hundreds of deliveries that miss at once share one. */
  function share(id: string, revision: number): Promise<Endpoint | null> {
    const key = `${id} ${revision}`;
    let opened = opening.get(key);
    if (!opened) {
      opened = load(id).finally(() => opening.delete(key));
      opening.set(key, opened);
    }
    return opened;
  }

  async function load(id: string): Promise<Endpoint | null> {
    const row = await loading.add(id);
    if (!row) return null;
    const endpoint = await openEndpoint(row, vault, defaults);
    if (known.size >= MOST) known.clear();
    known.set(id, endpoint);
    return endpoint;
  }

  return {
    get(id, revision) {
      const found = known.get(id);
      return found?.revision === revision ? found : share(id, revision);
    },
  };
}

type EndpointRow = {
  id: string;
  revision: number;
  kind: EndpointKind;
  name: string;
  url: string;
  headers: StoredHeaders;
  secret_id: string | null;
  plugin: string[];
  plugin_options: unknown;
  retry: RetryPolicy | null;
  timeout_ms: number | null;
  rate_limit_max: number | null;
  rate_limit_per_ms: number | null;
  max_in_flight: number;
  ordered: boolean;
  auto_pause: boolean;
  signing: { sealed: string; expires_at: string | null }[];
};

function readEndpoints(sql: Sql, ids: string[]): Promise<EndpointRow[]> {
  return sql<EndpointRow[]>`
    select id, revision, kind, name, url, headers, secret_id, plugin, plugin_options, retry, timeout_ms, rate_limit_max,
      rate_limit_per_ms, max_in_flight, ordered, auto_pause, signing
    from deltahook.endpoints where id = any(${ids}::uuid[])`;
}

async function openEndpoint(
  row: EndpointRow,
  vault: Vault,
  defaults: { retry: RetryPolicy; timeoutMs: number },
): Promise<Endpoint> {
  const opened = await openSealed(row, vault);
  const secretHeaders = Object.keys(row.headers).filter(
    (name) => isCredentialName(name) || typeof row.headers[name] !== "string",
  );
  const values = secretHeaders.map((name) => opened.headers[name] ?? "");
  return {
    ...opened,
    id: row.id,
    revision: row.revision,
    kind: row.kind,
    name: row.name,
    url: row.url,
    secretHeaders,
    redact: values.length === 0 ? null : redactor(values.flatMap(headerSecrets)),
    secretId: row.secret_id,
    plugin: row.plugin,
    pluginOptions: row.plugin_options,
    retry: row.retry ?? defaults.retry,
    timeoutMs: row.timeout_ms ?? defaults.timeoutMs,
    rateLimit:
      row.rate_limit_max === null || row.rate_limit_per_ms === null
        ? null
        : { max: row.rate_limit_max, perMs: row.rate_limit_per_ms },
    maxInFlight: row.max_in_flight,
    ordered: row.ordered,
    autoPause: row.auto_pause,
  };
}

/** What cannot be opened (a master key that is gone) is a failure to be seen and retried, not a fault of the job. */
async function openSealed(row: EndpointRow, vault: Vault): Promise<Pick<Endpoint, "headers" | "signing" | "problem">> {
  try {
    const headers = await openHeaders(vault, row.id, row.headers);
    const signing = await Promise.all(
      row.signing.map(async ({ sealed, expires_at }) => ({
        key: signingKey(await vault.open("signing", row.id, sealed)),
        expiresAt: expires_at === null ? null : Date.parse(expires_at),
      })),
    );
    return { headers, signing, problem: null };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return { headers: {}, signing: [], problem: error.message };
  }
}
