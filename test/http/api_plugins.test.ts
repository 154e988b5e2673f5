import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { pluginRoutes } from "../../src/http/api/plugins.ts";
import { type Host, pluginText, startHost } from "../plugins/support.ts";
import { type TestApp, testApp } from "./support.ts";

let host: Host;
let app: TestApp;
beforeAll(async () => {
  host = await startHost({
    "broken.ts":
      'import { definePlugin } from "deltahook/plugin";\n\nexport default definePlugin({ name: "broken", transform( });\n',
    "fails.ts": pluginText("fails", 'transform() { throw new Error("no order"); }'),
    "lines.ts": pluginText("lines", 'parse(response) { return response.body.split(" "); }'),
    "seals.ts": pluginText(
      "seals",
      'sign(request, { secret }) { return { headers: { "x-seal": secret.kind + " " + secret.token } }; }',
    ),
    "signs.ts": pluginText("signs", 'sign(request) { return { headers: { "x-method": request.method } }; }'),
  });
  app = await testApp({ routes: pluginRoutes(host) });
});
afterAll(async () => {
  await app.close();
  await host.stop();
});

describe("GET /v1/plugins", () => {
  test("lists hooks, versions and the schema of the options", async () => {
    const { status, json } = await app.call("GET", "/v1/plugins", { as: "viewer" });
    expect(status).toBe(200);
    const template = json.data.find(({ name }: { name: string }) => name === "template");
    expect(template).toMatchObject({ origin: "shipped", hooks: ["transform"], timeout_ms: 2000, error: null });
    expect(template.options.properties).toHaveProperty("body");
    expect(template.version).toMatch(/^[0-9a-f]{12}$/);
  });

  test("tells where a broken file is broken", async () => {
    const { json } = await app.call("GET", "/v1/plugins", { as: "viewer" });
    const broken = json.data.find(({ name }: { name: string }) => name === "broken");
    expect(broken).toMatchObject({ version: null, hooks: [], error: { file: "broken.ts", line: 3 } });
    expect(broken.error.message).toContain("Expected");
  });

  test("takes a login", async () => {
    expect((await app.call("GET", "/v1/plugins")).status).toBe(401);
  });
});

describe("POST /v1/plugins/:name/try", () => {
  const cases: [string, string, unknown, number, object][] = [
    [
      "a transform",
      "slack",
      { event: { type: "order.paid", data: { id: 1 } } },
      200,
      { hook: "transform", error: null },
    ],
    [
      "a failing transform",
      "fails",
      { event: {} },
      200,
      { result: null, error: expect.stringContaining("Error: no order (fails.ts:3:") },
    ],
    ["a parse", "lines", { response: { body: "a b" } }, 200, { hook: "parse", result: { document: ["a", "b"] } }],
    [
      "a sign",
      "signs",
      { request: { method: "POST" } },
      200,
      { result: { headers: { "x-method": "POST" }, url: null, body: null } },
    ],
    [
      "a sign with a made-up secret",
      "seals",
      { request: { secret: { kind: "bearer", token: "t" } } },
      200,
      { result: { headers: { "x-seal": "bearer t" } } },
    ],
    ["a secret of no kind", "seals", { request: { secret: { kind: "oauth2", token: "t" } } }, 422, {}],
    ["options that do not fit", "template", { event: {} }, 200, { error: expect.stringContaining("options") }],
    ["no sample", "slack", {}, 422, { detail: expect.stringContaining("Give a sample") }],
    ["two samples", "slack", { event: {}, response: {} }, 422, {}],
    [
      "a hook that it has not",
      "slack",
      { response: {} },
      422,
      { detail: expect.stringContaining("has no parse hook") },
    ],
    ["an unknown plugin", "slak", { event: {} }, 404, {}],
    ["a broken plugin", "broken", { event: {} }, 404, { detail: expect.stringContaining("broken.ts:3") }],
    ["an unknown property", "slack", { events: {} }, 422, {}],
  ];
  for (const [name, plugin, body, status, answer] of cases) {
    test(name, async () => {
      const called = await app.call("POST", `/v1/plugins/${plugin}/try`, { as: "editor", body });
      expect(called.json).toMatchObject(answer);
      expect(called.status).toBe(status);
    });
  }

  test("is not for viewers", async () => {
    expect((await app.call("POST", "/v1/plugins/slack/try", { as: "viewer", body: { event: {} } })).status).toBe(403);
  });
});
