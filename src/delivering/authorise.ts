import { type AppliedCredential, applyCredential } from "../vault/credentials.ts";
import type { OAuthTokens } from "../vault/oauth.ts";
import { createReadySecrets } from "../vault/ready.ts";
import type { Secrets } from "../vault/secrets.ts";

/** A credential on a request; `refused` is told of a 401, and answers whether another try could do better. */
export type Authorised = AppliedCredential & { refused(): Promise<boolean> };

/** Puts a vault credential on a request. @throws AppError, without secrets, when it cannot be opened or fetched. */
export type Authorise = (
  secretId: string,
  request: { url: string; headers: Record<string, string> },
) => Promise<Authorised>;

export function createAuthorise(secrets: Secrets, tokens: OAuthTokens): Authorise {
  const { ready, refused } = createReadySecrets(secrets, tokens);
  return async (secretId, request) => {
    const credential = await ready(secretId, null);
    return { ...applyCredential(credential, request), refused: () => refused(secretId, credential) };
  };
}
