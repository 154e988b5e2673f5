import { AppError } from "../platform/errors.ts";
import type { ReadyCredential } from "../vault/credentials.ts";
import type { OAuthTokens } from "../vault/oauth.ts";
import type { OpenedSecret, Secrets } from "../vault/secrets.ts";

/** Opened secrets, kept in memory for as long as their revision stands, so that no poll opens one by itself. */
export type Credentials = {
  /** @throws AppError when the secret is gone, cannot be opened, or its token cannot be had. */
  ready(secretId: string, revision: number | null): ReadyCredential | Promise<ReadyCredential>;
  /** After a 401. @returns whether to ask once more with what `ready` gives then. */
  refused(secretId: string, credential: ReadyCredential): Promise<boolean>;
};

type Kept = { revision: number; ready: ReadyCredential; isToken: boolean; until: number };

const MOST = 10_000;
/** How long a token is taken from memory before the vault is asked whether it is still the one. */
const TOKEN_MS = 5_000;

export function createCredentials(secrets: Secrets, oauth: OAuthTokens): Credentials {
  const kept = new Map<string, Kept>();

  async function open(secretId: string): Promise<ReadyCredential> {
    const opened = (await secrets.openSecrets([secretId])).get(secretId);
    if (!opened) throw new AppError("conflict", "The watch's secret is gone. Give the watch another one, or none.");
    if (opened instanceof AppError) throw opened;
    return keep(opened);
  }

  async function keep(opened: OpenedSecret): Promise<ReadyCredential> {
    const ready = await oauth.ready(opened);
    const isToken = ready !== opened.credential;
    if (kept.size >= MOST) kept.clear();
    const until = isToken ? performance.now() + TOKEN_MS : Number.POSITIVE_INFINITY;
    kept.set(opened.id, { revision: opened.revision, ready, isToken, until });
    return ready;
  }

  return {
    ready(secretId, revision) {
      const known = kept.get(secretId);
      return known && known.revision === revision && known.until > performance.now() ? known.ready : open(secretId);
    },
    async refused(secretId, credential) {
      const known = kept.get(secretId);
      if (credential.kind !== "bearer" || (known && !known.isToken)) return false;
      kept.delete(secretId);
      return oauth.invalidate(secretId, credential.token);
    },
  };
}
