import { describe, expect, test } from "bun:test";
import { CompactEncrypt } from "jose";
import { AppError } from "../../src/platform/errors.ts";
import { createVault, keyIdOf } from "../../src/vault/vault.ts";

const OLD = "an old master key of enough characters";
const NEW = "a new master key of enough characters!";
const PLAIN = "marker-5f1c-plain";
const vault = createVault({ masterKey: OLD });

async function faultOf(opening: Promise<unknown>): Promise<AppError> {
  const error = await opening.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof AppError)) throw new Error(`expected an AppError, got ${error}`);
  return error;
}

describe("the vault", () => {
  test("opens what it sealed, for the same place", async () => {
    for (const plain of [PLAIN, "", "ünïcode 🔑", "x".repeat(100_000)]) {
      expect(await vault.open("secret:bearer", "id-1", await vault.seal("secret:bearer", "id-1", plain))).toBe(plain);
    }
  });

  test("writes a compact JWE with dir, A256CBC-HS512 and the key's fingerprint", async () => {
    const sealed = await vault.seal("secret:bearer", "id-1", PLAIN);
    const header = JSON.parse(Buffer.from(sealed.split(".")[0] ?? "", "base64url").toString());
    expect(header).toEqual({
      alg: "dir",
      enc: "A256CBC-HS512",
      typ: "deltahook-sealed",
      kid: vault.currentKeyId,
      kind: "secret:bearer",
      id: "id-1",
    });
    expect(keyIdOf(sealed)).toBe(vault.currentKeyId);
    expect(sealed).not.toContain(PLAIN);
    expect(await vault.seal("secret:bearer", "id-1", PLAIN)).not.toBe(sealed);
  });

  test.each([
    ["another id", "secret:bearer", "id-2"],
    ["another kind", "secret:header", "id-1"],
  ])("refuses a value moved to %s", async (_what, kind, id) => {
    const sealed = await vault.seal("secret:bearer", "id-1", PLAIN);
    const error = await faultOf(vault.open(kind, id, sealed));
    expect(error.message).toContain("another place");
    expect(error.message).not.toContain(PLAIN);
  });

  test("calls a flip of any byte damaged or altered, in every part, without the plain text", async () => {
    const sealed = await vault.seal("secret:bearer", "id-1", PLAIN);
    const parts = sealed.split(".").map((part) => Buffer.from(part, "base64url"));
    let opened = 0;
    for (const part of parts) {
      for (let at = 0; at < part.length; at++) {
        part.writeUInt8(part.readUInt8(at) ^ 1, at);
        const damaged = parts.map((bytes) => bytes.toString("base64url")).join(".");
        part.writeUInt8(part.readUInt8(at) ^ 1, at);
        const error = await faultOf(vault.open("secret:bearer", "id-1", damaged));
        expect(error.message).toMatch(/damaged or altered|master key that is not set/);
        expect(error.message).not.toContain(PLAIN);
        opened++;
      }
    }
    expect(opened).toBeGreaterThan(150);
  });

  test("names the setting when the key is not there", async () => {
    const sealed = await vault.seal("secret:bearer", "id-1", PLAIN);
    const error = await faultOf(createVault({ masterKey: NEW }).open("secret:bearer", "id-1", sealed));
    expect(error.message).toContain("sealed under a master key that is not set");
    expect(error.message).toContain("MASTER_KEY_PREVIOUS");
  });

  test("opens values of earlier keys and seals them again under the current one", async () => {
    const sealed = await vault.seal("header:x-token", "id-1", PLAIN);
    const both = createVault({ masterKey: NEW, previousKeys: [OLD] });
    expect(await both.open("header:x-token", "id-1", sealed)).toBe(PLAIN);
    const resealed = await both.reseal(sealed);
    expect(keyIdOf(resealed)).toBe(both.currentKeyId);
    expect(await createVault({ masterKey: NEW }).open("header:x-token", "id-1", resealed)).toBe(PLAIN);
  });

  test("refuses every other algorithm, though the header names our key", async () => {
    const header = { typ: "deltahook-sealed", kid: vault.currentKeyId, kind: "secret:bearer", id: "id-1" };
    const forge = (alg: string, enc: string, bytes: number) =>
      new CompactEncrypt(new TextEncoder().encode("forged"))
        .setProtectedHeader({ ...header, alg, enc })
        .encrypt(new Uint8Array(bytes));
    for (const forged of [
      await forge("dir", "A256GCM", 32),
      await forge("dir", "A256CBC-HS512", 64),
      await forge("A256KW", "A256CBC-HS512", 32),
    ]) {
      expect((await faultOf(vault.open("secret:bearer", "id-1", forged))).message).toContain("damaged or altered");
    }
  });

  test.each(["", "plain text", "a.b.c.d.e", "....", `${Buffer.from("null").toString("base64url")}....`])(
    "answers text that it never wrote (%p) with an error of its own",
    async (text) => {
      expect((await faultOf(vault.open("secret:bearer", "id-1", text))).message).toContain("damaged or altered");
      expect(keyIdOf(text)).toBeNull();
    },
  );
});
