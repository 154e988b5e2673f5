import { AppError } from "../platform/errors.ts";
import type { Vault } from "../vault/vault.ts";
import { newSigningSecret } from "./signature.ts";

/** Signing secrets as they lie with their endpoint, the newest first; `expires_at` is RFC 3339, null for the newest. */
export type StoredSigning = { sealed: string; expires_at: string | null }[];

const MOST_LIVE = 5;

/** A new endpoint's first signing secret. */
export async function firstSigning(vault: Vault, endpointId: string): Promise<StoredSigning> {
  return [{ sealed: await vault.seal("signing", endpointId, newSigningSecret()), expires_at: null }];
}

/**
 * Puts a new secret in front. The earlier ones end after `keepMs`, or when they would have ended anyway.
 * @throws AppError (409) when more secrets would be live than a receiver should have to try.
 */
export async function rotateSigning(
  vault: Vault,
  endpointId: string,
  stored: StoredSigning,
  keepMs: number,
  now: number,
): Promise<StoredSigning> {
  const earlier = liveSigning(stored, now)
    .map(({ sealed, expires_at }) => ({ sealed, endsAt: Math.min(now + keepMs, timeOf(expires_at)) }))
    .filter(({ endsAt }) => endsAt > now);
  if (earlier.length >= MOST_LIVE) throw tooMany(Math.min(...earlier.map(({ endsAt }) => endsAt)));
  const kept = earlier.map(({ sealed, endsAt }) => ({ sealed, expires_at: new Date(endsAt).toISOString() }));
  return [...(await firstSigning(vault, endpointId)), ...kept];
}

/** The secrets that sign now, in the clear. */
export async function openSigning(
  vault: Vault,
  endpointId: string,
  stored: StoredSigning,
  now: number,
): Promise<{ secret: string; expires_at: string | null }[]> {
  return Promise.all(
    liveSigning(stored, now).map(async ({ sealed, expires_at }) => ({
      secret: await vault.open("signing", endpointId, sealed),
      expires_at,
    })),
  );
}

function liveSigning(stored: StoredSigning, now: number): StoredSigning {
  return stored.filter(({ expires_at }) => timeOf(expires_at) > now);
}

function timeOf(expiresAt: string | null): number {
  return expiresAt === null ? Number.POSITIVE_INFINITY : Date.parse(expiresAt);
}

function tooMany(firstEndsAt: number): AppError {
  const at = new Date(firstEndsAt).toISOString();
  return new AppError(
    "conflict",
    `${MOST_LIVE} signing secrets are live already; the first of them ends at ${at}. Wait, or rotate with "expire_old_after": "0s" to end them all now.`,
  );
}
