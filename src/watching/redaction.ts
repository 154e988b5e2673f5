import { createHmac } from "node:crypto";
import type { Vault } from "../vault/vault.ts";
import type { Hash } from "./extract.ts";
import { REDACTION, type StoredWatch } from "./stored_watch.ts";

/** The hash of a watch's redacted values. @throws AppError when its key cannot be opened. */
export async function openHash(vault: Vault, watchId: string, { redaction }: StoredWatch): Promise<Hash> {
  if (!redaction) return refuse;
  return keyedHash(await vault.open(REDACTION, watchId, redaction.sealed));
}

/** HMAC-SHA-256 (RFC 2104): without the key nobody can try out likely values. */
export function keyedHash(key: string): Hash {
  return (canonical) => createHmac("sha256", key).update(canonical).digest("base64url");
}

function refuse(): never {
  throw new Error("a redacted field without a key");
}
