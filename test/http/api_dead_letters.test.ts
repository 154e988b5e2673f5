import { afterAll, beforeAll, expect, test } from "bun:test";
import { parseId, publicId, uuidFloor } from "../../src/platform/ids.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { type DeliveringApp, deliveringApp, until } from "./delivering_app.ts";

let app: DeliveringApp;
let receiver: Receiver;
const failing = new Set<string>();
beforeAll(async () => {
  app = await deliveringApp();
  receiver = startReceiver(({ path }) => new Response("", { status: failing.has(path) ? 500 : 200 }));
});
afterAll(async () => {
  await receiver.stop();
  await app.close();
});

const DATA = '{"n":1.0,"big":12345678901234567890}';

/** An endpoint that fails, with `count` dead letters. */
async function deadLetters(name: string, count = 1, body: object = {}) {
  failing.add(`/${name}`);
  const url = new URL(`/${name}`, receiver.url).href;
  const endpoint = (
    await app.call("POST", "/v1/endpoints", {
      url,
      event_types: [name],
      auto_pause: false,
      retry: { delays: [] },
      ...body,
    })
  ).json.id as string;
  for (let i = 0; i < count; i++) await app.call("POST", "/v1/events", `{"type":"${name}","data":${DATA}}`);
  const letters = await until(
    async () => (await app.call("GET", `/v1/dead-letters?endpoint=${endpoint}`)).json.data,
    ({ length }) => length === count,
  );
  failing.delete(`/${name}`);
  return { endpoint, url, letters };
}
const arrivedAt = (path: string) => receiver.received.filter((received) => received.path === path);

test("a dead letter keeps its own copy, byte for byte, and the reason", async () => {
  const { endpoint, url, letters } = await deadLetters("kept");
  expect(letters[0]).toMatchObject({
    type: "kept",
    endpoint_id: endpoint,
    url,
    reason: "exhausted",
    attempts: 1,
    last_status: 500,
    last_error: expect.stringContaining("500"),
  });
  const { text, json } = await app.call("GET", `/v1/dead-letters/${letters[0].id}`);
  expect(json.webhook_id).toBe(json.event_id);
  expect(text).toEndWith(`"data":${DATA}}`);
});

test("a requeued letter is delivered under its webhook-id, by the same delivery", async () => {
  const { letters } = await deadLetters("requeued");
  const { status, json } = await app.call("POST", `/v1/dead-letters/${letters[0].id}/requeue`);
  expect([status, json.id, json.status]).toEqual([202, letters[0].id, "pending"]);
  await until(
    async () => (await app.call("GET", `/v1/deliveries/${json.id}`)).json.status,
    (found) => found === "delivered",
  );
  expect(new Set(arrivedAt("/requeued").map(({ id }) => id))).toEqual(new Set([letters[0].webhook_id]));
  expect((await app.call("POST", `/v1/dead-letters/${letters[0].id}/requeue`)).status).toBe(404);
});

test("a letter that outlived its delivery and event is sent from its copy, twice over, under its first webhook-id", async () => {
  const { letters } = await deadLetters("outlived");
  const uuid = parseId("delivery", letters[0].id);
  const event = parseId("event", letters[0].event_id);
  await app.database.sql`delete from deltahook.deliveries where id = ${uuid}`;
  await app.database.sql`delete from deltahook.events where id = ${event}`;
  failing.add("/outlived");
  const copy = (await app.call("POST", `/v1/dead-letters/${letters[0].id}/requeue`)).json;
  expect(copy.id).not.toBe(letters[0].id);
  expect(copy.webhook_id).toBe(letters[0].webhook_id);
  const again = await until(
    async () => (await app.call("GET", `/v1/dead-letters/${copy.id}`)).json,
    ({ id }) => id !== undefined,
  );
  expect(again.webhook_id).toBe(letters[0].webhook_id);
  const second = parseId("event", again.event_id);
  await app.database.sql`delete from deltahook.deliveries where id = ${parseId("delivery", copy.id)}`;
  await app.database.sql`delete from deltahook.events where id = ${second}`;
  failing.delete("/outlived");
  await app.call("POST", `/v1/dead-letters/${copy.id}/requeue`);
  const all = await until(
    async () => arrivedAt("/outlived"),
    ({ length }) => length === 3,
  );
  expect(new Set(all.map(({ id }) => id))).toEqual(new Set([letters[0].webhook_id]));
  expect(all.at(-1)?.body).toEndWith(`"data":${DATA}}`);
});

test("a letter whose delivery is near its retention's end is sent as a copy that lives on", async () => {
  const { letters } = await deadLetters("aged");
  const old = uuidFloor(Date.now() - 20 * 86_400_000);
  const from = uuidFloor(Date.now() - 21 * 86_400_000);
  const to = uuidFloor(Date.now() - 19 * 86_400_000);
  await app.database.sql.unsafe(
    `create table deltahook.aged partition of deltahook.deliveries for values from ('${from}') to ('${to}')`,
  );
  const uuid = parseId("delivery", letters[0].id);
  await app.database.sql`update deltahook.deliveries set id = ${old} where id = ${uuid}`;
  await app.database.sql`update deltahook.dead_letters set delivery_id = ${old} where delivery_id = ${uuid}`;
  const { json } = await app.call("POST", `/v1/dead-letters/${publicId("delivery", old)}/requeue`);
  expect(json.id).not.toBe(publicId("delivery", old));
  expect((await app.call("GET", `/v1/deliveries/${publicId("delivery", old)}`)).json.status).toBe("dead");
  await until(
    async () => arrivedAt("/aged").length,
    (count) => count === 2,
  );
});

test("a direct send's letter goes to its own address again, as a copy too", async () => {
  failing.add("/direct");
  const url = new URL("/direct", receiver.url).href;
  const sent = { type: "direct", data: [1], url, retry: { delays: [] }, headers: { authorization: "Bearer hunter2" } };
  const event = (await app.call("POST", "/v1/events", sent)).json.id;
  const [letter] = await until(
    async () => (await app.call("GET", `/v1/dead-letters?event=${event}`)).json.data,
    ({ length }) => length === 1,
  );
  await app.database.sql`delete from deltahook.events where id = ${parseId("event", event)}`;
  failing.delete("/direct");
  await app.call("POST", `/v1/dead-letters/${letter.id}/requeue`);
  const [, again] = await until(
    async () => arrivedAt("/direct"),
    ({ length }) => length === 2,
  );
  expect(again).toMatchObject({ id: event, body: "[1]", headers: { authorization: "Bearer hunter2" } });
});

test("a discarded letter is gone, and its delivery stays dead", async () => {
  const { letters } = await deadLetters("discarded");
  expect((await app.call("DELETE", `/v1/dead-letters/${letters[0].id}`)).status).toBe(204);
  expect((await app.call("DELETE", `/v1/dead-letters/${letters[0].id}`)).status).toBe(404);
  expect((await app.call("GET", `/v1/deliveries/${letters[0].id}`)).json.status).toBe("dead");
});

test("a letter whose endpoint was deleted cannot be requeued, and says what to do", async () => {
  const { endpoint, letters } = await deadLetters("orphaned");
  await app.call("DELETE", `/v1/endpoints/${endpoint}`);
  const { status, json } = await app.call("POST", `/v1/dead-letters/${letters[0].id}/requeue`);
  expect([status, json.detail]).toEqual([409, expect.stringContaining("replay")]);
  expect((await app.call("GET", `/v1/dead-letters/${letters[0].id}`)).json.endpoint_name).toBeNull();
});

test("an ordered endpoint takes requeued letters one after another, the oldest first, then goes on", async () => {
  const { letters } = await deadLetters("ordered", 3, { ordered: true });
  const before = arrivedAt("/ordered").length;
  for (const { id } of letters) await app.call("POST", `/v1/dead-letters/${id}/requeue`);
  const last = (await app.call("POST", "/v1/events", { type: "ordered", data: 1 })).json.id;
  await until(
    async () => arrivedAt("/ordered").some(({ id }) => id === last),
    (found) => found,
  );
  const order = arrivedAt("/ordered")
    .slice(before)
    .map(({ id }) => id);
  expect(order).toHaveLength(4);
  expect(order.at(-1)).toBe(last);
});

test("lists are filtered and turn pages; a wrong filter is refused", async () => {
  const { endpoint, letters } = await deadLetters("listed", 3);
  const ids = letters.map(({ id }: { id: string }) => id);
  expect(ids).toEqual([...ids].sort().reverse());
  const first = (await app.call("GET", `/v1/dead-letters?endpoint=${endpoint}&reason=exhausted&limit=2`)).json;
  const second = (await app.call("GET", `/v1/dead-letters?endpoint=${endpoint}&cursor=${first.next}`)).json;
  expect([...first.data, ...second.data].map(({ id }) => id)).toEqual(ids);
  expect((await app.call("GET", `/v1/dead-letters?type=listed&reason=gone`)).json.data).toEqual([]);
  expect((await app.call("GET", "/v1/dead-letters?reason=bored")).status).toBe(422);
});
