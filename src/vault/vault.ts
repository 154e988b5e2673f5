import { hkdfSync } from "node:crypto";
import { CompactEncrypt, compactDecrypt, errors } from "jose";
import { AppError } from "../platform/errors.ts";

/**
 * What a sealed value is, bound into it: `secret:<kind>` (id: the secret), `header:<name>` (id: the owner), `token`
 * (id: the secret), `signing` (id: the endpoint). Ids are UUIDs as the tables have them.
 */
export type SealedKind = string;

export type Vault = {
  /** Fingerprint of the key that seals now; it stands as `kid` in every value. */
  currentKeyId: string;
  /** Encrypts a text for exactly one place, as a compact JWE (RFC 7516). */
  seal(kind: SealedKind, id: string, plain: string): Promise<string>;
  /** @throws AppError when the key is not set, or the value is damaged or was sealed for another place. */
  open(kind: SealedKind, id: string, sealed: string): Promise<string>;
  /** The same text for the same place under the current key. @throws AppError as `open`. */
  reseal(sealed: string): Promise<string>;
};

const ALG = "dir";
const ENC = "A256CBC-HS512";
const TYPE = "deltahook-sealed";

type Header = { alg: string; enc: string; typ: string; kid: string; kind: string; id: string };
type Key = { id: string; bytes: Uint8Array };

/** Keys are derived by HKDF-SHA-256 (RFC 5869), so that nothing else made from the same setting shares key material. */
export function createVault(options: { masterKey: string; previousKeys?: readonly string[] }): Vault {
  const current = deriveKey(options.masterKey);
  const keys = new Map([...(options.previousKeys ?? []).map(deriveKey), current].map((key) => [key.id, key]));

  async function seal(kind: SealedKind, id: string, plain: string): Promise<string> {
    return new CompactEncrypt(new TextEncoder().encode(plain))
      .setProtectedHeader({ alg: ALG, enc: ENC, typ: TYPE, kid: current.id, kind, id })
      .encrypt(current.bytes);
  }

  async function open(kind: SealedKind, id: string, sealed: string): Promise<string> {
    const { header, plain } = await decrypt(keys, sealed);
    if (header.kind !== kind || header.id !== id) throw damaged("it was sealed for another place");
    return plain;
  }

  async function reseal(sealed: string): Promise<string> {
    const { header, plain } = await decrypt(keys, sealed);
    return seal(header.kind, header.id, plain);
  }

  return { currentKeyId: current.id, seal, open, reseal };
}

/** The fingerprint of the key that a value was sealed under; null when the text is no sealed value of ours. */
export function keyIdOf(sealed: string): string | null {
  return readHeader(sealed)?.kid ?? null;
}

async function decrypt(keys: Map<string, Key>, sealed: string): Promise<{ header: Header; plain: string }> {
  const claimed = readHeader(sealed);
  if (!claimed) throw damaged("it is not in the vault's format");
  const key = keys.get(claimed.kid);
  if (!key) {
    throw new AppError(
      "unavailable",
      `A stored credential was sealed under a master key that is not set (${claimed.kid}); add it to MASTER_KEY_PREVIOUS and restart.`,
    );
  }
  try {
    const { plaintext, protectedHeader } = await compactDecrypt(sealed, key.bytes, {
      keyManagementAlgorithms: [ALG],
      contentEncryptionAlgorithms: [ENC],
    });
    return { header: protectedHeader as Header, plain: new TextDecoder().decode(plaintext) };
  } catch (error) {
    if (error instanceof errors.JOSEError) throw damaged("it is damaged or was altered");
    throw error;
  }
}

/** Unverified: only for choosing the key. Decryption authenticates the very same bytes. */
function readHeader(sealed: string): Header | null {
  const [encoded = "", ...rest] = sealed.split(".");
  if (rest.length !== 4) return null;
  try {
    const header = JSON.parse(Buffer.from(encoded, "base64url").toString()) as Partial<Header> | null;
    return header?.typ === TYPE && typeof header.kid === "string" ? (header as Header) : null;
  } catch {
    return null;
  }
}

function damaged(why: string): AppError {
  return new AppError(
    "conflict",
    `A stored credential cannot be opened: damaged or altered (${why}). Enter its value again, or restore the row from a backup.`,
  );
}

function deriveKey(masterKey: string): Key {
  const derive = (info: string, length: number) => new Uint8Array(hkdfSync("sha256", masterKey, "", info, length));
  return {
    id: Buffer.from(derive("deltahook/vault/key-id", 6)).toString("hex"),
    bytes: derive("deltahook/vault/A256CBC-HS512", 64),
  };
}
