import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { parseId } from "../../src/platform/ids.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { type DeliveringApp, deliveringApp, until } from "./delivering_app.ts";

let app: DeliveringApp;
let receiver: Receiver;
beforeAll(async () => {
  app = await deliveringApp();
  receiver = startReceiver(({ path }) => new Response("", { status: path === "/fails" ? 500 : 200 }));
});
afterAll(async () => {
  await receiver.stop();
  await app.close();
});

const at = (path: string) => new URL(path, receiver.url).href;
async function create(body: object = {}) {
  const { status, json } = await app.call("POST", "/v1/endpoints", {
    url: at("/hook"),
    event_types: ["none"],
    ...body,
  });
  expect(status).toBe(201);
  return json;
}

type Fault = [name: string, body: Record<string, unknown>, pointer: string, message: RegExp];
const faults: Fault[] = [
  ["no url", { url: undefined }, "/url", /is required/],
  ["a url that is none", { url: "billing" }, "/url", /is not a URL/],
  ["a url of another scheme", { url: "ftp://example.com/" }, "/url", /https: or http:/],
  ["a private address", { url: "http://10.0.0.1/" }, "/url", /ALLOWED_NETWORKS/],
  ["a url with a line break", { url: "https://example.com/\n" }, "/url", /control characters/],
  ["an unknown property", { urll: "x" }, "/urll", /did you mean "url"/],
  ["a pattern with a space", { event_types: ["order paid"] }, "/event_types/0", /event type/],
  ["too many patterns", { event_types: Array(51).fill("a") }, "/event_types", /at most 50/],
  ["a filter that does not parse", { filter: "$[?@.a >]" }, "/filter", /position 8/],
  ["a filter with a null character", { filter: "$['\u0000']" }, "/filter", /not a JSONPath/],
  ["a header that we set", { headers: { "Webhook-Id": "x" } }, "/headers/Webhook-Id", /set by DeltaHook/],
  ["a header of the connection", { headers: { host: "x" } }, "/headers/host", /set by DeltaHook/],
  ["a header with a line break", { headers: { "x-a": "a\r\nb" } }, "/headers/x-a", /line break/],
  ["a header name with a space", { headers: { "x a": "b" } }, "/headers/x a", /not a header name/],
  ["a header twice", { headers: { "x-a": "1", "X-A": "2" } }, "/headers", /twice/],
  ["*** where nothing is stored", { headers: { authorization: "***" } }, "/headers/authorization", /there is none/],
  ["a secret's id that is none", { secret_id: "ep_1" }, "/secret_id", /sec_/],
  ["a secret that is not there", { secret_id: `sec_${"0".repeat(32)}` }, "/secret_id", /no such secret/],
  ["a retry of neither form", { retry: {} }, "/retry", /delays/],
  ["a retry of both forms", { retry: { delays: ["5s"], attempts: 3 } }, "/retry", /either/],
  ["a delay that is no duration", { retry: { delays: ["soon"] } }, "/retry/delays/0", /duration/],
  ["a delay beyond a week", { retry: { delays: ["8d"] } }, "/retry/delays/0", /from 0ms to 7d/],
  ["a timeout too short", { timeout: "50ms" }, "/timeout", /from 100ms to 5m/],
  ["a rate limit without its time", { rate_limit: { max: 5 } }, "/rate_limit/per", /required|duration/],
  ["nothing in flight", { max_in_flight: 0 }, "/max_in_flight", /at least 1/],
  ["a name with a null character", { name: "a\u0000b" }, "/name", /control characters/],
  ["a plugin that is no name", { plugin: ["../x"] }, "/plugin", /name of a plugin|must be/],
];

describe("an endpoint is refused, and nothing stored, for", () => {
  test.each(faults)("%s", async (_, body, pointer, message) => {
    const before = await app.database.sql`select from deltahook.endpoints`;
    const { status, json } = await app.call("POST", "/v1/endpoints", { url: "https://example.com/", ...body });
    expect(status).toBe(422);
    expect(json.errors[0].pointer).toStartWith(pointer);
    expect(json.errors[0].message).toMatch(message);
    expect(await app.database.sql`select from deltahook.endpoints`).toHaveLength(before.length);
  });
});

test("what was left out stands at its default, and the name is the host", async () => {
  const endpoint = await create({ event_types: undefined });
  expect(endpoint).toMatchObject({
    kind: "subscribed",
    name: new URL(receiver.url).host,
    event_types: ["*"],
    filter: null,
    headers: {},
    secret_id: null,
    plugin: null,
    plugin_options: {},
    retry: null,
    timeout: null,
    rate_limit: null,
    max_in_flight: 32,
    ordered: false,
    auto_pause: true,
    paused: null,
  });
  expect((await app.call("GET", `/v1/endpoints/${endpoint.id}`)).json).toEqual(endpoint);
  await app.call("DELETE", `/v1/endpoints/${endpoint.id}`);
});

test("durations come back as they are written, and credentials never", async () => {
  const endpoint = await create({
    headers: { Authorization: "Bearer hunter2", "X-Team": "billing" },
    retry: { attempts: 5, first: 10, max: "1h" },
    timeout: 1.5,
    rate_limit: { per: "60s", max: 5 },
    plugin: "slack",
  });
  expect(endpoint).toMatchObject({
    headers: { authorization: "***", "x-team": "billing" },
    retry: { attempts: 5, first: "10s", factor: 2, max: "1h" },
    timeout: "1500ms",
    rate_limit: { per: "1m", max: 5 },
    plugin: "slack",
  });
  const stored = await app.database.sql`select to_json(e)::text as row from deltahook.endpoints e`;
  expect(JSON.stringify(stored)).not.toContain("hunter2");
});

test("a patch changes what it names, null restores a default, and *** keeps a sealed header", async () => {
  const { id } = await create({ headers: { authorization: "Bearer a", "x-team": "b" }, retry: { delays: ["5s"] } });
  const patched = await app.call("PATCH", `/v1/endpoints/${id}`, {
    name: "New",
    event_types: null,
    headers: { "X-Team": null, authorization: "***" },
    retry: { attempts: 3 },
    max_in_flight: 4,
  });
  expect(patched.status).toBe(200);
  expect(patched.json).toMatchObject({
    name: "New",
    event_types: ["*"],
    headers: { authorization: "***" },
    retry: { attempts: 3, first: "5s" },
    max_in_flight: 4,
  });
  const refused = await app.call("PATCH", `/v1/endpoints/${id}`, { timeout: "1h" });
  expect([refused.status, refused.json.errors[0].pointer]).toEqual([422, "/timeout"]);
  expect(
    (await app.call("PATCH", `/v1/endpoints/${id}`, { event_types: ["none"], retry: null })).json.retry,
  ).toBeNull();
  await app.call("DELETE", `/v1/endpoints/${id}`);
});

test("lists turn pages from the newest on", async () => {
  const made = [await create(), await create(), await create()].map(({ id }) => id).reverse();
  const first = await app.call("GET", "/v1/endpoints?limit=2&kind=subscribed");
  const second = await app.call("GET", `/v1/endpoints?limit=1&cursor=${first.json.next}`);
  expect([...first.json.data, ...second.json.data].map(({ id }) => id)).toEqual(made);
});

test("what nobody has is a 404, and a viewer reads no signing secret", async () => {
  expect((await app.call("GET", `/v1/endpoints/ep_${"0".repeat(32)}`)).status).toBe(404);
  expect((await app.call("DELETE", "/v1/endpoints/nonsense")).status).toBe(404);
  const { id } = await create();
  expect((await app.call("GET", `/v1/endpoints/${id}/secret`, undefined, { as: "viewer" })).status).toBe(403);
  expect((await app.call("GET", `/v1/endpoints/${id}`, undefined, { as: "viewer" })).status).toBe(200);
});

test("during a rotation the official verifier accepts with the old and with the new secret", async () => {
  const { id } = await create();
  const before = (await app.call("GET", `/v1/endpoints/${id}/secret`)).json;
  const rotated = (await app.call("POST", `/v1/endpoints/${id}/rotate-secret`, { expire_old_after: "1h" })).json;
  expect(rotated.secret).toStartWith("whsec_");
  expect(rotated.previous).toEqual([{ secret: before.secret, expires_at: expect.stringMatching(/Z$/) }]);
  await app.call("POST", `/v1/endpoints/${id}/test`);
  const { headers, body } = receiver.received.at(-1) ?? { headers: {}, body: "" };
  for (const secret of [before.secret, rotated.secret]) {
    expect(new Webhook(secret).verify(body, headers)).toMatchObject({ type: "test.ping" });
  }
  const ended = await app.call("POST", `/v1/endpoints/${id}/rotate-secret`, { expire_old_after: 0 });
  expect(ended.json.previous).toEqual([]);
});

test("at most five signing secrets are live", async () => {
  const { id } = await create();
  for (let i = 0; i < 4; i++) expect((await app.call("POST", `/v1/endpoints/${id}/rotate-secret`)).status).toBe(200);
  const { status, json } = await app.call("POST", `/v1/endpoints/${id}/rotate-secret`);
  expect([status, json.detail]).toEqual([409, expect.stringMatching(/expire_old_after/)]);
});

test("a test answers the attempt, also while paused, and is tried once", async () => {
  const { id } = await create({ url: at("/fails") });
  await app.call("POST", `/v1/endpoints/${id}/pause`);
  const { status, json } = await app.call("POST", `/v1/endpoints/${id}/test`);
  expect(status).toBe(200);
  expect(json.attempt).toMatchObject({ number: 1, outcome: "failed", response: { status: 500 } });
  expect(JSON.parse(json.attempt.request.body)).toMatchObject({ type: "test.ping", data: { endpoint: { id } } });
  const delivery = (await app.call("GET", `/v1/deliveries/${json.delivery_id}`)).json;
  expect(delivery).toMatchObject({ status: "cancelled", due_at: null });
});

test("a paused endpoint's deliveries wait, and resume sends them", async () => {
  const { id } = await create({ url: at("/patient"), event_types: ["patience"] });
  expect((await app.call("POST", `/v1/endpoints/${id}/pause`)).json.paused).toMatchObject({ reason: "manual" });
  await app.call("POST", "/v1/events", { type: "patience", data: 1 });
  const waiting = (await app.call("GET", `/v1/deliveries?endpoint=${id}`)).json.data[0];
  expect(waiting).toMatchObject({ status: "pending", parked: true, tries: 0 });
  expect((await app.call("POST", `/v1/endpoints/${id}/resume`)).json.paused).toBeNull();
  await until(
    async () => (await app.call("GET", `/v1/deliveries/${waiting.id}`)).json,
    (delivery) => delivery.status === "delivered",
  );
});

test("pauses and resumes are told to who listens for them, not to the endpoint itself", async () => {
  const listener = await create({ url: at("/listener"), event_types: ["endpoint.*"] });
  const { id } = await create({ event_types: ["endpoint.*"] });
  await app.call("POST", `/v1/endpoints/${id}/pause`);
  await app.call("POST", `/v1/endpoints/${id}/pause`);
  const told = (await app.call("GET", `/v1/deliveries?endpoint=${listener.id}`)).json.data;
  expect(told).toMatchObject([{ event_type: "endpoint.paused" }]);
  await app.call("DELETE", `/v1/endpoints/${listener.id}`);
});

test("deleting an endpoint cancels what it is owed; its deliveries stay listed", async () => {
  const { id } = await create({ event_types: ["doomed"] });
  await app.call("POST", `/v1/endpoints/${id}/pause`);
  const event = (await app.call("POST", "/v1/events", { type: "doomed", data: null })).json;
  expect((await app.call("DELETE", `/v1/endpoints/${id}`)).status).toBe(204);
  const deliveries = (await app.call("GET", `/v1/events/${event.id}/deliveries`)).json.data;
  expect(deliveries).toMatchObject([{ status: "cancelled", endpoint_id: id, endpoint_name: null }]);
  expect((await app.call("POST", `/v1/deliveries/${deliveries[0].id}/retry`)).status).toBe(409);
  const [left] = await app.database.sql`
    select 1 from deltahook.endpoint_health where endpoint_id = ${parseId("endpoint", id)}`;
  expect(left).toBeUndefined();
});

test("what people do is in the audit log, without a secret", async () => {
  const { id } = await create();
  await app.call("GET", `/v1/endpoints/${id}/secret`);
  const { data } = (await app.call("GET", "/v1/audit?limit=2", undefined, { as: "admin" })).json;
  expect(data.map((entry: { action: string }) => entry.action)).toEqual(["read_secret", "create"]);
  expect(JSON.stringify(data)).not.toContain("whsec_");
});
