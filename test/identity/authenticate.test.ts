import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { SignJWT, UnsecuredJWT } from "jose";
import type { Authentication } from "../../src/identity/authenticate.ts";
import { createIdentity, type Identity, sweepIdentity } from "../../src/identity/identity.ts";
import type { Principal } from "../../src/identity/principal.ts";
import { parseId } from "../../src/platform/ids.ts";
import { testDatabase } from "../support/database.ts";

const SECRET = "a jwt secret of enough characters 1234";
const start = new Date();
const after = (ms: number) => new Date(start.getTime() + ms);
const HOUR = 3_600_000;

let db: Awaited<ReturnType<typeof testDatabase>>;
let identity: Identity;
let other: Identity;
let userId: string;
let admin: Principal;

beforeAll(async () => {
  db = await testDatabase();
  const node = () => createIdentity({ database: db.database, jwtSecret: SECRET, https: false });
  [identity, other] = [node(), node()];
});
afterAll(() => db.drop());
beforeEach(async () => {
  await db.database.sql`truncate deltahook.users, deltahook.api_keys, deltahook.revoked_tokens cascade`;
  for (const name of ["ada", "bob"]) {
    const body = { email: `${name}@example.com`, name, role: "admin" as const, password: "three ordinary words" };
    userId = parseId("user", (await identity.users.create(body)).id) ?? "";
  }
  admin = { kind: "user", id: userId, name: "bob", role: "admin" };
});

const publicUser = () => `usr_${userId.replaceAll("-", "")}`;
const bearer = (token: string, now = start, node = identity) =>
  node.authenticate({ authorization: `Bearer ${token}` }, now);
const browser = (token: string, now = start) => identity.authenticate({ cookie: `deltahook=${token}` }, now);
const reason = (found: Authentication) => (found.ok ? "ok" : found.reason);

describe("authenticating", () => {
  test.each([
    [{}, "missing"],
    [{ cookie: "theme=dark" }, "missing"],
    [{ authorization: "" }, "malformed"],
    [{ authorization: "Basic YTpi" }, "malformed"],
    [{ authorization: "Bearer" }, "malformed"],
    [{ authorization: "Bearer something" }, "malformed"],
    [{ authorization: "Bearer dhk_unknown" }, "unknown"],
    [{ authorization: "Bearer a.b.c" }, "unknown"],
    [{ cookie: "deltahook=unknown" }, "unknown"],
  ])("refuses %p as %s, in a sentence", async (credentials, expected) => {
    const found = await identity.authenticate(credentials);
    expect(reason(found)).toBe(expected);
    expect(found.ok ? "" : found.message).toMatch(/^[A-Z].+\.$/);
  });

  test("takes the header before the cookie", async () => {
    const session = await identity.sessions.start(userId, {}, undefined, start);
    const found = await identity.authenticate({ authorization: "Bearer dhk_x", cookie: `deltahook=${session}` }, start);
    expect(reason(found)).toBe("unknown");
  });
});

describe("sessions", () => {
  test("are stored hashed and hold 256 random bits", async () => {
    const token = await identity.sessions.start(userId, { address: "192.0.2.1", userAgent: "x".repeat(5_000) });
    expect(Buffer.from(token, "base64url")).toHaveLength(32);
    const [row] = await db.database
      .sql`select s::text as row, encode(token_hash, 'hex') as hash from deltahook.sessions s`;
    expect(row?.row).not.toContain(token);
    expect(row?.hash).not.toBe(Buffer.from(token).toString("hex"));
    expect(String(row?.row).length).toBeLessThan(700);
  });

  test("end after 12 hours unused and after 7 days in any case", async () => {
    const token = await identity.sessions.start(userId, {}, undefined, start);
    expect(reason(await browser(token, after(12 * HOUR - 1)))).toBe("ok");
    expect(reason(await browser(token, after(24 * HOUR - 1)))).toBe("expired");
    const used = await identity.sessions.start(userId, {}, undefined, start);
    for (let hours = 11; hours < 168; hours += 11) expect(reason(await browser(used, after(hours * HOUR)))).toBe("ok");
    expect(reason(await browser(used, after(168 * HOUR)))).toBe("expired");
  });

  test("write when they were seen at most once a minute", async () => {
    const token = await identity.sessions.start(userId, {}, undefined, start);
    const seen = async () => {
      const [row] = await db.database.sql<{ seen_at: Date }[]>`select seen_at from deltahook.sessions`;
      return (row?.seen_at.getTime() ?? 0) - start.getTime();
    };
    await browser(token, after(59_999));
    expect(await seen()).toBe(0);
    await browser(token, after(60_000));
    expect(await seen()).toBe(60_000);
  });

  test("end at logout, and with their person", async () => {
    const [one, two] = [await identity.sessions.start(userId, {}), await identity.sessions.start(userId, {})];
    await identity.sessions.end(one);
    expect(reason(await browser(one))).toBe("unknown");
    expect(await browser(two)).toMatchObject({ ok: true, via: "session", principal: admin });
    await identity.users.delete(publicUser());
    expect(reason(await browser(two))).toBe("unknown");
  });
});

describe("login tokens", () => {
  test("are good for an hour", async () => {
    const { token, expiresAt } = await identity.loginTokens.issue(userId, start);
    expect(expiresAt.getTime()).toBe(Math.floor(start.getTime() / 1000) * 1000 + HOUR);
    expect(await bearer(token)).toMatchObject({ ok: true, via: "login_token", principal: admin });
    expect(reason(await bearer(token, after(HOUR - 1_500), other))).toBe("ok");
    expect(reason(await bearer(token, after(HOUR + 1_000)))).toBe("expired");
  });

  test.each([
    ["another password", { password: "four ordinary words now" }],
    ["a disabled account", { disabled: true }],
  ])("die at once, on all nodes, with %s, and stay dead", async (_what, change) => {
    const { token } = await identity.loginTokens.issue(userId, start);
    await identity.users.patch(publicUser(), change);
    expect(reason(await bearer(token, start, other))).toBe("unknown");
    await identity.users.patch(publicUser(), { disabled: false });
    expect(reason(await bearer(token, start, other))).toBe("unknown");
    const renewed = await identity.loginTokens.issue(userId, start);
    expect(reason(await bearer(renewed.token))).toBe("ok");
  });

  test("die at logout alone", async () => {
    const [one, two] = [
      await identity.loginTokens.issue(userId, start),
      await identity.loginTokens.issue(userId, start),
    ];
    await identity.loginTokens.revoke(one.token, undefined, start);
    await identity.loginTokens.revoke(one.token, undefined, start);
    await identity.loginTokens.revoke("nonsense", undefined, start);
    expect(reason(await bearer(one.token, start, other))).toBe("unknown");
    expect(reason(await bearer(two.token, start, other))).toBe("ok");
  });

  test("follow the role that the person has now", async () => {
    const { token } = await identity.loginTokens.issue(userId, start);
    await identity.users.patch(publicUser(), { role: "viewer" });
    expect(await bearer(token)).toMatchObject({ principal: { role: "viewer" } });
  });

  test("are taken from nobody else, nor by another algorithm", async () => {
    const claims = (jwt: SignJWT) =>
      jwt.setIssuer("deltahook").setSubject(userId).setJti(crypto.randomUUID()).setIssuedAt().setExpirationTime("1h");
    const key = new TextEncoder().encode(SECRET);
    const signed = (alg: string, bytes: Uint8Array, audience: string) =>
      claims(new SignJWT({ gen: 1 }))
        .setAudience(audience)
        .setProtectedHeader({ alg })
        .sign(bytes);
    expect(reason(await bearer(await signed("HS256", key, "deltahook/v1")))).toBe("ok");
    const forged = [
      await signed("HS256", new TextEncoder().encode(SECRET.replace("a", "b")), "deltahook/v1"),
      await signed("HS512", Buffer.concat([key, key]), "deltahook/v1"),
      await signed("HS256", key, "somebody else"),
      new UnsecuredJWT({ gen: 1 })
        .setIssuer("deltahook")
        .setAudience("deltahook/v1")
        .setSubject(userId)
        .setJti(crypto.randomUUID())
        .setIssuedAt()
        .setExpirationTime("1h")
        .encode(),
    ];
    for (const token of forged) expect(reason(await bearer(token))).toBe("unknown");
  });
});

describe("API keys", () => {
  const body = { name: "ci", role: "editor" as const, expires_at: null, rate_limit: null };

  test("are shown once, stored hashed, and come with their role and limit", async () => {
    const created = await identity.apiKeys.create(
      admin,
      { ...body, rate_limit: { max: 50, perMs: 1_000 } },
      undefined,
      start,
    );
    expect(created.key).toMatch(/^dhk_[\w-]{43}$/);
    expect(created).toMatchObject({ created_by: publicUser(), rate_limit: { max: 50, per: "1s" }, last_used_at: null });
    expect(created.key).toStartWith(created.hint);
    const { key, ...shown } = created;
    expect(await identity.apiKeys.get(created.id)).toEqual(shown);
    expect(await bearer(key)).toEqual({
      ok: true,
      via: "api_key",
      principal: {
        kind: "api_key",
        id: parseId("apiKey", created.id) ?? "",
        name: "ci",
        role: "editor",
        rateLimit: { max: 50, perMs: 1_000 },
      },
    });
    const [row] = await db.database.sql`select k::text as row from deltahook.api_keys k`;
    expect(row?.row).not.toContain(key);
  });

  test("get no more role than their maker has, nor does a lesser one touch a greater key", async () => {
    const editor: Principal = { kind: "user", id: userId, name: "ed", role: "editor" };
    const great = await identity.apiKeys.create("cli", { ...body, role: "admin" });
    const small = await identity.apiKeys.create(editor, body);
    for (const change of [
      () => identity.apiKeys.create(editor, { ...body, role: "admin" }),
      () => identity.apiKeys.patch(editor, small.id, { role: "admin" }),
      () => identity.apiKeys.patch(editor, great.id, { name: "mine" }),
      () => identity.apiKeys.delete(editor, great.id),
      () => identity.apiKeys.create({ kind: "nobody" }, { ...body, role: "viewer" }),
    ]) {
      await expect(change()).rejects.toMatchObject({ code: "forbidden" });
    }
    expect(await identity.apiKeys.patch(editor, small.id, { role: "viewer", name: "less" })).toMatchObject({
      role: "viewer",
      name: "less",
    });
  });

  test("expire, and are not made to have expired already", async () => {
    const { key } = await identity.apiKeys.create(
      admin,
      { ...body, expires_at: after(HOUR).toISOString() },
      undefined,
      start,
    );
    expect(reason(await bearer(key, after(HOUR - 1)))).toBe("ok");
    expect(reason(await bearer(key, after(HOUR)))).toBe("expired");
    const late = identity.apiKeys.create(admin, { ...body, expires_at: start.toISOString() }, undefined, after(1));
    await expect(late).rejects.toMatchObject({ faults: [{ pointer: "/expires_at" }] });
  });

  test("end at once where they are deleted, and within 5 s elsewhere", async () => {
    const { id, key } = await identity.apiKeys.create(admin, body);
    expect(reason(await bearer(key))).toBe("ok");
    expect(reason(await bearer(key, start, other))).toBe("ok");
    await identity.apiKeys.delete(admin, id);
    expect(reason(await bearer(key))).toBe("unknown");
    expect(reason(await bearer(key, after(4_999), other))).toBe("ok");
    expect(reason(await bearer(key, after(5_000), other))).toBe("unknown");
  });

  test("cost one query for thousands of requests, and one write a minute", async () => {
    const { id, key } = await identity.apiKeys.create(admin, body);
    await bearer(key);
    await db.database.sql`alter table deltahook.api_keys rename to api_keys_away`;
    const from = performance.now();
    for (let i = 0; i < 5_000; i++) expect(reason(await bearer(key))).toBe("ok");
    expect(performance.now() - from).toBeLessThan(2_500);
    await db.database.sql`alter table deltahook.api_keys_away rename to api_keys`;
    const used = async () => Date.parse((await identity.apiKeys.get(id)).last_used_at ?? "") - start.getTime();
    expect(await used()).toBe(0);
    await bearer(key, after(59_000));
    expect(await used()).toBe(0);
    await bearer(key, after(64_500));
    expect(await used()).toBe(64_500);
  });

  test("that are unknown are asked for again, and a failed look-up is not kept", async () => {
    const { key } = await identity.apiKeys.create(admin, body);
    await db.database.sql`alter table deltahook.api_keys rename to api_keys_away`;
    await expect(bearer(key)).rejects.toThrow();
    await db.database.sql`alter table deltahook.api_keys_away rename to api_keys`;
    expect(reason(await bearer(key))).toBe("ok");
  });
});

test("the sweep drops what has expired and nothing else", async () => {
  const { sql } = db.database;
  const kept = await identity.sessions.start(userId, {}, undefined, start);
  await identity.sessions.start(userId, {}, undefined, after(-13 * HOUR));
  const { token } = await identity.loginTokens.issue(userId, start);
  await identity.loginTokens.revoke(token, undefined, start);
  await sql`insert into deltahook.revoked_tokens values (gen_random_uuid(), ${after(-1)})`;
  await sweepIdentity(db.database, { auditMs: 86_400_000 }, start);
  expect(await sql`select 1 from deltahook.sessions`).toHaveLength(1);
  expect(await sql`select 1 from deltahook.revoked_tokens`).toHaveLength(1);
  expect(reason(await browser(kept))).toBe("ok");
});
