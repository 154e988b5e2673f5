import type { Database } from "../platform/database.ts";
import { AppError } from "../platform/errors.ts";
import type { Outbound } from "../platform/outbound.ts";
import type { OAuthClient, ReadyCredential } from "./credentials.ts";
import type { OpenedSecret } from "./secrets.ts";
import * as store from "./store.ts";
import { fetchToken } from "./token_request.ts";
import type { Vault } from "./vault.ts";

export type OAuthTokens = {
  /**
   * The credential to put on a request: an OAuth2 client becomes its token, all others stay as they are. The token is
   * fetched once for all nodes, kept sealed, and renewed at 80 % of its life while the old one still serves.
   * @throws AppError with cause and remedy, without secrets; `TokenRefused` when the client itself was refused.
   */
  ready(secret: OpenedSecret): Promise<ReadyCredential>;
  /**
   * After a 401 to this token: forgets it, unless it was fetched so lately that another would be no better.
   * @returns whether the request should be tried once more, with what `ready` gives then.
   */
  invalidate(secretId: string, token: string): Promise<boolean>;
};

/** The token server refused the client: a person has to correct the secret. */
export class TokenRefused extends AppError {}

const FETCH_TIMEOUT_MS = 10_000;
/** Longer than a fetch with its second try takes; a node that died while fetching is replaced after it. */
const LEASE_MS = 25_000;
const WAIT_MS = 30_000;
const LOOK_AGAIN_MS = 100;
const QUIET_AFTER_FAILURE_MS = 5_000;
const TOO_FRESH_MS = 30_000;

export function createOAuthTokens(options: { database: Database; vault: Vault; outbound: Outbound }): OAuthTokens {
  const { vault, outbound } = options;
  const { sql } = options.database;
  const underway = new Map<string, Promise<string>>();

  async function ready(secret: OpenedSecret): Promise<ReadyCredential> {
    const { credential } = secret;
    if (credential.kind !== "oauth2_client_credentials") return credential;
    const key = `${secret.id}:${secret.revision}`;
    const token = underway.get(key) ?? obtain(secret, credential).finally(() => underway.delete(key));
    underway.set(key, token);
    const bearer = { kind: "bearer" as const, token: await token };
    return credential.hosts ? { ...bearer, hosts: credential.hosts } : bearer;
  }

  async function obtain(secret: OpenedSecret, client: OAuthClient): Promise<string> {
    const giveUpAt = performance.now() + WAIT_MS;
    while (performance.now() < giveUpAt) {
      const known = await readToken(secret);
      if (known && !known.stale) return known.token;
      const lease = await store.takeFetch(sql, secret.id, secret.revision, LEASE_MS);
      if (lease.state === "held") return renew(secret, client, lease.holder);
      if (known) return known.token;
      if (lease.state === "failed") throw failure(lease);
      await Bun.sleep(LOOK_AGAIN_MS);
    }
    throw failure({ problem: "The OAuth2 token is still being fetched by another node; try again.", refused: false });
  }

  async function renew(secret: OpenedSecret, client: OAuthClient, holder: string): Promise<string> {
    let failed: store.FetchFailure | null = null;
    try {
      // Between the look and the lease, another node may have finished.
      const known = await readToken(secret);
      if (known && !known.stale) return known.token;
      const fetched = await fetchToken(outbound, client, FETCH_TIMEOUT_MS);
      if (fetched.ok) {
        const sealed = await vault.seal("token", secret.id, fetched.token);
        await store.saveToken(sql, { secretId: secret.id, revision: secret.revision, sealed, lifeMs: fetched.lifeMs });
        return fetched.token;
      }
      failed = { problem: fetched.problem, refused: fetched.refused };
      if (known) return known.token;
      throw failure(failed);
    } finally {
      await store.endFetch(sql, secret.id, holder, failed, QUIET_AFTER_FAILURE_MS);
    }
  }

  /** A token that cannot be opened is as good as none: it is fetched anew. */
  async function readToken(secret: OpenedSecret): Promise<{ token: string; stale: boolean } | null> {
    const row = await store.findToken(sql, secret.id, secret.revision);
    const token = row && (await openToken(vault, secret.id, row.sealed));
    return row && token ? { token, stale: row.stale } : null;
  }

  async function invalidate(secretId: string, token: string): Promise<boolean> {
    const row = await store.findCurrentToken(sql, secretId);
    if (!row) return true;
    if ((await openToken(vault, secretId, row.sealed)) !== token) return true;
    if (row.ageMs < TOO_FRESH_MS) return false;
    await store.deleteToken(sql, secretId, row.sealed);
    return true;
  }

  return { ready, invalidate };
}

async function openToken(vault: Vault, secretId: string, sealed: string): Promise<string | null> {
  try {
    return await vault.open("token", secretId, sealed);
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
}

function failure({ problem, refused }: store.FetchFailure): AppError {
  return refused ? new TokenRefused("unavailable", problem) : new AppError("unavailable", problem);
}
