import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { parseId } from "../../src/platform/ids.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { type DeliveringApp, deliveringApp, until } from "./delivering_app.ts";

let app: DeliveringApp;
let receiver: Receiver;
beforeAll(async () => {
  app = await deliveringApp();
  receiver = startReceiver();
});
afterAll(async () => {
  await receiver.stop();
  await app.close();
});

const at = (path: string) => new URL(path, receiver.url).href;
const endpoint = async (body: object) =>
  (await app.call("POST", "/v1/endpoints", { url: receiver.url, event_types: [], ...body })).json.id as string;
const arrived = (webhookId: string) =>
  until(
    async () => receiver.received.filter(({ id }) => id === webhookId),
    (found) => found.length > 0,
  );
/** A try arrives before it is written down. */
const recorded = (deliveryId: string) =>
  until(
    async () => (await app.call("GET", `/v1/deliveries/${deliveryId}`)).json,
    ({ attempts }) => attempts.length > 0,
  );
const countEvents = async () => (await app.database.sql`select from deltahook.events`).length;

/** What parsing and writing again would lose: digits, 1.0, the order of keys, a key twice, escapes, white space. */
const BYTES = '{"b": 12345678901234567890, "a" :1.0,"z":"\\u00e9\\ud83d","b":2e0,\n "n": [ ] , "nul": "\\u0000"}';
const KEPT = '{"b": 12345678901234567890, "a" :1.0,"z":"\\u00e9\\ud83d\\ude00","b":2e0,\n "n": [ ] }';

test("the bytes of data reach the receiver and every answer as they were sent", async () => {
  await endpoint({ event_types: ["bytes"] });
  const { status, json } = await app.call("POST", "/v1/events", `{"type":"bytes", "data" : ${KEPT} }`);
  expect([status, json.deliveries]).toEqual([202, 1]);
  const [received] = await arrived(json.id);
  expect(received?.body).toEndWith(`,"data":${KEPT}}`);
  expect((await app.call("GET", `/v1/events/${json.id}`)).text).toEndWith(`,"data":${KEPT}}`);
  const { data } = (await app.call("GET", `/v1/events/${json.id}/deliveries`)).json;
  const delivery = await recorded(data[0].id);
  expect(delivery.attempts[0].request.body).toBe(received?.body);
});

test("escapes that no text can hold are kept too", async () => {
  const { json } = await app.call("POST", "/v1/events", `{"type":"odd","data":${BYTES}}`);
  expect((await app.call("GET", `/v1/events/${json.id}`)).text).toContain(BYTES);
});

test.each(["null", "0", '""', "false", "[]"])("data may be %s", async (data) => {
  const { status, json } = await app.call("POST", "/v1/events", `{"type":"any","data":${data}}`);
  expect(status).toBe(202);
  expect((await app.call("GET", `/v1/events/${json.id}`)).text).toEndWith(`"data":${data}}`);
});

const nobody = `ep_${"0".repeat(32)}`;
type Fault = [name: string, body: unknown, status: number, detail: RegExp];
const faults: Fault[] = [
  ["no type", { data: 1 }, 422, /\/type: is required/],
  ["no data", { type: "a" }, 422, /\/data: is required/],
  ["a type with a space", { type: "a b", data: 1 }, 422, /\/type/],
  ["the name of a system event", { type: "watch.failing", data: 1 }, 422, /DeltaHook itself/],
  ["any name of an endpoint's event", { type: "endpoint.mine", data: 1 }, 422, /DeltaHook itself/],
  ["an unknown property", { type: "a", data: 1, dta: 2 }, 422, /did you mean "data"/],
  ["an endpoint that is not there", { type: "a", data: 1, endpoint_ids: [nobody] }, 422, new RegExp(nobody)],
  ["an id that is none", { type: "a", data: 1, endpoint_ids: ["x"] }, 422, /ep_/],
  ["headers without url", { type: "a", data: 1, headers: {} }, 422, /only with "url"/],
  ["retry without url", { type: "a", data: 1, retry: { delays: [] } }, 422, /only with "url"/],
  ["url beside endpoint_ids", { type: "a", data: 1, url: "https://a.b/", endpoint_ids: [nobody] }, 422, /together/],
  ["a private url", { type: "a", data: 1, url: "http://10.1.1.1/" }, 422, /ALLOWED_NETWORKS/],
  ["an idempotency key too long", { type: "a", data: 1, idempotency_key: "x".repeat(256) }, 422, /255/],
  ["data beyond 256 KiB", { type: "a", data: "é".repeat(131_072) }, 413, /256 KiB/],
  ["a body beyond 1 MiB", { type: "a", data: "x".repeat(1_100_000) }, 413, /larger/],
];

describe("an event is refused, and nothing stored, for", () => {
  test.each(faults)("%s", async (_, body, status, detail) => {
    const before = await countEvents();
    const answer = await app.call("POST", "/v1/events", body);
    expect([answer.status, answer.json.detail]).toEqual([status, expect.stringMatching(detail)]);
    expect(await countEvents()).toBe(before);
  });
});

test("data of exactly 256 KiB is taken", async () => {
  const data = `"${"x".repeat(256 * 1024 - 2)}"`;
  expect((await app.call("POST", "/v1/events", `{"type":"large","data":${data}}`)).status).toBe(202);
});

test("an idempotency key gives the same answer again, and 409 for another body", async () => {
  const body = { type: "once", data: { n: 1 }, idempotency_key: "k-1" };
  const [first, second] = await Promise.all([
    app.call("POST", "/v1/events", body),
    app.call("POST", "/v1/events", body),
  ]);
  expect(second.json).toEqual(first.json);
  const third = await app.call("POST", "/v1/events", body);
  expect([third.status, third.json]).toEqual([202, first.json]);
  expect((await app.call("POST", "/v1/events", { ...body, data: { n: 2 } })).status).toBe(409);
  const rows = await app.database.sql`select from deltahook.events where type = 'once'`;
  expect(rows).toHaveLength(1);
});

test("the header Idempotency-Key counts as the property does", async () => {
  const send = (key: string, body: object = { type: "header.key", data: 1 }) =>
    app.call("POST", "/v1/events", body, { headers: { "idempotency-key": key } });
  const first = await send("h-1");
  expect((await send("h-1")).json).toEqual(first.json);
  expect((await send("h-2", { type: "a", data: 1, idempotency_key: "h-3" })).status).toBe(422);
  const batch = { events: [{ type: "a", data: 1 }] };
  const refused = await app.call("POST", "/v1/events/batch", batch, { headers: { "idempotency-key": "h-4" } });
  expect(refused.status).toBe(400);
});

test("a batch keeps each event's bytes and answers in order", async () => {
  const events = ['{"type":"b.1","data":1.0}', '{"data": {"x": 10000000000000000001},"type":"b.2"}'];
  const { status, json } = await app.call("POST", "/v1/events/batch", `{ "events" : [ ${events.join(" ,\n")} ] }`);
  expect(status).toBe(202);
  const texts = await Promise.all(
    json.data.map(async ({ id }: { id: string }) => (await app.call("GET", `/v1/events/${id}`)).text),
  );
  expect(texts[0]).toEndWith('"data":1.0}');
  expect(texts[1]).toEndWith('"data":{"x": 10000000000000000001}}');
});

test("a batch is stored all or none", async () => {
  const before = await countEvents();
  const good = { type: "good", data: 1 };
  const refused = await app.call("POST", "/v1/events/batch", {
    events: [good, { type: "a", data: 1, endpoint_ids: [nobody] }],
  });
  expect([refused.status, refused.json.errors[0].pointer]).toEqual([422, "/events/1/endpoint_ids/0"]);
  expect((await app.call("POST", "/v1/events/batch", { events: [] })).status).toBe(422);
  expect((await app.call("POST", "/v1/events/batch", { events: Array(501).fill(good) })).status).toBe(422);
  expect(await countEvents()).toBe(before);
  expect((await app.call("POST", "/v1/events/batch", { events: Array(500).fill(good) })).json.data).toHaveLength(500);
});

test("a direct send posts data itself, signed by the implicit endpoint of its origin", async () => {
  const send = (path: string) =>
    app.call("POST", "/v1/events", {
      type: "direct.sale",
      data: { n: 1.5 },
      url: at(path),
      headers: { "X-Mine": "yes", authorization: "Bearer hunter2" },
    });
  const [one, two] = await Promise.all([send("/one"), send("/two")]);
  expect([one.json.deliveries, two.json.deliveries]).toEqual([1, 1]);
  const [received] = await arrived(one.json.id);
  expect(received).toMatchObject({ path: "/one", body: '{"n":1.5}' });
  expect(received?.headers).toMatchObject({
    "x-deltahook-event": "direct.sale",
    "x-mine": "yes",
    authorization: "Bearer hunter2",
    "webhook-signature": expect.stringMatching(/^v1,/),
  });
  const direct = (await app.call("GET", "/v1/endpoints?kind=direct")).json.data;
  expect(direct).toMatchObject([{ name: new URL(receiver.url).origin, event_types: [] }]);
  expect((await app.call("GET", `/v1/events/${one.json.id}`)).json).toMatchObject({
    url: at("/one"),
    data: { n: 1.5 },
  });
  const [delivery] = (await app.call("GET", `/v1/events/${one.json.id}/deliveries`)).json.data;
  const shown = await recorded(delivery.id);
  expect(shown.attempts[0].request).toMatchObject({ headers: { authorization: "***" }, body: '{"n":1.5}' });
  const [stored] = await app.database.sql<{ target: string }[]>`
    select target::text as target from deltahook.events where id = ${parseId("event", one.json.id)}`;
  expect(stored?.target).not.toContain("hunter2");
  const id = direct[0].id;
  expect((await app.call("PATCH", `/v1/endpoints/${id}`, { event_types: ["*"] })).status).toBe(422);
  expect((await app.call("PATCH", `/v1/endpoints/${id}`, { max_in_flight: 2 })).status).toBe(200);
  expect((await app.call("POST", `/v1/endpoints/${id}/test`)).status).toBe(409);
  expect((await app.call("POST", "/v1/events", { type: "a", data: 1, endpoint_ids: [id] })).status).toBe(422);
});

test("a deleted implicit endpoint is made anew by the next send", async () => {
  await app.call("POST", "/v1/events", { type: "again", data: 1, url: at("/again") });
  const [{ id }] = (await app.call("GET", "/v1/endpoints?kind=direct")).json.data;
  await app.call("DELETE", `/v1/endpoints/${id}`);
  const { json } = await app.call("POST", "/v1/events", { type: "again", data: 2, url: at("/again") });
  const [received] = await arrived(json.id);
  expect(received?.body).toBe("2");
});

test("a replay sends the same event to the same endpoints, under the same webhook-id", async () => {
  const id = await endpoint({ event_types: ["replayed"], url: at("/replay") });
  const other = await endpoint({ url: at("/other") });
  const event = (await app.call("POST", "/v1/events", { type: "replayed", data: 1 })).json;
  await arrived(event.id);
  const replay = await app.call("POST", `/v1/events/${event.id}/replay`);
  expect([replay.status, replay.json]).toEqual([202, { id: event.id, deliveries: 1 }]);
  await app.call("POST", `/v1/events/${event.id}/replay`, { endpoint_ids: [other] });
  const all = await until(
    async () => receiver.received.filter((got) => got.id === event.id),
    (found) => found.length === 3,
  );
  expect(all.map(({ path }) => path).sort()).toEqual(["/other", "/replay", "/replay"]);
  expect((await app.call("GET", `/v1/deliveries?event=${event.id}&endpoint=${id}`)).json.data).toHaveLength(2);
});

test("an event that nobody received can only be replayed to somebody named", async () => {
  const event = (await app.call("POST", "/v1/events", { type: "unheard", data: 1 })).json;
  expect(event.deliveries).toBe(0);
  expect((await app.call("POST", `/v1/events/${event.id}/replay`)).status).toBe(409);
  expect((await app.call("POST", `/v1/events/${event.id}/replay`, { endpoint_ids: [nobody] })).status).toBe(422);
});

test("replays to an ordered endpoint take their places in its line", async () => {
  const id = await endpoint({ ordered: true, event_types: ["line"], url: at("/line") });
  const event = (await app.call("POST", "/v1/events", { type: "line", data: 1 })).json;
  await arrived(event.id);
  await Promise.all([1, 2, 3].map(() => app.call("POST", `/v1/events/${event.id}/replay`)));
  const rows = await app.database.sql<{ seq: number }[]>`
    select seq from deltahook.deliveries where endpoint_id = ${parseId("endpoint", id)} order by seq`;
  expect(rows.map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
  await until(
    async () => receiver.received.filter(({ path }) => path === "/line").length,
    (count) => count === 4,
  );
});

test("events are listed newest first, by type, and without payloads", async () => {
  for (const data of [1, 2, 3]) await app.call("POST", "/v1/events", { type: "listed", data });
  const first = (await app.call("GET", "/v1/events?type=listed&limit=2")).json;
  const second = (await app.call("GET", `/v1/events?type=listed&limit=2&cursor=${first.next}`)).json;
  const all = [...first.data, ...second.data];
  expect(all).toHaveLength(3);
  expect(all.map(({ id }) => id)).toEqual(
    all
      .map(({ id }) => id)
      .sort()
      .reverse(),
  );
  expect(all[0]).not.toHaveProperty("data");
  expect(second.next).toBeNull();
  for (const query of ["watch=nonsense", "type=%00", "cursor=x"]) {
    expect((await app.call("GET", `/v1/events?${query}`)).status).toBe(422);
  }
});
