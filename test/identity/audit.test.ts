import { afterAll, beforeAll, expect, test } from "bun:test";
import { audit, listAudit, pruneAudit } from "../../src/identity/audit.ts";
import { testDatabase } from "../support/database.ts";

let db: Awaited<ReturnType<typeof testDatabase>>;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());

const actorId = "01a2002e-96e7-747d-be03-8208da48061f";

test("tells who did what to which resource, from where and when", async () => {
  await audit(db.database.sql, {
    actor: { kind: "api_key", id: actorId, name: "ci", role: "editor" },
    action: "create",
    resource: { kind: "watch", id: "watch_1" },
    address: "192.0.2.1",
    detail: { name: "Order 42" },
  });
  const [entry] = (await listAudit(db.database, { limit: 1 })).data;
  expect(entry).toMatchObject({
    actor: { kind: "api_key", id: `key_${actorId.replaceAll("-", "")}`, name: "ci" },
    action: "create",
    resource: { kind: "watch", id: "watch_1" },
    address: "192.0.2.1",
    detail: { name: "Order 42" },
  });
  expect(Math.abs(Date.parse(entry?.at ?? "") - Date.now())).toBeLessThan(60_000);
});

test("keeps no value that looks like a secret, at any depth", async () => {
  const detail = { secret_id: "sec_1", value: { token: "m-1" }, headers: [{ Authorization: "m-2", accept: "a" }] };
  await audit(db.database.sql, { actor: "cli", action: "update", resource: { kind: "secret" }, detail });
  const [entry] = (await listAudit(db.database, { limit: 1 })).data;
  expect(entry?.detail).toEqual({
    secret_id: "sec_1",
    value: "***",
    headers: [{ Authorization: "***", accept: "a" }],
  });
});

test("is dropped when it is older than its term, however much there is", async () => {
  const { sql } = db.database;
  const now = Date.now();
  const ids = Array.from({ length: 4_100 }, (_, i) => Bun.randomUUIDv7("hex", now - 8 * 86_400_000 + i));
  await sql`
    insert into deltahook.audit_log (id, actor_kind, actor_name, action, resource_kind)
    select id, 'system', 'x', 'old', 'node' from unnest(${ids}::uuid[]) id`;
  await audit(sql, { actor: "system", action: "young", resource: { kind: "node" } });
  await pruneAudit(sql, new Date(now - 7 * 86_400_000));
  const left = (await listAudit(db.database, { limit: 200 })).data.map(({ action }) => action);
  expect(left).toContain("young");
  expect(left).not.toContain("old");
});

test("joins the transaction that it tells about", async () => {
  const failing = db.database.sql.begin(async (transaction) => {
    await audit(transaction, { actor: "system", action: "never", resource: { kind: "watch" } });
    throw new Error("undone");
  });
  await expect(failing).rejects.toThrow("undone");
  const { data } = await listAudit(db.database, { limit: 200 });
  expect(data.map((entry) => entry.action)).not.toContain("never");
});

test("is listed newest first, page by page", async () => {
  for (let i = 0; i < 5; i++) {
    await audit(db.database.sql, { actor: "system", action: `a${i}`, resource: { kind: "node" } });
    await Bun.sleep(2);
  }
  const first = await listAudit(db.database, { limit: 3 });
  const second = await listAudit(db.database, { limit: 2, cursor: first.next ?? "" });
  expect([...first.data, ...second.data].map((entry) => entry.action)).toEqual(["a4", "a3", "a2", "a1", "a0"]);
});
