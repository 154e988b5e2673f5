/**
 * Signs one attempt as Standard Webhooks 1.0 asks: HMAC-SHA-256 over `id.timestamp.body`, one `v1,<base64>` per live
 * secret, separated by spaces, the newest first.
 * @param timestampSeconds unix seconds of this attempt
 * @param keys the raw bytes of each live signing secret
 */
export function signatureHeader(
  id: string,
  timestampSeconds: number,
  body: string,
  keys: readonly Uint8Array[],
): string {
  const content = `${id}.${timestampSeconds}.${body}`;
  let header = "";
  for (const key of keys) {
    const mac = new Bun.CryptoHasher("sha256", key).update(content).digest("base64");
    header += header === "" ? `v1,${mac}` : ` v1,${mac}`;
  }
  return header;
}

const PREFIX = "whsec_";

/** A new signing secret: `whsec_` and the base64 of 32 random bytes. */
export function newSigningSecret(): string {
  return PREFIX + Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64");
}

/** The bytes that a signing secret stands for. */
export function signingKey(secret: string): Uint8Array {
  return Buffer.from(secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret, "base64");
}
