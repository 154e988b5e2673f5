import { describe, expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { newSigningSecret, signatureHeader, signingKey } from "../../src/delivering/signature.ts";

const ID = "evt_0192f3aa";
const BODY = '{"type":"order.paid","data":{"sum":1.0,"note":"grüße 🎉"}}';
const seconds = () => Math.floor(Date.now() / 1000);

function sign(secrets: string[], timestamp = seconds(), body = BODY): Record<string, string> {
  return {
    "webhook-id": ID,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": signatureHeader(ID, timestamp, body, secrets.map(signingKey)),
  };
}

describe("the official verifier", () => {
  test("accepts what is signed, non-ASCII text included", () => {
    const secret = newSigningSecret();
    expect(() => new Webhook(secret).verify(BODY, sign([secret]))).not.toThrow();
  });

  test("accepts either secret while both are live", () => {
    const [fresh, old] = [newSigningSecret(), newSigningSecret()];
    const headers = sign([fresh, old]);
    expect(headers["webhook-signature"]?.split(" ")).toHaveLength(2);
    expect(() => new Webhook(fresh).verify(BODY, headers)).not.toThrow();
    expect(() => new Webhook(old).verify(BODY, headers)).not.toThrow();
  });

  test("refuses another secret, a changed body and an old timestamp", () => {
    const secret = newSigningSecret();
    const headers = sign([secret]);
    expect(() => new Webhook(newSigningSecret()).verify(BODY, headers)).toThrow();
    expect(() => new Webhook(secret).verify(BODY.replace("1.0", "1"), headers)).toThrow();
    expect(() => new Webhook(secret).verify(BODY, sign([secret], seconds() - 3_600))).toThrow();
  });

  test("computes the very same signature", () => {
    const secret = newSigningSecret();
    const at = new Date(1_700_000_000_000);
    expect(signatureHeader(ID, 1_700_000_000, BODY, [signingKey(secret)])).toBe(new Webhook(secret).sign(ID, at, BODY));
  });
});

test("a new secret is whsec_ and 32 random bytes, and no two are alike", () => {
  const secret = newSigningSecret();
  expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
  expect(signingKey(secret)).toHaveLength(32);
  expect(newSigningSecret()).not.toBe(secret);
});

test("a secret is understood without its prefix too", () => {
  const secret = newSigningSecret();
  expect(signingKey(secret.slice("whsec_".length))).toEqual(signingKey(secret));
});
