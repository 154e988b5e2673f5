import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { AppError } from "../../src/platform/errors.ts";
import { parseId } from "../../src/platform/ids.ts";
import { createSecrets, type Secrets } from "../../src/vault/secrets.ts";
import { createVault } from "../../src/vault/vault.ts";
import { testDatabase } from "../support/database.ts";

let db: Awaited<ReturnType<typeof testDatabase>>;
let secrets: Secrets;
const vault = createVault({ masterKey: "a master key of enough characters 123" });

beforeAll(async () => {
  db = await testDatabase();
  secrets = createSecrets(db.database, vault);
});
afterAll(() => db.drop());

const OAUTH = { token_url: "https://id.example/token", client_id: "c", client_secret: "s", scope: "read" };

function uuidOf(id: string): string {
  return parseId("secret", id) ?? "";
}

describe("secrets", () => {
  test.each([
    ["bearer", "t0ken", { kind: "bearer", token: "t0ken" }],
    ["basic", { username: "u", password: "" }, { kind: "basic", username: "u", password: "" }],
    ["header", { name: "X-Key", value: "v" }, { kind: "header", name: "X-Key", value: "v" }],
    ["query", { name: "key", value: "v" }, { kind: "query", name: "key", value: "v" }],
    [
      "oauth2_client_credentials",
      OAUTH,
      {
        kind: "oauth2_client_credentials",
        tokenUrl: OAUTH.token_url,
        clientId: "c",
        clientSecret: "s",
        scope: "read",
      },
    ],
  ])("of the kind %s are created, shown without a value, and opened", async (kind, value, credential) => {
    const created = await secrets.create({ name: `kind ${kind}`, kind, value });
    expect(Object.keys(created).sort()).toEqual(["created_at", "hosts", "id", "kind", "name", "updated_at"]);
    expect(created.id).toMatch(/^sec_[0-9a-f]{32}$/);
    expect(await secrets.get(created.id)).toEqual(created);
    expect(await secrets.openCredential(uuidOf(created.id))).toEqual(credential as never);
  });

  test.each([
    ["a value of another kind", { name: "n", kind: "bearer", value: { username: "u" } }, "/value"],
    ["a missing member", { name: "n", kind: "basic", value: { username: "u" } }, "/value/password"],
    ["an unknown member", { name: "n", kind: "query", value: { name: "a", value: "b", extra: 1 } }, "/value/extra"],
    ["an unknown property", { name: "n", kind: "bearer", value: "t", nmae: 1 }, "/nmae"],
    ["an unknown kind", { name: "n", kind: "magic", value: "t" }, "/kind"],
    [
      "a header that ends itself",
      { name: "n", kind: "header", value: { name: "a", value: "b\r\nc: d" } },
      "/value/value",
    ],
    [
      "a colon in a user name",
      { name: "n", kind: "basic", value: { username: "a:b", password: "" } },
      "/value/username",
    ],
    [
      "a token URL of no web",
      { name: "n", kind: "oauth2_client_credentials", value: { ...OAUTH, token_url: "ftp://a" } },
      "/value/token_url",
    ],
    ["an empty name", { name: " ", kind: "bearer", value: "t" }, "/name"],
    ["a NUL in the name", { name: "a\u0000", kind: "bearer", value: "t" }, "/name"],
  ])("are refused with %s, naming the place", async (_what, body, pointer) => {
    const error = await secrets.create(body).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(AppError);
    expect((error as AppError).code).toBe("invalid");
    expect((error as AppError).faults.map((fault) => fault.pointer)).toContain(pointer);
  });

  test("never repeat a bad value in the error", async () => {
    const body = { name: "n", kind: "header", value: { name: "x", value: "marker-9\u0001" } };
    const error = (await secrets.create(body).catch((thrown: unknown) => thrown)) as AppError;
    expect(JSON.stringify([error.message, error.faults])).not.toContain("marker-9");
  });

  test("keep their names apart", async () => {
    await secrets.create({ name: "taken", kind: "bearer", value: "t" });
    const other = await secrets.create({ name: "free", kind: "bearer", value: "t" });
    await expect(secrets.create({ name: "taken", kind: "bearer", value: "t" })).rejects.toMatchObject({
      code: "conflict",
    });
    await expect(secrets.patch(other.id, { name: "taken" })).rejects.toMatchObject({ code: "conflict" });
  });

  test("take a merge patch of single members of the value", async () => {
    const { id } = await secrets.create({ name: "patched", kind: "oauth2_client_credentials", value: OAUTH });
    await secrets.patch(id, { value: { client_secret: "s2", scope: null } });
    expect(await secrets.openCredential(uuidOf(id))).toMatchObject({ clientId: "c", clientSecret: "s2", scope: null });
    await expect(secrets.patch(id, { value: { client_id: null } })).rejects.toMatchObject({
      faults: [{ pointer: "/value/client_id" }],
    });
    await secrets.patch(id, { name: "renamed" });
    expect(await secrets.openCredential(uuidOf(id))).toMatchObject({ clientSecret: "s2" });
    await expect(secrets.patch(id, { kind: "bearer" })).rejects.toMatchObject({ faults: [{ pointer: "/value" }] });
    expect(await secrets.patch(id, { kind: "bearer", value: "t" })).toMatchObject({ kind: "bearer", name: "renamed" });
    expect(await secrets.openCredential(uuidOf(id))).toEqual({ kind: "bearer", token: "t" });
  });

  test("lose no patch of two at once", async () => {
    const { id } = await secrets.create({ name: "raced", kind: "basic", value: { username: "a", password: "b" } });
    await Promise.all([
      secrets.patch(id, { value: { username: "A" } }),
      secrets.patch(id, { value: { password: "B" } }),
      secrets.patch(id, { name: "raced twice" }),
    ]);
    expect(await secrets.openCredential(uuidOf(id))).toEqual({ kind: "basic", username: "A", password: "B" });
    expect((await secrets.get(id)).name).toBe("raced twice");
  });

  test("are not opened in each other's rows, and one bad row spoils no other", async () => {
    const { sql } = db.database;
    const [a, b, c] = await Promise.all(
      ["swap a", "swap b", "whole"].map(async (name) => {
        const { id } = await secrets.create({ name, kind: "bearer", value: `token of ${name}` });
        return uuidOf(id);
      }),
    );
    await sql`
      update deltahook.secrets s set sealed = o.sealed from deltahook.secrets o
      where (s.id = ${a ?? ""} and o.id = ${b ?? ""}) or (s.id = ${b ?? ""} and o.id = ${a ?? ""})`;
    const opened = await secrets.openSecrets([a ?? "", b ?? "", c ?? ""]);
    expect(opened.get(a ?? "")).toBeInstanceOf(AppError);
    expect(opened.get(b ?? "")).toBeInstanceOf(AppError);
    expect(opened.get(c ?? "")).toMatchObject({ credential: { token: "token of whole" } });
    await expect(secrets.openCredential(a ?? "")).rejects.toThrow("another place");
  });

  test("with a damaged value can be entered anew", async () => {
    const { id } = await secrets.create({ name: "damaged", kind: "query", value: { name: "k", value: "v" } });
    await db.database.sql`update deltahook.secrets set sealed = left(sealed, -4) || 'AAAA' where id = ${uuidOf(id)}`;
    await expect(secrets.openCredential(uuidOf(id))).rejects.toThrow("damaged or altered");
    await secrets.patch(id, { value: { name: "k", value: "v2" } });
    expect(await secrets.openCredential(uuidOf(id))).toEqual({ kind: "query", name: "k", value: "v2" });
  });

  test("in use are not deleted, and the users are named", async () => {
    const { sql } = db.database;
    const { id } = await secrets.create({ name: "used", kind: "bearer", value: "t" });
    await sql`
      insert into deltahook.watches (name, definition, host, secret_id)
      values ('Order 42', '{}', 'erp.example.com', ${uuidOf(id)})`;
    await sql`
      insert into deltahook.endpoints (name, url, event_types, secret_id, max_in_flight, signing)
      values ('Billing', 'https://b.example', '{*}', ${uuidOf(id)}, 1, '[]')`;
    const error = (await secrets.delete(id).catch((thrown: unknown) => thrown)) as AppError;
    expect(error.code).toBe("conflict");
    expect(error.message).toContain('watch "Order 42"');
    expect(error.message).toContain('endpoint "Billing"');
    await sql`update deltahook.watches set secret_id = null`;
    await sql`update deltahook.endpoints set secret_id = null`;
    await secrets.delete(id);
    await expect(secrets.get(id)).rejects.toMatchObject({ code: "not_found" });
    await expect(secrets.delete(id)).rejects.toMatchObject({ code: "not_found" });
  });

  test("are listed newest first, page by page, each once", async () => {
    const names: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await secrets.list({ limit: 3, cursor });
      expect(page.data.length).toBeLessThanOrEqual(3);
      names.push(...page.data.map((secret) => secret.name));
      cursor = page.next ?? undefined;
    } while (cursor);
    const rows = await db.database.sql<{ name: string }[]>`select name from deltahook.secrets order by id desc`;
    expect(names).toEqual(rows.map((row) => row.name));
    await expect(secrets.list({ limit: 3, cursor: "nonsense" })).rejects.toMatchObject({ code: "invalid" });
  });
});
