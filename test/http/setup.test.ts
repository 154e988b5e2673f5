import { afterAll, beforeAll, expect, test } from "bun:test";
import { createSetupLink } from "../../src/identity/setup.ts";
import { type TestApp, testApp } from "./support.ts";

let app: TestApp;
let token: string;
beforeAll(async () => {
  app = await testApp();
  token = (await createSetupLink(app.database)) ?? "";
});
afterAll(() => app.close());

const password = "correct horse battery staple";
const post = (fields: Record<string, string>, headers: Record<string, string> = { "sec-fetch-site": "same-origin" }) =>
  app.call("POST", "/setup", {
    body: new URLSearchParams(fields).toString(),
    headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
  });

test("a link that is not the newest opens no form", async () => {
  const { status, text } = await app.call("GET", "/setup?token=guessed");
  expect(status).toBe(403);
  expect(text).not.toContain("<form");
});

test("the link opens a form that needs no script", async () => {
  const { status, text, headers } = await app.call("GET", `/setup?token=${token}`);
  expect([status, headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
  expect(text).toStartWith("<!doctype html>");
  expect(text).toContain(`name="token" value="${token}"`);
  expect(text).not.toContain("<script");
});

test("a bad password brings the form back with the sentence at its field, and the email as typed", async () => {
  const { status, text } = await post({ token, email: `"><b>@x`, password: "short" });
  expect(status).toBe(422);
  expect(text).not.toContain("<b>@x");
  const again = await post({ token, email: "ada@example.com", password: "short" });
  expect(again.text).toMatch(/id="password-fault"[^>]*>write at least 8 characters/);
  expect(again.text).toContain('value="ada@example.com"');
  expect(again.text).not.toContain("short");
});

test("a form that another site sends is refused, with a good token too", async () => {
  const { status } = await post({ token, email: "eve@example.com", password }, { "sec-fetch-site": "cross-site" });
  expect(status).toBe(403);
});

test("a field that is missing or unknown is refused as a page", async () => {
  expect((await post({ token })).status).toBe(422);
  expect((await post({ token, email: "a@b.example", password, role: "admin" })).text).toContain("unknown property");
});

test("programs are told which field is wrong", async () => {
  const { status, json } = await app.call("POST", "/v1/setup", { body: { token, email: "nobody", password } });
  expect([status, json.errors[0].pointer]).toEqual([422, "/email"]);
});

test("the form makes the admin once, signs in at once, and the link is dead", async () => {
  const { status, headers } = await post({ token, email: "Ada@Example.com", password });
  expect([status, headers.get("location")]).toEqual([303, "/?notice=ready"]);
  expect(headers.get("set-cookie")).toMatch(/^deltahook=\S+; Path=\/; .*HttpOnly/);

  expect((await app.call("GET", `/setup?token=${token}`)).status).toBe(403);
  expect((await post({ token, email: "eve@example.com", password })).status).toBe(409);
  expect((await app.call("POST", "/v1/setup", { body: { token, email: "eve@example.com", password } })).status).toBe(
    409,
  );
  const { json } = await app.call("GET", "/v1/users", { as: "admin" });
  expect(json.data).toMatchObject([{ email: "ada@example.com", role: "admin" }]);
  const audited = (await app.call("GET", "/v1/audit", { as: "admin" })).json.data;
  expect(audited).toMatchObject([{ action: "set_up", resource: { kind: "user" }, address: "127.0.0.1" }]);
});
