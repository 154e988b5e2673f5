import { createHash, randomBytes } from "node:crypto";

/** 256 random bits as text, for whoever holds it; the database keeps only `hashToken` of it. */
export function newToken(prefix = ""): string {
  return prefix + randomBytes(32).toString("base64url");
}

/** A fast hash is enough: there is nothing to guess in 256 random bits. */
export function hashToken(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}
