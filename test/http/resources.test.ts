import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { sessionCookieName } from "../../src/identity/cookies.ts";
import { parseId } from "../../src/platform/ids.ts";
import { type TestApp, testApp } from "./support.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp();
});
afterAll(() => app.close());

const person = { email: "grace@example.com", name: "Grace", role: "editor", password: "correct horse battery" };

/** What each resource is made of, and what changes in it. */
const resources = [
  { path: "/v1/users", as: "admin", create: person, patch: { name: "G." }, hidden: person.password },
  {
    path: "/v1/api-keys",
    as: "editor",
    create: { name: "CI", role: "viewer", rate_limit: { max: 5, per: "1s" } },
    patch: { name: "CI 2" },
    hidden: "dhk_no",
  },
  {
    path: "/v1/secrets",
    as: "editor",
    create: { name: "ERP", kind: "basic", value: { username: "u", password: "pl4nted-value" } },
    patch: { name: "ERP 2", value: { password: "pl4nted-value" } },
    hidden: "pl4nted-value",
  },
] as const;

for (const { path, as, create, patch, hidden } of resources) {
  test(`${path}: create, show, list, change, delete; each is in the audit log, no secret value in any answer`, async () => {
    const created = await app.call("POST", path, { as, body: create });
    expect(created.status).toBe(201);
    const { id } = created.json;

    const shown = await app.call("GET", `${path}/${id}`, { as });
    const changed = await app.call("PATCH", `${path}/${id}`, { as, body: patch });
    const listed = await app.call("GET", path, { as });
    expect([shown.status, changed.status, listed.status]).toEqual([200, 200, 200]);
    expect(changed.json).toMatchObject({ id, name: patch.name });
    expect(listed.json.data).toContainEqual(changed.json);

    const deleted = await app.call("DELETE", `${path}/${id}`, { as });
    expect([deleted.status, deleted.text]).toEqual([204, ""]);
    expect((await app.call("GET", `${path}/${id}`, { as })).status).toBe(404);
    expect((await app.call("DELETE", `${path}/${id}`, { as })).status).toBe(404);

    const audit = await app.call("GET", "/v1/audit?limit=3", { as: "admin" });
    const entries = audit.json.data as { action: string; resource: { id: string }; actor: { name: string } }[];
    expect(entries.map(({ action, resource, actor }) => [action, resource.id, actor.name])).toEqual([
      ["delete", id, as],
      ["update", id, as],
      ["create", id, as],
    ]);
    for (const { text } of [shown, changed, listed, audit]) expect(text).not.toContain(hidden);
    expect(app.logged()).not.toContain(hidden);
  });
}

test("a list is walked to its end by cursors, newest first, each element once", async () => {
  const names = Array.from({ length: 7 }, (_, i) => `walk ${i}`);
  for (const name of names)
    await app.call("POST", "/v1/secrets", { as: "editor", body: { name, kind: "bearer", value: "v" } });
  const seen: string[] = [];
  let cursor = "";
  do {
    const { json } = await app.call("GET", `/v1/secrets?limit=3${cursor}`, { as: "viewer" });
    seen.push(...json.data.map((secret: { name: string }) => secret.name));
    cursor = json.next === null ? "" : `&cursor=${json.next}`;
  } while (cursor !== "");
  expect(seen).toEqual(names.toReversed());
});

describe("login", () => {
  const login = (password: string) =>
    app.call("POST", "/v1/auth/login", { body: { email: "ida@example.com", password } });
  const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

  test("gives a token that works until it is given back", async () => {
    await app.call("POST", "/v1/users", { as: "admin", body: { ...person, email: "ida@example.com" } });
    const { status, json } = await login(person.password);
    expect(status).toBe(200);
    expect(Date.parse(json.expires_at) - Date.now()).toBeWithin(3_500_000, 3_600_001);
    expect((await app.call("GET", "/v1/secrets", bearer(json.token))).status).toBe(200);
    expect((await app.call("POST", "/v1/auth/logout", bearer(json.token))).status).toBe(204);
    expect((await app.call("GET", "/v1/secrets", bearer(json.token))).status).toBe(401);
  });

  test("says the same of a wrong password and of an unknown person", async () => {
    const wrong = await login("not the password");
    const unknown = await app.call("POST", "/v1/auth/login", { body: { email: "nobody@example.com", password: "x" } });
    expect([wrong.status, wrong.json.detail]).toEqual([401, unknown.json.detail]);
  });

  test("a changed password ends every token", async () => {
    const { token } = (await login(person.password)).json;
    const body = { old_password: person.password, new_password: "a wholly different one" };
    expect((await app.call("POST", "/v1/auth/password", { ...bearer(token), body })).status).toBe(204);
    expect((await app.call("GET", "/v1/secrets", bearer(token))).status).toBe(401);
    expect((await login(person.password)).status).toBe(401);
    expect((await login("a wholly different one")).status).toBe(200);
  });

  test("logging out of a session ends it and takes the cookie away", async () => {
    const { json } = await app.call("POST", "/v1/users", {
      as: "admin",
      body: { ...person, email: "lin@example.com" },
    });
    const token = await app.identity.sessions.start(parseId("user", json.id) ?? "", {});
    const headers = { cookie: `${sessionCookieName(false)}=${token}`, "sec-fetch-site": "same-origin" };
    const out = await app.call("POST", "/v1/auth/logout", { headers });
    expect(out.status).toBe(204);
    expect(out.headers.get("set-cookie")).toContain("Max-Age=0");
    expect((await app.call("GET", "/v1/secrets", { headers })).status).toBe(401);
  });

  test("an API key cannot log out", async () => {
    expect((await app.call("POST", "/v1/auth/logout", { as: "viewer" })).status).toBe(403);
  });
});
