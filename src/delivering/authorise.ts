import { AppError } from "../platform/errors.ts";
import { type AppliedCredential, applyCredential, type ReadyCredential } from "../vault/credentials.ts";
import type { OAuthTokens } from "../vault/oauth.ts";
import type { OpenedSecret, Secrets } from "../vault/secrets.ts";

/** A credential on a request; `refused` is told of a 401, and answers whether another try could do better. */
export type Authorised = AppliedCredential & { refused(): Promise<boolean> };

/** Puts a vault credential on a request. @throws AppError, without secrets, when it cannot be opened or fetched. */
export type Authorise = (
  secretId: string,
  request: { url: string; headers: Record<string, string> },
) => Promise<Authorised>;

/** Opened credentials are kept this long, so that a changed secret is in use at once, and a busy endpoint cheap. */
const KEPT_MS = 2_000;

export function createAuthorise(secrets: Secrets, tokens: OAuthTokens): Authorise {
  const kept = new Map<string, { at: number; secret: Promise<OpenedSecret> }>();

  function opened(secretId: string): Promise<OpenedSecret> {
    const known = kept.get(secretId);
    if (known && performance.now() - known.at < KEPT_MS) return known.secret;
    const secret = open(secretId);
    secret.catch(() => kept.delete(secretId));
    if (kept.size > 1_000) kept.clear();
    kept.set(secretId, { at: performance.now(), secret });
    return secret;
  }

  async function open(secretId: string): Promise<OpenedSecret> {
    const found = (await secrets.openSecrets([secretId])).get(secretId);
    if (!found) throw new AppError("not_found", "The endpoint's secret is gone; choose another one.");
    if (found instanceof AppError) throw found;
    return found;
  }

  return async (secretId, request) => {
    const secret = await opened(secretId);
    const credential: ReadyCredential = await tokens.ready(secret);
    return {
      ...applyCredential(credential, request),
      refused: () =>
        secret.credential.kind === "oauth2_client_credentials" && credential.kind === "bearer"
          ? tokens.invalidate(secretId, credential.token)
          : Promise.resolve(false),
    };
  };
}
