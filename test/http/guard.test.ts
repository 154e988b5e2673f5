import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { sessionCookieName } from "../../src/identity/cookies.ts";
import { atLeast, ROLES, type Role } from "../../src/identity/principal.ts";
import { PUBLIC_URL, type TestApp, testApp } from "./support.ts";
import { roomRoutes } from "./whole_table.ts";

let app: TestApp;
let cookie: string;
let adminId: string;
beforeAll(async () => {
  app = await testApp({}, roomRoutes);
  const body = { email: "ada@example.com", name: "Ada", role: "admin", password: "correct horse battery" } as const;
  adminId = (await app.identity.users.create(body)).id;
  const [row] = await app.database.sql<{ id: string }[]>`select id from deltahook.users`;
  const token = await app.identity.sessions.start(row?.id ?? "", {});
  cookie = `theme=dark; ${sessionCookieName(false)}=${token}; other=1`;
});
afterAll(() => app.close());

/** Asks every route of the table, with bodies that get no further than validation. */
async function askAll(as: Role | undefined): Promise<Map<string, number>> {
  const statuses = new Map<string, number>();
  for (const { method, path, body } of app.routes) {
    if (path === "/v1/auth/logout") continue;
    const answer = await app.call(method, path.replace(/:\w+/g, "none"), {
      ...(as ? { as } : {}),
      ...(body ? { body: "{}" } : {}),
    });
    statuses.set(`${method} ${path}`, answer.status);
  }
  return statuses;
}

describe("every route of the table asks for its role", () => {
  for (const role of ROLES) {
    test(`as ${role}`, async () => {
      const statuses = await askAll(role);
      for (const { method, path, access } of app.routes) {
        const status = statuses.get(`${method} ${path}`);
        if (status === undefined || access === "open") continue;
        expect([method, path, status !== 403, status !== 401]).toEqual([method, path, atLeast(role, access), true]);
      }
    });
  }

  test("without credentials only the open ones answer", async () => {
    const statuses = await askAll(undefined);
    for (const { method, path, access } of app.routes) {
      const status = statuses.get(`${method} ${path}`);
      if (status === undefined) continue;
      expect([method, path, status === 401]).toEqual([method, path, access !== "open"]);
    }
  });

  test("and these are the open ones", () => {
    const open = app.routes.filter((route) => route.access === "open" && !route.path.startsWith("/assets/"));
    expect(open.map(({ method, path }) => `${method} ${path}`).sort()).toEqual([
      "GET /docs",
      "GET /healthz",
      "GET /openapi.json",
      "GET /readyz",
      "GET /setup",
      "POST /setup",
      "POST /v1/auth/login",
      "POST /v1/setup",
    ]);
  });
});

describe("a request with a session's cookie that changes something must come from our own page", () => {
  const cases: [name: string, headers: Record<string, string>, status: number][] = [
    ["from our page", { "sec-fetch-site": "same-origin" }, 201],
    ["from our page, on plain http", { origin: PUBLIC_URL }, 201],
    ["from another site", { "sec-fetch-site": "cross-site", origin: "https://evil.example" }, 403],
    ["from another port of this host", { "sec-fetch-site": "same-site", origin: "http://127.0.0.1:9999" }, 403],
    ["from another site, on plain http", { origin: "http://127.0.0.1:9999" }, 403],
    ["typed into the address bar", { "sec-fetch-site": "none" }, 403],
    ["with an Origin that lies beside Sec-Fetch-Site", { "sec-fetch-site": "cross-site", origin: PUBLIC_URL }, 403],
    ["with an opaque origin", { origin: "null" }, 403],
    ["with neither header", {}, 403],
  ];
  for (const [name, headers, status] of cases) {
    test(`${status}: ${name}`, async () => {
      const body = { name: `Key ${name}`.slice(0, 60), role: "viewer" };
      const answer = await app.call("POST", "/v1/api-keys", { headers: { cookie, ...headers }, body });
      expect(answer.status).toBe(status);
      if (status === 403) expect(answer.json.detail).toContain("PUBLIC_URL");
    });
  }

  test("reading needs no such proof", async () => {
    expect((await app.call("GET", "/v1/users", { headers: { cookie } })).status).toBe(200);
  });

  test("an API key needs none either, whatever the headers", async () => {
    const headers = { "sec-fetch-site": "cross-site" };
    expect((await app.call("POST", "/v1/probe/x", { as: "editor", headers, body: { name: "a" } })).status).toBe(200);
  });

  test("a header of no use is refused, and not covered up by a cookie", async () => {
    const headers = { cookie, authorization: "Bearer dhk_wrong" };
    expect((await app.call("GET", "/v1/users", { headers })).status).toBe(401);
  });
});

test("an API key past its expiry is refused, and says so", async () => {
  const soon = new Date(Date.now() + 50);
  const created = await app.identity.apiKeys.create("cli", {
    name: "short",
    role: "admin",
    expires_at: soon.toISOString(),
    rate_limit: null,
  });
  await Bun.sleep(80);
  const answer = await app.call("GET", "/v1/users", { headers: { authorization: `Bearer ${created.key}` } });
  expect([answer.status, answer.json.detail]).toEqual([401, expect.stringContaining("expired")]);
});

test("somebody who is disabled is out at once", async () => {
  const person = { email: "bob@example.com", name: "", role: "admin", password: "correct horse battery" } as const;
  const bob = await app.identity.users.create(person);
  const { json } = await app.call("POST", "/v1/auth/login", { body: { email: bob.email, password: person.password } });
  const headers = { authorization: `Bearer ${json.token}` };
  expect((await app.call("GET", "/v1/users", { headers })).status).toBe(200);
  await app.call("PATCH", `/v1/users/${bob.id}`, { as: "admin", body: { disabled: true } });
  expect((await app.call("GET", "/v1/users", { headers })).status).toBe(401);
});

test("no editor raises himself: a key above one's own role is refused", async () => {
  const answer = await app.call("POST", "/v1/api-keys", { as: "editor", body: { name: "up", role: "admin" } });
  expect(answer.status).toBe(403);
  expect((await app.call("DELETE", `/v1/users/${adminId}`, { as: "editor" })).status).toBe(403);
});
