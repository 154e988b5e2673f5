import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createResources } from "../../src/delivering/resources.ts";
import { createApp } from "../../src/http/app.ts";
import { dashboardRoutes } from "../../src/http/pages/dashboard.ts";
import type { Route } from "../../src/http/route.ts";
import { createIdentity, type Identity } from "../../src/identity/identity.ts";
import { ROLES, type Role } from "../../src/identity/principal.ts";
import { createClock } from "../../src/platform/clock.ts";
import { loadConfig } from "../../src/platform/config.ts";
import { parseId } from "../../src/platform/ids.ts";
import { silentLog } from "../../src/platform/log.ts";
import { createRollups } from "../../src/platform/rollups.ts";
import { createOAuthTokens } from "../../src/vault/oauth.ts";
import { createSecrets } from "../../src/vault/secrets.ts";
import { createWatching } from "../../src/watching/watching.ts";
import { testDatabase } from "../support/database.ts";
import { loopback, startEngine, vault } from "../support/engine.ts";
import { answered, type Called, PUBLIC_URL } from "./support.ts";

const PASSWORD = "correct horse battery staple";
const PLANTED = "pl4nted-value";

type Site = {
  pages: Route[];
  identity: Identity;
  /** As a browser does: with the session of a role, from our own page. */
  visit(method: "GET" | "POST", path: string, options?: Visit): Promise<Called>;
  close(): Promise<void>;
};
type Visit = { as?: Role; fields?: Record<string, string>; headers?: Record<string, string> };

let site: Site;
beforeAll(async () => {
  site = await openSite();
});
afterAll(() => site.close());

/** Every page on a real database; nothing is sent or polled. */
async function openSite(): Promise<Site> {
  const { database, target, drop } = await testDatabase();
  const engine = startEngine({ database, target }, { work: false });
  const clock = createClock();
  const rollups = createRollups("test-node");
  const secrets = createSecrets(database, vault);
  const tokens = createOAuthTokens({ database, vault, outbound: loopback });
  const shared = { database, clock, log: silentLog, vault, rollups };
  const { delivering } = engine;
  const resources = createResources({ ...shared, delivering, retainEventsMs: 86_400_000 });
  const watching = createWatching({
    ...shared,
    outbound: loopback,
    secrets,
    tokens,
    publish: delivering.publish,
    concurrency: 4,
    hostConcurrency: 4,
    hostRate: 0,
    timeoutMs: 2_000,
    maxBytes: 100_000,
  });
  const identity = createIdentity({ database, jwtSecret: "j".repeat(48), https: false });
  const { config } = loadConfig({ MASTER_KEY: PLANTED.repeat(4) });
  const pages = dashboardRoutes({
    database,
    identity,
    resources,
    watching,
    secrets,
    config,
    checkUrl: loopback.checkUrl,
  });
  const { server, routes } = createApp({
    role: "all",
    database,
    identity,
    secrets,
    rollups,
    readiness: async () => [],
    routes: pages,
    publicUrl: PUBLIC_URL,
    metricsPublic: false,
    log: silentLog,
  });
  const cookies = {} as Record<Role, string>;
  for (const role of ROLES) {
    const user = await identity.users.create({ email: `${role}@example.com`, name: role, role, password: PASSWORD });
    cookies[role] = `deltahook=${await identity.sessions.start(parseId("user", user.id) ?? "", {})}`;
  }
  return {
    pages: routes.filter((route) => route.tag === "Pages"),
    identity,
    visit: (method, path, { as, fields, headers = {} } = {}) =>
      answered(
        server.handle(
          new Request(PUBLIC_URL + path, {
            method,
            headers: {
              accept: "text/html",
              ...(as ? { cookie: cookies[as] } : {}),
              ...(method === "POST" ? { "sec-fetch-site": "same-origin" } : {}),
              ...(fields ? { "content-type": "application/x-www-form-urlencoded" } : {}),
              ...headers,
            },
            ...(fields ? { body: new URLSearchParams(fields).toString() } : {}),
          }),
        ),
      ),
    async close() {
      await server.stop();
      await watching.finish();
      await engine.stop();
      await drop();
    },
  };
}

const pathOf = (route: Route) => route.path.replace(":id", "x_1");
const guarded = () => site.pages.filter((route) => route.access !== "open");

describe("who may see and do what", () => {
  test("without a session every page is the form for signing in, which leads back to it", async () => {
    expect(guarded().length).toBeGreaterThan(60);
    for (const route of guarded()) {
      const { status, text } = await site.visit(route.method as "GET" | "POST", pathOf(route));
      expect([route.path, status]).toEqual([route.path, 401]);
      expect(text).toContain('action="/sign-in"');
      if (route.method === "GET") expect(text).toContain(`name="to" value="${pathOf(route)}"`);
    }
  });

  test("a role below the least is refused, whatever the page", async () => {
    for (const route of guarded()) {
      const lesser = ROLES[ROLES.indexOf(route.access as Role) - 1];
      if (!lesser) continue;
      const { status } = await site.visit(route.method as "GET" | "POST", pathOf(route), { as: lesser });
      expect([route.path, lesser, status]).toEqual([route.path, lesser, 403]);
    }
  });

  test("everything that changes something needs more than a viewer, but signing out and one's own password", () => {
    const open = guarded().filter(({ method, access }) => method === "POST" && access === "viewer");
    expect(open.map(({ path }) => path)).toEqual(["/sign-out", "/account/password"]);
  });

  test("a form that another site sends is refused, session or not", async () => {
    for (const { path, method } of site.pages.filter((route) => route.method === "POST")) {
      const headers = { "sec-fetch-site": "cross-site" };
      const { status } = await site.visit(method as "POST", path.replace(":id", "x"), { as: "admin", headers });
      expect([path, status]).toEqual([path, 403]);
    }
  });
});

describe("signing in", () => {
  test("goes where one wanted to go, in any script", async () => {
    const fields = { email: "Editor@Example.com", password: PASSWORD, to: "/events?type=日本" };
    const { status, headers } = await site.visit("POST", "/sign-in", { fields });
    expect([status, headers.get("location")]).toEqual([303, "/events?type=%E6%97%A5%E6%9C%AC"]);
  });

  test("gives a cookie that opens pages, and goes to where one wanted", async () => {
    const fields = { email: "Editor@Example.com", password: PASSWORD, to: "/events" };
    const { status, headers } = await site.visit("POST", "/sign-in", { fields });
    expect([status, headers.get("location")]).toEqual([303, "/events"]);
    const cookie = headers.get("set-cookie") ?? "";
    expect(cookie).toMatch(/^deltahook=\S+; Path=\/; Max-Age=\d+; HttpOnly; SameSite=Lax$/);
    const session = cookie.split(";")[0] ?? "";
    expect((await site.visit("GET", "/events", { headers: { cookie: session } })).status).toBe(200);

    const out = await site.visit("POST", "/sign-out", { headers: { cookie: session } });
    expect(out.headers.get("set-cookie")).toContain("Max-Age=0");
    expect((await site.visit("GET", "/events", { headers: { cookie: session } })).status).toBe(401);
  });

  test("a wrong password brings the form back, with the address and not the password", async () => {
    const fields = { email: '"><i>@example.com', password: "not-this-one", to: "/events" };
    const { status, text } = await site.visit("POST", "/sign-in", { fields });
    expect(status).toBe(401);
    expect(text).toContain("Email or password is wrong");
    expect(text).toContain('name="to" value="/events"');
    expect(text).not.toContain("<i>");
    expect(text).not.toContain("not-this-one");
  });
});

describe("what pages show", () => {
  test("names that users chose are text, wherever they stand", async () => {
    const evil = "<img src=x onerror=alert(1)>\"'";
    const fields = { url: "https://example.com/hook", name: evil, event_types: "*", auto_pause: "on" };
    const { headers } = await site.visit("POST", "/endpoints", { as: "editor", fields });
    const location = (headers.get("location") ?? "").split("?")[0] ?? "";
    for (const path of ["/endpoints", location, `${location}/edit`, "/watches/new", "/audit"]) {
      const { status, text } = await site.visit("GET", path, { as: "admin" });
      expect([path, status]).toEqual([path, 200]);
      expect(text).not.toContain("<img src=x");
    }
  });

  test("no page shows the value of a secret or of a secret setting", async () => {
    const fields = { name: "ERP", kind: "basic", username: "ada", password: PLANTED };
    const { headers } = await site.visit("POST", "/secrets", { as: "editor", fields });
    const location = (headers.get("location") ?? "").split("?")[0] ?? "";
    for (const path of ["/secrets", location, "/settings", "/audit", "/watches/new", "/endpoints/new"]) {
      const { status, text } = await site.visit("GET", path, { as: "admin" });
      expect([path, status]).toEqual([path, 200]);
      expect(text).not.toContain(PLANTED);
    }
  });

  test.each([
    ["/secrets", { name: "X", kind: "oauth2_client_credentials", token_url: "nope", client_id: "me" }, "token_url"],
    ["/secrets", { name: "X", kind: "header", header_name: "x-key", header_value: "" }, "header_value"],
    ["/secrets", { name: "X", kind: "bearer", token: "" }, "token"],
    ["/endpoints", { url: "https://example.com/hook", rate_max: "5", rate_per: "soon" }, "rate_per"],
    ["/endpoints", { url: "https://example.com/hook", rate_max: "many", rate_per: "1s" }, "rate_max"],
  ])(
    "%s with a fault in a part: told at that part, and what is no secret stays typed: %j",
    async (path, fields, at) => {
      const secret = { client_secret: PLANTED };
      const { status, text } = await site.visit("POST", path, { as: "editor", fields: { ...fields, ...secret } });
      expect(status).toBe(422);
      expect(text).toMatch(new RegExp(`<input[^>]* id="${at}"[^>]* autofocus`));
      expect(text).toContain(`id="${at}-fault"`);
      for (const typed of Object.values(fields)) if (typed !== "") expect(text).toContain(`value="${typed}"`);
      expect(text).not.toContain(PLANTED);
    },
  );

  test("what an id names is told by its name", async () => {
    const secret = { name: "Token of the ERP", kind: "bearer", token: PLANTED };
    const made = await site.visit("POST", "/secrets", { as: "editor", fields: secret });
    const id = /sec_\w+/.exec(made.headers.get("location") ?? "")?.[0] ?? "";
    const fields = { name: "With a secret", url: "https://example.com/hook", secret_id: id };
    const { headers } = await site.visit("POST", "/endpoints", { as: "editor", fields });
    const endpoint = await site.visit("GET", headers.get("location") ?? "", { as: "viewer" });
    expect(endpoint.text).toContain(`<a href="/secrets/${id}">Token of the ERP</a>`);
    const { text } = await site.visit("GET", "/audit", { as: "admin" });
    expect(text).toMatch(new RegExp(`href="/secrets/${id}"[^>]*>secret Token of the ERP</a>`));
    expect((await site.visit("GET", "/deliveries", { as: "viewer" })).text).toContain(">With a secret</option>");
  });

  test("a form with a fault comes back as typed, the fault at its field, which has the focus", async () => {
    const fields = { url: "https://example.com", name: "Typed", event_types: "*", retry: "soon", filter: "$[" };
    const { status, text } = await site.visit("POST", "/endpoints", { as: "editor", fields });
    expect(status).toBe(422);
    expect(text).toContain('value="Typed"');
    expect(text).toMatch(/id="filter-fault"[^>]*>not a JSONPath/);
    expect(text.match(/ autofocus/g)).toHaveLength(1);
  });

  test("what was done is told in our own words only", async () => {
    expect((await site.visit("GET", "/endpoints?notice=deleted", { as: "viewer" })).text).toContain("Deleted.");
    expect((await site.visit("GET", "/endpoints?notice=Call+this+number", { as: "viewer" })).status).toBe(422);
  });

  test("an address that is not there is a page for people, and a problem document for programs", async () => {
    const page = await site.visit("GET", "/wachtes", { as: "viewer" });
    expect([page.status, page.headers.get("content-type")]).toEqual([404, "text/html; charset=utf-8"]);
    const program = await site.visit("GET", "/v1/wachtes", { as: "viewer" });
    expect([program.status, program.headers.get("content-type")]).toEqual([404, "application/problem+json"]);
  });

  test("every asset that a page names is there, and kept for ever", async () => {
    const { text } = await site.visit("GET", "/", { as: "viewer" });
    const paths = [...text.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map(([, path]) => path ?? "");
    expect(paths.length).toBe(5);
    for (const path of paths) {
      const { status, headers } = await site.visit("GET", path);
      expect([path, status]).toEqual([path, 200]);
      expect(headers.get("cache-control")).toContain("immutable");
    }
    expect(text).not.toMatch(/ style=| on\w+=|<style|<script(?! defer src="\/assets\/)/);
  });

  test("a look is chosen with one button, and stays on the page", async () => {
    const headers = { referer: `${PUBLIC_URL}/events?type=a` };
    const chosen = await site.visit("POST", "/theme", { fields: { theme: "dark" }, headers });
    expect([chosen.status, chosen.headers.get("location")]).toEqual([303, "/events?type=a"]);
    const cookie = (chosen.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
    expect((await site.visit("GET", "/sign-in", { headers: { cookie } })).text).toContain('data-theme="dark"');
  });

  test("a watch from a command with a token: the token is sealed, and in no answer", async () => {
    const source = `curl 'http://127.0.0.1:1/a' -H 'Authorization: Bearer ${PLANTED}'`;
    const tried = await site.visit("POST", "/watches", { as: "editor", fields: { source, every: "1m", do: "try" } });
    expect(tried.text).not.toContain(PLANTED);
    const chosen = /<option value="(sec_\w+)" selected/.exec(tried.text)?.[1] ?? "";
    const fields = { source: "http://127.0.0.1:8080/a", every: "1m", fields: "a = $.a", secret_id: chosen, do: "save" };
    const { status, headers } = await site.visit("POST", "/watches", { as: "editor", fields });
    expect([status, headers.get("location")]).toEqual([
      303,
      expect.stringMatching(/^\/watches\/watch_\w+\?notice=created$/),
    ]);
    const path = (headers.get("location") ?? "").split("?")[0] ?? "";
    const definition = {
      name: "Renamed",
      request: { url: "http://127.0.0.1:8080/b" },
      schedule: { every: "2m" },
      fields: { b: "$.b" },
    };
    const edited = await site.visit("POST", `${path}/edit`, {
      as: "editor",
      fields: { definition: JSON.stringify(definition) },
    });
    expect(edited.status).toBe(303);
    const { text } = await site.visit("GET", path, { as: "viewer" });
    expect(text).toContain("Renamed");
    expect(text).toContain("b = $.b");
    expect(text).not.toContain("a = $.a");
  });
});
