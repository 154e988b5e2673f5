import { afterAll, beforeAll, expect, test } from "bun:test";
import { parseId } from "../../src/platform/ids.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { eventually } from "../support/server.ts";
import { type WholeApp, wholeApp } from "./whole_app.ts";

const PLANTED = "planted-credential";

let app: WholeApp;
let own: Receiver;
let stranger: Receiver;
let ownHost: string;

beforeAll(async () => {
  stranger = startReceiver(() => Response.json({ a: 1 }));
  own = startReceiver(({ path }) =>
    path === "/away" ? Response.redirect(`${stranger.url}?k=${PLANTED}`, 307) : Response.json({ a: 1 }),
  );
  ownHost = new URL(own.url).host;
  app = await wholeApp({ allowed: ["127.0.0.0/8"], work: true });
});
afterAll(async () => {
  await app.close();
  await Promise.all([own.stop(), stranger.stop()]);
});

let made = 0;
async function secret(hosts: string[] | null = [ownHost], body: object = { kind: "bearer", value: PLANTED }) {
  const answer = await app.call("POST", "/v1/secrets", { name: `secret ${++made}`, ...body, hosts }, { as: "editor" });
  expect([answer.status, answer.text]).toEqual([201, answer.text]);
  expect(answer.json.hosts).toEqual(hosts);
  return answer.json.id as string;
}

const watch = (url: string, secretId: string) => ({
  name: "w",
  request: { url },
  secret_id: secretId,
  schedule: { every: "1d" },
  fields: { a: "$.a" },
});
const endpoint = (url: string, secretId: string) => ({ url, secret_id: secretId, event_types: ["none"] });
/** A new watch is polled by itself as well, and one poll at a time. */
async function pollOf(id: string) {
  const polled = await eventually(
    () => app.call("POST", `/v1/watches/${id}/poll`),
    ({ status }) => status !== 409,
  );
  return polled.json;
}
const form = (path: string, fields: Record<string, string>, as: "editor" | "admin" = "editor") =>
  app.call("POST", path, new URLSearchParams(fields).toString(), {
    as,
    headers: { "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin" },
  });
/** As if it had been bound while watches and endpoints used it already. */
async function bindLater(id: string, hosts: string[]): Promise<void> {
  expect((await app.call("PATCH", `/v1/secrets/${id}`, { hosts }, { as: "editor" })).json.hosts).toEqual(hosts);
}

test("a bound secret is refused for another host, whoever names it and at whichever door", async () => {
  const id = await secret();
  const [{ json: w }, { json: e }] = await Promise.all([
    app.call("POST", "/v1/watches", watch(own.url, id)),
    app.call("POST", "/v1/endpoints", endpoint(own.url, id)),
  ]);
  const away = { request: { url: stranger.url } };
  const doors: [string, string, object][] = [
    ["POST", "/v1/watches", watch(stranger.url, id)],
    ["POST", "/v1/watches/preview", watch(stranger.url, id)],
    ["PATCH", `/v1/watches/${w.id}`, away],
    ["POST", "/v1/endpoints", endpoint(stranger.url, id)],
    ["PATCH", `/v1/endpoints/${e.id}`, { url: stranger.url }],
  ];
  for (const [method, path, body] of doors) {
    const { status, json } = await app.call(method, path, body, { as: "editor" });
    expect([path, status, json.errors]).toEqual([
      path,
      422,
      [{ pointer: "/secret_id", message: expect.stringContaining(`bound to ${ownHost}`) }],
    ]);
  }
  const many = { watches: [watch(own.url, id), watch(stranger.url, id)] };
  const { json } = await app.call("POST", "/v1/watches/batch", many);
  expect(json.errors).toEqual([{ pointer: "/watches/1/secret_id", message: expect.stringContaining("bound to") }]);
  const page = await form(`/endpoints/${e.id}/edit`, { url: stranger.url, name: "e", secret_id: id });
  expect([page.status, page.text.includes("bound to")]).toEqual([422, true]);
  expect(stranger.received).toEqual([]);
});

test("bound later, it goes out in no poll and no delivery to another host, and the fault says why", async () => {
  const id = await secret(null);
  const { json: w } = await app.call("POST", "/v1/watches", watch(stranger.url, id));
  const { json: e } = await app.call("POST", "/v1/endpoints", endpoint(stranger.url, id));
  await bindLater(id, [ownHost]);
  // Deliveries open a changed secret within two seconds.
  await Bun.sleep(2_100);
  const before = stranger.received.length;
  expect(await pollOf(w.id)).toMatchObject({
    outcome: "failed",
    problem: expect.stringContaining(`bound to ${ownHost}`),
  });
  const { json: sent } = await app.call("POST", `/v1/endpoints/${e.id}/test`);
  expect(sent.attempt).toMatchObject({ response: null, error: expect.stringContaining(`bound to ${ownHost}`) });
  expect(stranger.received.length).toBe(before);
});

test("it does not follow a redirect to another host, in a poll or a preview", async () => {
  const before = stranger.received.length;
  const id = await secret([ownHost], { kind: "query", value: { name: "k", value: PLANTED } });
  const redirected = watch(own.url.replace("/hook", "/away"), id);
  const { json: w } = await app.call("POST", "/v1/watches", redirected);
  expect((await pollOf(w.id)).problem).toMatch(/^Redirected to .* bound to /);
  const { json: preview } = await app.call("POST", "/v1/watches/preview", redirected);
  expect(preview.problems).toEqual([expect.stringContaining("bound to")]);
  expect(stranger.received.length).toBe(before);
});

test("an OAuth2 client is not shown to a token server outside its hosts", async () => {
  const before = stranger.received.length;
  const value = { token_url: stranger.url, client_id: "c", client_secret: PLANTED };
  const outside = { name: "outside", kind: "oauth2_client_credentials", value, hosts: [ownHost] };
  const refused = await app.call("POST", "/v1/secrets", outside);
  expect(refused.json.errors).toEqual([{ pointer: "/value/token_url", message: expect.stringContaining("bound to") }]);
  const id = await secret(null, { kind: outside.kind, value });
  const tightened = await app.call("PATCH", `/v1/secrets/${id}`, { hosts: [ownHost] });
  expect([tightened.status, tightened.json.errors?.[0]?.pointer]).toEqual([422, "/value/token_url"]);
  // What stands in the database is judged too.
  await app.database.sql`
    update deltahook.secrets set hosts = ${[ownHost]}, revision = revision + 1 where id = ${parseId("secret", id)}`;
  const { json: preview } = await app.call("POST", "/v1/watches/preview", watch(own.url, id));
  expect(preview.problems).toEqual([expect.stringContaining(`bound to ${ownHost}`)]);
  expect(stranger.received.length).toBe(before);
});

test("an editor may tighten; more hosts take an admin, or the value given anew", async () => {
  const patch = (id: string, body: object, as: "editor" | "admin") =>
    app.call("PATCH", `/v1/secrets/${id}`, body, { as });
  const id = await secret(["*.example.com"]);
  expect((await patch(id, { hosts: ["erp.example.com"] }, "editor")).status).toBe(200);
  for (const hosts of [null, ["*.example.com"], ["erp.example.com", "evil.example"]]) {
    const { status, json } = await patch(id, { hosts }, "editor");
    expect([status, json.detail]).toEqual([403, expect.stringContaining("Only an admin")]);
  }
  expect((await patch(id, { name: "renamed", hosts: ["erp.example.com"] }, "editor")).status).toBe(200);
  expect((await patch(id, { hosts: null, value: "known-anyway" }, "editor")).json.hosts).toBeNull();
  expect((await patch(id, { hosts: ["erp.example.com"] }, "editor")).status).toBe(200);
  expect((await patch(id, { hosts: ["*.example.com"] }, "admin")).json.hosts).toEqual(["*.example.com"]);
  // A value alone, as in a file that is applied again, leaves the hosts as they are.
  expect((await patch(id, { value: "another" }, "editor")).json.hosts).toEqual(["*.example.com"]);
  const basic = await secret(["a.example"], { kind: "basic", value: { username: "u", password: PLANTED } });
  expect((await patch(basic, { hosts: null, value: { username: "v" } }, "editor")).status).toBe(403);
  // Where a key is the user name, with an empty password, that alone replaces nothing.
  expect((await patch(basic, { hosts: null, value: { password: "p" } }, "editor")).status).toBe(403);
  expect((await patch(basic, { hosts: null, value: { username: "v", password: "p" } }, "editor")).status).toBe(200);
  expect((await patch(basic, { hosts: ["https://a.example/"] }, "admin")).json.errors[0].pointer).toBe("/hosts/0");
});

test("the form binds, keeps and widens by the same rules", async () => {
  const created = await form("/secrets", {
    name: "of a form",
    kind: "bearer",
    token: PLANTED,
    hosts: "ERP.example.com, *.example.org",
  });
  const path = new URL(created.headers.get("location") ?? "", "http://x").pathname;
  const shown = async () => (await app.call("GET", path, undefined, { as: "editor" })).text;
  expect(await shown()).toContain("erp.example.com, *.example.org");
  const renamed = await form(path, {
    name: "of a form, renamed",
    kind: "bearer",
    hosts: "erp.example.com, *.example.org",
  });
  expect(renamed.status).toBe(303);
  const widened = { name: "of a form, renamed", kind: "bearer", hosts: "" };
  expect((await form(path, widened)).status).toBe(403);
  expect((await form(path, { ...widened, hosts: "not a host/" })).status).toBe(422);
  expect((await form(path, widened, "admin")).status).toBe(303);
  expect(await shown()).toContain("any host that a watch or an endpoint names");
});

test("the audit log says where it may go", async () => {
  const id = await secret(["a.example"]);
  await app.call("PATCH", `/v1/secrets/${id}`, { hosts: null });
  const { json } = await app.call("GET", "/v1/audit?limit=2");
  expect(json.data.map(({ detail }: { detail: { hosts: unknown } }) => detail.hosts)).toEqual([null, ["a.example"]]);
});

test("a credential in a header does not follow an address to another server", async () => {
  const headers = { "x-api-key": PLANTED };
  const [{ json: w }, { json: e }] = await Promise.all([
    app.call("POST", "/v1/watches", { ...watch(own.url, ""), secret_id: null, request: { url: own.url, headers } }),
    app.call("POST", "/v1/endpoints", { url: own.url, headers, event_types: ["none"] }),
  ]);
  const doors: [path: string, url: object, place: string][] = [
    [`/v1/watches/${w.id}`, { request: { url: stranger.url } }, "/request/headers/x-api-key"],
    [`/v1/endpoints/${e.id}`, { url: stranger.url }, "/headers/x-api-key"],
  ];
  for (const [path, url, pointer] of doors) {
    const refused = await app.call("PATCH", path, url, { as: "editor" });
    const message = expect.stringContaining(`was given for ${new URL(own.url).origin}`);
    expect([path, refused.status, refused.json.errors]).toEqual([path, 422, [{ pointer, message }]]);
  }
  const stays = await app.call("PATCH", `/v1/endpoints/${e.id}`, { url: `${own.url}/other` }, { as: "editor" });
  expect([stays.status, stays.json.headers]).toEqual([200, { "x-api-key": "***" }]);
});
