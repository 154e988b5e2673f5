import { afterAll, beforeAll, expect, test } from "bun:test";
import { type WholeApp, wholeApp } from "../trust/whole_app.ts";

let app: WholeApp;
let source: ReturnType<typeof Bun.serve>;
let seen: { key: string | null; search: string } | null = null;
let url: string;
beforeAll(async () => {
  const answer = (request: Request) => {
    seen = { key: request.headers.get("x-api-key"), search: new URL(request.url).search };
    return Response.json({ order: { status: "pending", total: 12 } });
  };
  source = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: answer });
  url = `http://127.0.0.1:${source.port}/orders/42`;
  app = await wholeApp({ allowed: ["127.0.0.0/8"] });
});
afterAll(async () => {
  await app.close();
  await source.stop(true);
});

const FORM = { "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin" };
const press = (path: string, fields: Record<string, string>) =>
  app.call("POST", path, new URLSearchParams(fields).toString(), { as: "editor", headers: FORM });
const open = async (path: string) => (await app.call("GET", path, undefined, { as: "editor" })).text;

/** What a browser would send of the form on a page. */
function fieldsOf(page: string): Record<string, string> {
  const form = page.slice(page.indexOf('<form class="stack"'));
  const unescaped = (text: string) =>
    text.replaceAll("&quot;", '"').replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
  const fields: [string, string][] = [];
  for (const [tag] of form.matchAll(/<input [^>]*>/g)) {
    const name = / name="([^"]+)"/.exec(tag)?.[1] ?? "";
    const value = / value="([^"]*)"/.exec(tag)?.[1] ?? "";
    if (!tag.includes('type="checkbox"') || / checked/.test(tag)) fields.push([name, unescaped(value)]);
  }
  for (const [, name = "", value = ""] of form.matchAll(/<textarea [^>]*?name="(\w+)"[^>]*>([^<]*)</g)) {
    fields.push([name, unescaped(value)]);
  }
  for (const [, name = "", choices = ""] of form.matchAll(/<select [^>]*?name="(\w+)"[^>]*>(.*?)<\/select>/g)) {
    const [, value = ""] = /<option value="([^"]*)" selected/.exec(choices) ?? [];
    fields.push([name, unescaped(value)]);
  }
  return Object.fromEntries(fields);
}

async function newWatch(more: object = {}) {
  const body = {
    name: "Order 42",
    request: { url, headers: { "x-api-key": "planted-key", accept: "application/json" }, query: { n: 1 } },
    schedule: { every: "1h" },
    fields: { status: "$.order.status", total: { path: "$.order.total", tolerance: { absolute: 0.5 } } },
    ...more,
  };
  return (await app.call("POST", "/v1/watches", body)).json;
}

const definitionOf = async (id: string) => {
  const {
    updated_at: _,
    last_poll: __,
    next_poll_at: ___,
    health: ____,
    ...rest
  } = (await app.call("GET", `/v1/watches/${id}`)).json;
  return rest;
};

test("a watch is edited in the form that made it: what was not touched stays, its sealed header too", async () => {
  const { id } = await newWatch();
  const before = await definitionOf(id);
  const path = `/watches/${id}/edit`;
  const fields = fieldsOf(await open(path));
  expect(fields.fields).toBe('status = $.order.status\ntotal = $.order.total {"tolerance":{"absolute":0.5}}');
  expect(fields.headers).toContain("x-api-key: ***");

  const saved = await press(path, { ...fields, every: "2h", missing_after: "4", do: "save" });
  expect(saved.headers.get("location")).toBe(`/watches/${id}?notice=saved`);
  expect(await definitionOf(id)).toEqual({ ...before, schedule: { every: "2h" }, missing_after: 4 });
  const [line] = (await app.call("GET", "/v1/audit")).json.data;
  expect(line).toMatchObject({ action: "update", detail: { changed: ["schedule", "missing_after"] } });
  expect((await app.call("POST", `/v1/watches/${id}/poll`)).json.outcome).toBe("baseline");
  expect(seen).toEqual({ key: "planted-key", search: "?n=1" });
});

test("a try while editing asks with the sealed header, but sends it to no other server", async () => {
  const { id } = await newWatch();
  const path = `/watches/${id}/edit`;
  const fields = fieldsOf(await open(path));
  seen = null;
  const tried = await press(path, { ...fields, query: "n = 2", do: "try" });
  expect(tried.text).toContain('data-path="$.order.status"');
  expect(tried.text).not.toContain("planted-key");
  expect(seen as unknown).toEqual({ key: "planted-key", search: "?n=2" });
  seen = null;
  const elsewhere = await press(path, { ...fields, source: url.replace("127.0.0.1", "127.0.0.2"), do: "try" });
  expect(elsewhere.status).toBe(422);
  expect(elsewhere.text).toContain("The stored value of x-api-key was given for");
  expect(seen).toBeNull();
});

test("who saves over the change of somebody else is told so, and may do it then", async () => {
  const { id } = await newWatch();
  const path = `/watches/${id}/edit`;
  const fields = fieldsOf(await open(path));
  await app.call("PATCH", `/v1/watches/${id}`, { name: "Renamed meanwhile" });
  const refused = await press(path, { ...fields, name: "Mine", do: "save" });
  expect([refused.status, refused.text.includes("changed by somebody else meanwhile")]).toEqual([422, true]);
  expect((await press(path, { ...fieldsOf(refused.text), do: "save" })).status).toBe(303);
  expect((await definitionOf(id)).name).toBe("Mine");
});

test("what the form has no place for is edited as JSON, where a null in the body stays one", async () => {
  const { id } = await newWatch({ fields: { "a = $b": "$.order.status" } });
  const path = `/watches/${id}/edit`;
  const page = await open(path);
  expect(page).toContain("The form has no place for all of this watch");
  const definition = { ...(await definitionOf(id)), request: { method: "POST", url, body: { a: null } } };
  for (const name of ["id", "paused", "warning", "created_at"]) delete definition[name];
  const saved = await press(path, { definition: JSON.stringify(definition), do: "save" });
  expect(saved.status).toBe(303);
  expect((await definitionOf(id)).request).toEqual({ method: "POST", url, headers: {}, query: {}, body: { a: null } });
  const back = await press(path, { definition: JSON.stringify(definition), do: "form" });
  expect([back.status, back.text.includes("The form has no place")]).toEqual([422, true]);
});

test("a new watch goes from the form to JSON with every property, and back", async () => {
  const typed = { source: url, every: "5m", fields: "status = $.order.status", endpoint_url: "" };
  const page = (await press("/watches", { ...typed, do: "json" })).text;
  const [, text = ""] = /<textarea [^>]*>([^<]*)</.exec(page) ?? [];
  const definition = JSON.parse(text.replaceAll("&quot;", '"'));
  expect(definition).toMatchObject({ schedule: { every: "5m" }, pagination: null, keep_bodies: null, format: "json" });
  const back = await press("/watches", {
    definition: JSON.stringify({ ...definition, name: "From JSON" }),
    do: "form",
  });
  expect(fieldsOf(back.text)).toMatchObject({ name: "From JSON", source: url, fields: typed.fields });
  const refused = await press("/watches", { definition: '{"name": 1}', do: "save" });
  expect([refused.status, refused.text.includes("<code>/name</code>")]).toEqual([422, true]);
  const saved = await press("/watches", { definition: JSON.stringify(definition), do: "save" });
  expect(saved.headers.get("location")).toMatch(/^\/watches\/watch_\w+\?notice=created$/);
});

test("a pasted command fills the fields of the request", async () => {
  const command = `curl -X PUT '${url}' -H 'X-Team: billing' -d '{"n":12345678901234567890}'`;
  const fields = fieldsOf((await press("/watches", { source: command, every: "1m", do: "try" })).text);
  expect(fields).toMatchObject({
    source: url,
    method: "PUT",
    headers: "x-team: billing",
    body: '{\n  "n": 12345678901234567890\n}',
  });
});

test("a pasted credential becomes a secret that goes to that host alone", async () => {
  const command = `curl '${url}' -H 'Authorization: Bearer planted-token'`;
  const page = (await press("/watches", { source: command, every: "1m", do: "try" })).text;
  expect(page).not.toContain("planted-token");
  const { json } = await app.call("GET", `/v1/secrets/${fieldsOf(page).secret_id}`);
  expect(json).toMatchObject({ kind: "bearer", hosts: ["127.0.0.1"] });
});

test("the sample and the built-in receiver are chosen without typing", async () => {
  const fields = fieldsOf(await open("/watches/new?from=sample"));
  expect(fields).toMatchObject({ source: "deltahook://sample", play: "on", every: "2s" });
  const made = await press("/watches", { ...fields, fields: "status = $.order.status", do: "save" });
  const id = /watch_\w+/.exec(made.headers.get("location") ?? "")?.[0] ?? "";
  const [endpoint] = (await app.call("GET", "/v1/endpoints")).json.data;
  expect(endpoint).toMatchObject({ name: "Play", url: "deltahook://play" });
  expect((await definitionOf(id)).endpoint_ids).toEqual([endpoint.id]);
  expect(fieldsOf(await open("/watches/new?from=sample"))[endpoint.id]).toBe("on");
});

test("a fault deep in a field names its line there", async () => {
  const { text } = await press("/watches", { source: url, every: "1m", fields: "a = $.a\nb = $[", do: "save" });
  expect(text).toMatch(/id="fields-fault"[^>]*>b: /);
});

test("a page of what is not there names no way of the API", async () => {
  const { status, text } = await app.call("GET", "/watches/watch_0", undefined, { headers: { accept: "text/html" } });
  expect(status).toBe(404);
  expect(text).toContain("There is no watch watch_0.");
  expect(text).not.toContain("/v1/");
});
