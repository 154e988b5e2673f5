import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { listAudit } from "../../src/identity/audit.ts";
import { changePassword, signIn } from "../../src/identity/login.ts";
import { createSessions } from "../../src/identity/sessions.ts";
import { createUsers, type Users } from "../../src/identity/users.ts";
import { parseId } from "../../src/platform/ids.ts";
import { testDatabase } from "../support/database.ts";

const PASSWORD = "three ordinary words";
const email = "ada@example.com";
const home = "198.51.100.1";
const start = new Date("2026-11-21T12:00:00Z");
const after = (seconds: number) => new Date(start.getTime() + seconds * 1000);

let db: Awaited<ReturnType<typeof testDatabase>>;
let users: Users;
let adaId: string;

beforeAll(async () => {
  db = await testDatabase();
  users = createUsers(db.database);
});
afterAll(() => db.drop());
beforeEach(async () => {
  await db.database.sql`truncate deltahook.users, deltahook.login_throttle, deltahook.audit_log cascade`;
  adaId = (await users.create({ email, name: "Ada", role: "admin", password: PASSWORD })).id;
});

const good = (address = home, now = start) => signIn(db.database, { email, password: PASSWORD, address }, now);
const bad = (address = home, now = start, who = email) =>
  signIn(db.database, { email: who, password: "not the words", address }, now).catch((error: unknown) => error);

/** As if `failures` tries had failed just now. */
async function plant(subject: string, failures: number): Promise<void> {
  await db.database.sql`
    update deltahook.login_throttle set failures = ${failures} where subject like ${`${subject}:%`}`;
}

describe("signing in", () => {
  test("takes the password, with the address in whatever case", async () => {
    const signedIn = await signIn(db.database, { email: " ADA@example.com", password: PASSWORD, address: home });
    expect(signedIn.user).toMatchObject({ id: adaId, email, role: "admin" });
    expect(signedIn.userId).toBe(parseId("user", adaId) ?? "");
  });

  test("answers an unknown person and a wrong password alike", async () => {
    const wrong = await bad();
    const unknown = await bad(home, start, "nobody@example.com");
    expect(wrong).toMatchObject({ code: "unauthenticated" });
    expect(unknown).toMatchObject({ code: "unauthenticated", message: (wrong as Error).message });
  });

  test("takes as long for an unknown person as for a wrong password", async () => {
    const measure = async (who: string, i: number) => {
      const from = performance.now();
      await bad(`203.0.113.${i}`, start, who);
      return performance.now() - from;
    };
    const [wrong, unknown]: [number[], number[]] = [[], []];
    for (let i = 0; i < 18; i++) {
      wrong.push(await measure(email, i));
      unknown.push(await measure(`nobody${i}@example.com`, i));
    }
    const median = (times: number[]) => [...times].sort((a, b) => a - b)[times.length >> 1] ?? 0;
    expect(Math.abs(median(wrong) / median(unknown) - 1)).toBeLessThan(0.25);
  });

  test("tells only who knows the password that the account is disabled", async () => {
    await users.create({ email: "bob@example.com", name: "", role: "admin", password: PASSWORD });
    await users.patch(adaId, { disabled: true });
    await expect(good()).rejects.toMatchObject({ code: "forbidden" });
    expect(await bad()).toMatchObject({ code: "unauthenticated" });
  });

  test("waits longer and longer after five failures, and says how long", async () => {
    for (let i = 0; i < 5; i++) expect(await bad()).toMatchObject({ code: "unauthenticated" });
    expect(await bad()).toMatchObject({ code: "throttled", retryAfterSeconds: 5 });
    await expect(good()).rejects.toMatchObject({ code: "throttled" });
    expect(await bad(home, after(5))).toMatchObject({ code: "unauthenticated" });
    expect(await bad(home, after(5))).toMatchObject({ code: "throttled", retryAfterSeconds: 10 });
    await good(home, after(15));
    for (let i = 0; i < 5; i++) expect(await bad(home, after(16))).toMatchObject({ code: "unauthenticated" });
  });

  test("lets no more than five through of many wrong tries at once", async () => {
    const tries = await Promise.all(Array.from({ length: 20 }, () => bad()));
    expect(tries.filter((error) => (error as { code: string }).code === "unauthenticated")).toHaveLength(5);
    expect(tries.filter((error) => (error as { code: string }).code === "throttled")).toHaveLength(15);
  });

  test("does not lock the owner out while others guess from elsewhere", async () => {
    await good(home);
    await bad("203.0.113.1");
    await plant("account", 1_000);
    expect(await bad("203.0.113.2")).toMatchObject({ code: "throttled", retryAfterSeconds: 900 });
    await good(home);
    await expect(good("198.51.100.99")).rejects.toMatchObject({ code: "throttled" });
  });

  test("slows an address that tries many accounts, and leaves other addresses alone", async () => {
    await bad("203.0.113.1", start, "a@example.com");
    await plant("address", 60);
    expect(await bad("203.0.113.1", start, "b@example.com")).toMatchObject({ code: "throttled" });
    expect(await bad("203.0.113.2", start, "b@example.com")).toMatchObject({ code: "unauthenticated" });
  });

  test("does not lock the owner out while a neighbour at the same address guesses at others", async () => {
    await good(home);
    await bad(home, start, "a@example.com");
    await plant("address", 1_000);
    expect(await bad(home, start, "b@example.com")).toMatchObject({ code: "throttled" });
    await good(home);
  });

  test("leaves no failure counted after a success", async () => {
    await good();
    const rows = await db.database.sql<{ failures: number }[]>`select failures from deltahook.login_throttle`;
    expect(rows.every((row) => row.failures === 0)).toBe(true);
  });
});

describe("the audit log of failed sign-ins", () => {
  const entries = async () => {
    const { data } = await listAudit(db.database, { limit: 50 });
    return data.map(({ action, actor, resource, address, detail }) => ({ action, actor, resource, address, detail }));
  };
  const nobody = { kind: "system" as const, id: null, name: "not signed in" };

  test("names the account and counts what repeats within a minute", async () => {
    for (let i = 0; i < 3; i++) await bad(home, after(i));
    await bad(home, after(61));
    await bad("203.0.113.7", after(2));
    const entry = { action: "login_failed", actor: nobody, resource: { kind: "user", id: adaId } };
    expect(await entries()).toEqual([
      { ...entry, address: "203.0.113.7", detail: { why: "wrong password", email } },
      { ...entry, address: home, detail: { why: "wrong password", email } },
      { ...entry, address: home, detail: { why: "wrong password", email, count: 3 } },
    ]);
  });

  test("keeps no address that is nobody's, for it may be a mistyped password, and is not filled by guessing", async () => {
    for (let i = 0; i < 20; i++) await bad(home, start, `planted-${i}`);
    expect(await entries()).toEqual([
      {
        action: "login_failed",
        actor: nobody,
        resource: { kind: "user", id: null },
        address: home,
        detail: { why: "no such account", count: 20 },
      },
    ]);
  });

  test("tells of lock-outs and of disabled accounts, and of no success", async () => {
    for (let i = 0; i < 7; i++) await bad();
    await good("203.0.113.9");
    await users.create({ email: "eve@example.com", name: "", role: "admin", password: PASSWORD });
    await users.patch(adaId, { disabled: true });
    await good("203.0.113.9").catch(() => {});
    const told = (await entries()).map(({ action, detail }) => [action, detail?.why, detail?.count ?? 1]);
    expect(told).toEqual([
      ["login_failed", "account disabled", 1],
      ["login_locked", "locked", 2],
      ["login_failed", "wrong password", 5],
    ]);
  });
});

describe("changing one's password", () => {
  const me = () => ({ kind: "user" as const, id: parseId("user", adaId) ?? "", name: "Ada", role: "admin" as const });
  const change = (old_password: string, new_password: string) =>
    changePassword(db.database, me(), { old_password, new_password, address: home }, start);

  test("needs the old one and ends every session", async () => {
    const sessions = createSessions(db.database);
    const token = await sessions.start(me().id, {});
    await expect(change("not the words", "five other words in here")).rejects.toMatchObject({
      faults: [{ pointer: "/old_password" }],
    });
    await expect(change(PASSWORD, "password123")).rejects.toMatchObject({ faults: [{ pointer: "/new_password" }] });
    expect(await sessions.find(token)).toMatchObject({ kind: "user" });
    await change(PASSWORD, "five other words in here");
    expect(await sessions.find(token)).toBe("unknown");
    await expect(good()).rejects.toMatchObject({ code: "unauthenticated" });
    await signIn(db.database, { email, password: "five other words in here", address: home }, start);
  });

  test("is throttled like a login", async () => {
    for (let i = 0; i < 5; i++) await change("not the words", "x").catch(() => {});
    await expect(change(PASSWORD, "five other words in here")).rejects.toMatchObject({ code: "throttled" });
  });

  test("is not for API keys", async () => {
    const key = { kind: "api_key" as const, id: me().id, name: "k", role: "admin" as const };
    const body = { old_password: "a", new_password: "b", address: home };
    await expect(changePassword(db.database, key, body)).rejects.toMatchObject({ code: "forbidden" });
  });
});
