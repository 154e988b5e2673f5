import { describe, expect, test } from "bun:test";
import { isCredentialName, MASK, maskHeaders, openHeaders, sealHeaders } from "../../src/vault/headers.ts";
import { createVault } from "../../src/vault/vault.ts";

const vault = createVault({ masterKey: "a master key of enough characters 123" });

describe("stored headers", () => {
  test.each([
    ["Authorization", true],
    ["proxy-authorization", true],
    ["Cookie", true],
    ["X-Auth-Token", true],
    ["x-client-secret", true],
    ["X-Password", true],
    ["x-api-key", true],
    ["APIKEY", true],
    ["api_key", true],
    ["X-Hub-Signature", true],
    ["x-session-id", true],
    ["x-auth", true],
    ["accept", false],
    ["x-team", false],
    ["x-author", false],
    ["content-type", false],
    ["x-key-count", false],
  ])("judge by the name %s: a credential? %p", (name, credential) => {
    expect(isCredentialName(name)).toBe(credential);
  });

  test("are sealed where they are credentials, shown as ***, and opened for their owner", async () => {
    const given = { "X-Api-Key": "k-123", accept: "text/plain" };
    const stored = await sealHeaders(vault, "owner-1", given);
    expect(JSON.stringify(stored)).not.toContain("k-123");
    expect(maskHeaders(stored)).toEqual({ "X-Api-Key": MASK, accept: "text/plain" });
    expect(await openHeaders(vault, "owner-1", stored)).toEqual(given);
    await expect(openHeaders(vault, "owner-2", stored)).rejects.toThrow("another place");
  });

  test("cannot be moved to a header of another name", async () => {
    const stored = await sealHeaders(vault, "owner-1", { "x-token": "t-1" });
    const moved = { cookie: stored["x-token"] ?? "" };
    await expect(openHeaders(vault, "owner-1", moved)).rejects.toThrow("another place");
  });

  test("keep their value when an update brings *** back, in whatever case the name is", async () => {
    const stored = await sealHeaders(vault, "owner-1", { "X-Token": "t-1", cookie: "c-1" });
    const update = { stored, from: "https://erp.example.com/orders", to: "https://erp.example.com/invoices" };
    const after = await sealHeaders(vault, "owner-1", { "x-token": MASK, cookie: "c-2" }, update);
    expect(await openHeaders(vault, "owner-1", after)).toEqual({ "x-token": "t-1", cookie: "c-2" });
  });

  test.each([
    ["http://erp.example.com/orders"],
    ["https://erp.example.com:8443/orders"],
    ["https://example.com/orders"],
    ["https://erp.example.com.evil.example/orders"],
  ])("do not follow an update to another server: %s", async (to) => {
    const stored = await sealHeaders(vault, "owner-1", { "X-Token": "t-1" });
    const update = { stored, from: "https://erp.example.com/orders", to };
    await expect(sealHeaders(vault, "owner-1", { "x-token": MASK }, update)).rejects.toThrow(
      "was given for https://erp.example.com; write the value itself",
    );
    expect(maskHeaders(await sealHeaders(vault, "owner-1", { "x-token": "t-2" }, update))).toEqual({ "x-token": MASK });
  });

  test("refuse *** where nothing is stored, at the header's own place", async () => {
    const update = sealHeaders(vault, "owner-1", { "x-token": MASK }, null, "/request/headers");
    await expect(update).rejects.toMatchObject({ code: "invalid", faults: [{ pointer: "/request/headers/x-token" }] });
  });

  test("leave *** alone in a header that is no credential", async () => {
    expect(await sealHeaders(vault, "owner-1", { "x-rating": MASK })).toEqual({ "x-rating": MASK });
  });
});
