import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { sealHeaders } from "../../src/vault/headers.ts";
import { rotateVault } from "../../src/vault/rotate.ts";
import { createSecrets } from "../../src/vault/secrets.ts";
import { createVault, keyIdOf } from "../../src/vault/vault.ts";
import { testDatabase } from "../support/database.ts";

const OLD = "an old master key of enough characters";
const NEW = "a new master key of enough characters!";
const before = createVault({ masterKey: OLD });
const both = createVault({ masterKey: NEW, previousKeys: [OLD] });
const after = createVault({ masterKey: NEW });

let db: Awaited<ReturnType<typeof testDatabase>>;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());
beforeEach(async () => {
  await db.database.sql`truncate deltahook.secrets, deltahook.endpoints, deltahook.watches, deltahook.events,
    deltahook.dead_letters, deltahook.oauth_tokens cascade`;
});

/** The ids of `count` secrets under the old key. */
async function plantSecrets(count: number): Promise<string[]> {
  const secrets = createSecrets(db.database, before);
  for (let i = 0; i < count; i++) await secrets.create({ name: `secret ${i}`, kind: "bearer", value: `token ${i}` });
  const rows = await db.database.sql<{ id: string }[]>`select id from deltahook.secrets order by length(name), name`;
  return rows.map((row) => row.id);
}

async function oldOnes(): Promise<number> {
  const rows = await db.database.sql<{ sealed: string }[]>`select sealed from deltahook.secrets`;
  return rows.filter((row) => keyIdOf(row.sealed) === before.currentKeyId).length;
}

describe("rotating the vault", () => {
  test("brings every place under the current key, and keeps all other bytes", async () => {
    const { sql } = db.database;
    const [id = ""] = await plantSecrets(1);
    const headers = JSON.stringify(await sealHeaders(before, id, { "x-token": "h-1", accept: "a  b" }));
    const definition = `{"n": 1.0, "big":12345678901234567890, "note": "\\"sealed\\": \\"eyJ.a.b.c.d\\"", "request": {"headers": ${headers}}}`;
    const token = await before.seal("token", id, "tok-1");
    const signing = JSON.stringify([{ sealed: await before.seal("signing", id, "whsec_1"), expires_at: null }]);
    await sql`insert into deltahook.oauth_tokens (secret_id, sealed, secret_revision, expires_at)
      values (${id}, ${token}, 1, now() + interval '1 hour')`;
    await sql`insert into deltahook.endpoints (id, name, url, event_types, max_in_flight, signing, headers)
      values (${id}, 'e', 'https://e.example', '{*}', 1, ${signing}::text::json, ${headers}::text::json)`;
    await sql`insert into deltahook.watches (id, name, definition, host)
      values (${id}, 'w', ${definition}::text::json, 'e.example')`;
    await sql`insert into deltahook.events (id, type, data, origin, target)
      values (deltahook.uuid7(), 't', '{}', 'api', ${`{"headers": ${headers}}`}::text::json)`;
    await sql`insert into deltahook.events (id, type, data, origin) values (deltahook.uuid7(), 't', '{}', 'api')`;
    await sql`insert into deltahook.dead_letters
      (delivery_id, event_id, endpoint_id, type, data, target, reason, attempts)
      values (${id}, ${id}, ${id}, 't', '{}', ${`{"headers": ${headers}}`}::text::json, 'gone', 1)`;

    const report = await rotateVault(db.database, both);
    expect(report).toEqual({ resealed: 7, unopened: [], finished: true });
    expect(await createSecrets(db.database, after).openCredential(id)).toEqual({ kind: "bearer", token: "token 0" });

    const [row] = await sql<Record<string, string>[]>`
      select t.sealed as token, e.signing::text, e.headers::text, w.definition::text, d.target::text as dead,
             (select target::text from deltahook.events where target is not null) as event
      from deltahook.oauth_tokens t, deltahook.endpoints e, deltahook.watches w, deltahook.dead_letters d`;
    const sealedIn = (text = "") => /eyJ[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+/.exec(text)?.[0] ?? "";
    expect(await after.open("token", id, row?.token ?? "")).toBe("tok-1");
    expect(await after.open("signing", id, sealedIn(row?.signing))).toBe("whsec_1");
    for (const place of ["headers", "definition", "dead", "event"]) {
      expect(await after.open("header:x-token", id, sealedIn(row?.[place]))).toBe("h-1");
    }
    expect(row?.definition?.replace(sealedIn(row?.definition), "X")).toBe(
      definition.replace(sealedIn(definition), "X"),
    );
    expect(await rotateVault(db.database, both)).toEqual({ resealed: 0, unopened: [], finished: true });
  });

  test("goes on after a stop in the middle, doing nothing twice", async () => {
    await plantSecrets(10);
    const stop = new AbortController();
    const first = await rotateVault(db.database, both, {
      batchSize: 2,
      signal: stop.signal,
      onProgress: ({ resealed }) => resealed >= 4 && stop.abort(),
    });
    expect(first).toEqual({ resealed: 4, unopened: [], finished: false });
    expect(await oldOnes()).toBe(6);
    const second = await rotateVault(db.database, both, { batchSize: 2 });
    expect(second).toEqual({ resealed: 6, unopened: [], finished: true });
    expect(await oldOnes()).toBe(0);
  });

  test("reports what it cannot open, leaves that as it is and does the rest", async () => {
    const ids = await plantSecrets(3);
    const stranger = createVault({ masterKey: "a master key that nobody remembers now" });
    await db.database
      .sql`update deltahook.secrets set sealed = left(sealed, -6) || 'AAAAAA' where id = ${ids[0] ?? ""}`;
    const lost = await stranger.seal("secret:bearer", ids[1] ?? "", "x");
    await db.database.sql`update deltahook.secrets set sealed = ${lost} where id = ${ids[1] ?? ""}`;
    const report = await rotateVault(db.database, both);
    expect(report.resealed).toBe(1);
    expect(report.unopened.map(({ table, id }) => ({ table, id }))).toEqual([
      { table: "secrets", id: ids[0] ?? "" },
      { table: "secrets", id: ids[1] ?? "" },
    ]);
    expect(report.unopened[0]?.message).toContain("damaged or altered");
    expect(report.unopened[1]?.message).toContain("MASTER_KEY_PREVIOUS");
  });

  test("gives no swapped value a place that it did not have", async () => {
    const [a = "", b = ""] = await plantSecrets(2);
    await db.database.sql`
      update deltahook.secrets s set sealed = o.sealed from deltahook.secrets o where s.id = ${a} and o.id = ${b}`;
    await rotateVault(db.database, both);
    await expect(createSecrets(db.database, after).openCredential(a)).rejects.toThrow("another place");
  });

  test("overwrites nothing that people change meanwhile, and opens everything all along", async () => {
    const ids = await plantSecrets(40);
    const secrets = createSecrets(db.database, both);
    const changed = ids.filter((_, i) => i % 2 === 0);
    const change = async () => {
      for (const id of changed) {
        await secrets.patch(`sec_${id.replaceAll("-", "")}`, { value: `changed ${id}` });
        for (const opened of (await secrets.openSecrets(ids)).values()) expect(opened).toHaveProperty("credential");
      }
    };
    const [report] = await Promise.all([rotateVault(db.database, both, { batchSize: 3 }), change()]);
    expect(report.unopened).toEqual([]);
    expect(await oldOnes()).toBe(0);
    const opened = await createSecrets(db.database, after).openSecrets(ids);
    for (const [i, id] of ids.entries()) {
      const token = i % 2 === 0 ? `changed ${id}` : `token ${i}`;
      expect(opened.get(id)).toMatchObject({ credential: { kind: "bearer", token } });
    }
  });
});
