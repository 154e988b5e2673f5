import { AppError } from "../platform/errors.ts";
import type { ReadyCredential } from "./credentials.ts";
import type { OAuthTokens } from "./oauth.ts";
import type { OpenedSecret, Secrets } from "./secrets.ts";

/** Opened secrets, kept in memory, so that no poll or attempt opens one by itself. */
export type ReadySecrets = {
  /**
   * The credential to put on a request, an OAuth2 client's as its token.
   * @param revision of the secret, where the caller knows it: what is kept of another one is not used. Null: what is kept
   * is used for 2 seconds.
   * @throws AppError when the secret is gone, cannot be opened, or its token cannot be had.
   */
  ready(secretId: string, revision: number | null): ReadyCredential | Promise<ReadyCredential>;
  /** After a 401. @returns whether to ask once more with what `ready` gives then. */
  refused(secretId: string, credential: ReadyCredential): Promise<boolean>;
};

type Kept = { revision: number; ready: ReadyCredential; isToken: boolean; at: number };

const MOST = 10_000;
/** How long a token is taken from memory before the vault is asked whether it is still the one. */
const TOKEN_MS = 5_000;
/** So soon a changed secret is in use where nobody tells of its revision. */
const UNTOLD_MS = 2_000;

export function createReadySecrets(secrets: Secrets, tokens: OAuthTokens): ReadySecrets {
  const kept = new Map<string, Kept>();
  const opening = new Map<string, Promise<ReadyCredential>>();

  async function open(secretId: string): Promise<ReadyCredential> {
    const opened = (await secrets.openSecrets([secretId])).get(secretId);
    if (!opened) throw new AppError("not_found", "The secret is gone: choose another one, or none.");
    if (opened instanceof AppError) throw opened;
    return keep(opened);
  }

  async function keep({ id, revision, credential }: OpenedSecret): Promise<ReadyCredential> {
    const ready = await tokens.ready({ id, revision, credential });
    if (kept.size >= MOST) kept.clear();
    kept.set(id, { revision, ready, isToken: ready !== credential, at: performance.now() });
    return ready;
  }

  function isGood({ revision, isToken, at }: Kept, wanted: number | null): boolean {
    if (wanted !== null && wanted !== revision) return false;
    if (wanted !== null && !isToken) return true;
    return performance.now() - at < (wanted === null ? UNTOLD_MS : TOKEN_MS);
  }

  return {
    ready(secretId, revision) {
      const known = kept.get(secretId);
      if (known && isGood(known, revision)) return known.ready;
      const key = `${secretId} ${revision}`;
      const underway = opening.get(key) ?? open(secretId).finally(() => opening.delete(key));
      opening.set(key, underway);
      return underway;
    },
    async refused(secretId, credential) {
      const known = kept.get(secretId);
      if (credential.kind !== "bearer" || (known && !known.isToken)) return false;
      kept.delete(secretId);
      return tokens.invalidate(secretId, credential.token);
    },
  };
}
