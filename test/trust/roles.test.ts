import { afterAll, beforeAll, expect, test } from "bun:test";
import { atLeast, ROLES } from "../../src/identity/principal.ts";
import { type WholeApp, wholeApp } from "./whole_app.ts";

let app: WholeApp;
beforeAll(async () => {
  app = await wholeApp();
});
afterAll(() => app.close());

/** Routes that are let in without any credentials: this list is the place to think twice. */
const OPEN = [
  "GET /docs",
  "GET /healthz",
  "GET /openapi.json",
  "GET /readyz",
  "GET /setup",
  "GET /sign-in",
  "POST /setup",
  "POST /sign-in",
  "POST /theme",
  "POST /v1/auth/login",
  "POST /v1/setup",
];

/** A path is left alone when it ends the caller's own session, or never ends by itself. */
const ASKED = () => app.routes.filter(({ path }) => !/logout|sign-out|stream|live/.test(path));

const named = ({ method, path }: { method: string; path: string }) => `${method} ${path}`;

test("the table is that of the whole server", () => {
  const tags = new Set(app.routes.map(({ tag }) => tag));
  for (const tag of [
    "Watches",
    "Endpoints",
    "Events",
    "Deliveries",
    "Dead letters",
    "Operations",
    "Plugins",
    "Hosts",
    "Secrets",
    "Users",
    "API keys",
  ]) {
    expect(tags).toContain(tag);
  }
  expect(app.routes.filter(({ kind }) => kind === "page").length).toBeGreaterThan(30);
});

test("only these routes are open", () => {
  const open = app.routes.filter(({ access, path }) => access === "open" && !path.startsWith("/assets/"));
  expect(open.map(named).sort()).toEqual(OPEN);
});

test("an admin's alone are people and the audit log", () => {
  const admins = app.routes.filter(({ access, kind }) => access === "admin" && kind !== "page").map(({ path }) => path);
  expect([...new Set(admins)].sort()).toEqual(["/v1/audit", "/v1/users", "/v1/users/:id"]);
});

test("a viewer changes nothing and reads no secret", () => {
  const viewers = app.routes.filter(
    ({ access, method, kind }) => access === "viewer" && method !== "GET" && kind !== "page",
  );
  expect(viewers.map(named).sort()).toEqual(["POST /v1/auth/logout", "POST /v1/auth/password", "POST /v1/jsonpath"]);
  expect(app.routes.find(({ path }) => path === "/v1/endpoints/:id/secret")?.access).toBe("editor");
});

for (const role of [...ROLES, "nobody"] as const) {
  test(`every route × ${role}`, async () => {
    for (const route of ASKED()) {
      if (route.access === "open") continue;
      const body = !route.body ? undefined : route.kind === "page" ? "" : "{}";
      const headers = { "sec-fetch-site": "same-origin" };
      const path = route.path.replace(/:\w+/g, "none");
      const { status } = await app.call(route.method, path, body, { as: role, headers });
      const refused = status === 401 || status === 403 || (route.kind === "page" && status === 303);
      const mayCome = role !== "nobody" && atLeast(role, route.access);
      expect([named(route), role, status, refused && !mayCome]).toEqual([named(route), role, status, !mayCome]);
    }
  });
}
