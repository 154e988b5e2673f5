import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { listAudit } from "../../src/identity/audit.ts";
import { createSessions } from "../../src/identity/sessions.ts";
import { claimSetup, createSetupLink, ensureAdmin, isSetupLinkGood } from "../../src/identity/setup.ts";
import { createUsers, type Users } from "../../src/identity/users.ts";
import { parseId } from "../../src/platform/ids.ts";
import { testDatabase } from "../support/database.ts";

const PASSWORD = "three ordinary words";
let db: Awaited<ReturnType<typeof testDatabase>>;
let users: Users;

beforeAll(async () => {
  db = await testDatabase();
  users = createUsers(db.database);
});
afterAll(() => db.drop());
beforeEach(async () => {
  await db.database.sql`truncate deltahook.users, deltahook.setup_links cascade`;
});

const add = (name: string, role: "admin" | "editor" | "viewer" = "admin") =>
  users.create({ email: `${name}@example.com`, name, role, password: PASSWORD });

async function waitUntil(holds: () => Promise<boolean>): Promise<void> {
  for (let tried = 0; tried < 500; tried++) {
    if (await holds()) return;
    await Bun.sleep(10);
  }
  throw new Error("what was waited for did not happen within 5 s");
}

describe("setting up", () => {
  test("a link makes the first admin, once", async () => {
    const token = (await createSetupLink(db.database)) ?? "";
    expect(await isSetupLinkGood(db.database, token)).toBe(true);
    const admin = await claimSetup(db.database, token, { email: " Ada@Example.COM ", password: PASSWORD });
    expect(admin).toMatchObject({ email: "ada@example.com", role: "admin", disabled: false });
    expect(await isSetupLinkGood(db.database, token)).toBe(false);
    const again = claimSetup(db.database, token, { email: "eve@example.com", password: PASSWORD });
    await expect(again).rejects.toMatchObject({ code: "conflict" });
    expect(await createSetupLink(db.database)).toBeNull();
  });

  test("of many claims at once, one wins", async () => {
    const { sql } = db.database;
    const token = (await createSetupLink(db.database)) ?? "";
    const claims: Promise<unknown>[] = [];
    // Nobody can add a user until all of them have come as far as that.
    await sql.begin(async (transaction) => {
      await transaction`lock table deltahook.users in share mode`;
      for (const name of ["a", "b", "c", "d"]) {
        claims.push(
          claimSetup(db.database, token, { email: `${name}@example.com`, password: PASSWORD }).catch((e) => e),
        );
      }
      await waitUntil(async () => {
        const waiting = await sql`select 1 from pg_locks where not granted and relation = 'deltahook.users'::regclass`;
        return waiting.length === claims.length;
      });
    });
    const results = await Promise.all(claims);
    expect(results.filter((result) => !(result instanceof Error))).toHaveLength(1);
    expect(results.filter((result) => (result as { code?: string }).code === "conflict")).toHaveLength(3);
    expect((await users.list({ limit: 10 })).data).toHaveLength(1);
  });

  test("a new start ends the link before it", async () => {
    const first = (await createSetupLink(db.database)) ?? "";
    const second = (await createSetupLink(db.database)) ?? "";
    const claim = claimSetup(db.database, first, { email: "a@example.com", password: PASSWORD });
    await expect(claim).rejects.toMatchObject({ code: "forbidden" });
    await claimSetup(db.database, second, { email: "a@example.com", password: PASSWORD });
  });

  test("a bad password or address does not use the link up", async () => {
    const token = (await createSetupLink(db.database)) ?? "";
    const weak = claimSetup(db.database, token, { email: "a@example.com", password: "password1" });
    await expect(weak).rejects.toMatchObject({ faults: [{ pointer: "/password" }] });
    const odd = claimSetup(db.database, token, { email: "a@@example.com", password: PASSWORD });
    await expect(odd).rejects.toMatchObject({ faults: [{ pointer: "/email" }] });
    await claimSetup(db.database, token, { email: "a@example.com", password: PASSWORD });
  });

  test("ADMIN_EMAIL makes an admin only where nobody is, and on one of several nodes", async () => {
    const admin = { email: "root@example.com", password: PASSWORD };
    const made = await Promise.all([ensureAdmin(db.database, admin), ensureAdmin(db.database, admin)]);
    expect(made.filter((user) => user !== null)).toHaveLength(1);
    expect(await ensureAdmin(db.database, { email: "other@example.com", password: PASSWORD })).toBeNull();
    const [entry] = (await listAudit(db.database, { limit: 1 })).data;
    expect(entry).toMatchObject({ actor: { name: "DeltaHook" }, action: "set_up", detail: { email: admin.email } });
  });
});

describe("users", () => {
  test.each(["", "ada", "ada@", "@example.com", "a b@example.com", "ada@example..com", "a\u0000@example.com"])(
    "are refused with the address %p",
    async (email) => {
      const user = users.create({ email, name: "", role: "viewer", password: PASSWORD });
      await expect(user).rejects.toMatchObject({ code: "invalid", faults: [{ pointer: "/email" }] });
    },
  );

  test("have one account per address, in whatever case", async () => {
    await add("ada");
    const again = users.create({ email: "ADA@example.com", name: "", role: "viewer", password: PASSWORD });
    await expect(again).rejects.toMatchObject({ code: "conflict", faults: [{ pointer: "/email" }] });
    const bob = await add("bob");
    await expect(users.patch(bob.id, { email: "Ada@example.com" })).rejects.toMatchObject({ code: "conflict" });
  });

  test("the last admin can be neither deleted, disabled nor demoted", async () => {
    const ada = await add("ada");
    await add("ed", "editor");
    const disabled = await add("dis");
    await users.patch(disabled.id, { disabled: true });
    for (const change of [
      () => users.delete(ada.id),
      () => users.patch(ada.id, { disabled: true }),
      () => users.patch(ada.id, { role: "editor" }),
    ]) {
      await expect(change()).rejects.toMatchObject({ code: "conflict" });
    }
    await users.patch(ada.id, { name: "Ada L." });
    await add("bob");
    await users.delete(ada.id);
    await expect(users.get(ada.id)).rejects.toMatchObject({ code: "not_found" });
  });

  test("two admins who remove each other at once leave one", async () => {
    for (let round = 0; round < 5; round++) {
      const [ada, bob] = [await add(`ada${round}`), await add(`bob${round}`)];
      await db.database.sql`delete from deltahook.users where email not like ${`%${round}@example.com`}`;
      const both = await Promise.allSettled([users.patch(ada.id, { role: "viewer" }), users.delete(bob.id)]);
      expect(both.filter((change) => change.status === "fulfilled")).toHaveLength(1);
    }
  });

  test("lose their sessions when disabled or given another password", async () => {
    const sessions = createSessions(db.database);
    const ada = await add("ada");
    const uuid = parseId("user", ada.id) ?? "";
    await add("bob");
    for (const change of [{ password: "four ordinary words now" }, { disabled: true }]) {
      await users.patch(ada.id, { disabled: false });
      const token = await sessions.start(uuid, {});
      expect(await sessions.find(token)).toMatchObject({ kind: "user", name: "ada", role: "admin" });
      await users.patch(ada.id, change);
      expect(await sessions.find(token)).toBe("unknown");
    }
    await users.patch(ada.id, { disabled: false });
    expect(await users.get(ada.id)).toMatchObject({ disabled: false });
  });

  test("get another password from the command line, and are let in again", async () => {
    const ada = await add("ada");
    await add("bob");
    await users.patch(ada.id, { disabled: true });
    expect(await users.resetPassword("ADA@example.com", "four ordinary words now")).toMatchObject({ disabled: false });
    await expect(users.resetPassword("nobody@example.com", PASSWORD)).rejects.toMatchObject({ code: "not_found" });
  });

  test("are listed newest first, page by page", async () => {
    for (const name of ["a", "b", "c", "d", "e"]) await add(name, "viewer");
    const first = await users.list({ limit: 3 });
    const second = await users.list({ limit: 3, cursor: first.next ?? "" });
    const rows = await db.database.sql<{ name: string }[]>`select name from deltahook.users order by id desc`;
    expect([...first.data, ...second.data].map((user) => user.name)).toEqual(rows.map((row) => row.name));
    expect(second.next).toBeNull();
  });
});
