import { afterAll, beforeAll, expect, test } from "bun:test";
import { parseId } from "../../src/platform/ids.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { type DeliveringApp, deliveringApp, until } from "./delivering_app.ts";

let app: DeliveringApp;
let receiver: Receiver;
/** What the receiver answers, by path; 200 unless it is named. */
const answers = new Map<string, number>();
beforeAll(async () => {
  app = await deliveringApp();
  receiver = startReceiver(
    ({ path }) => new Response("it said so", { status: answers.get(path) ?? 200, headers: { "x-said": "so" } }),
  );
});
afterAll(async () => {
  await receiver.stop();
  await app.close();
});

const at = (path: string) => new URL(path, receiver.url).href;
/** An endpoint that one type reaches, on a path of its own. */
const endpoint = async (name: string, body: object = {}) =>
  (await app.call("POST", "/v1/endpoints", { url: at(`/${name}`), event_types: [name], auto_pause: false, ...body }))
    .json.id as string;
async function send(type: string, data: unknown = 1) {
  const event = (await app.call("POST", "/v1/events", { type, data })).json;
  const [delivery] = (await app.call("GET", `/v1/events/${event.id}/deliveries`)).json.data;
  return { event: event.id as string, delivery: delivery?.id as string };
}
const get = async (id: string) => (await app.call("GET", `/v1/deliveries/${id}`)).json;
const settled = (id: string, status: string) =>
  until(
    () => get(id),
    (delivery) => delivery.status === status,
  );

test("a delivery shows what was sent and what came back, try by try", async () => {
  const id = await endpoint("seen", { retry: { delays: ["1d"] }, headers: { authorization: "Bearer hunter2" } });
  answers.set("/seen", 503);
  const { delivery, event } = await send("seen", { n: 1 });
  const shown = await until(
    () => get(delivery),
    ({ attempts }) => attempts.length === 1,
  );
  expect(shown).toMatchObject({
    id: delivery,
    status: "pending",
    event_id: event,
    webhook_id: event,
    event_type: "seen",
    endpoint_id: id,
    tries: 1,
    last_status: 503,
    attempts: [
      {
        number: 1,
        outcome: "failed",
        request: {
          url: at("/seen"),
          headers: { "webhook-id": event, authorization: "***" },
          body: expect.stringMatching(/^\{"type":"seen","timestamp":"[^"]+Z","data":\{"n":1\}\}$/),
        },
        response: { status: 503, headers: { "x-said": "so" }, body: "it said so" },
        error: expect.stringContaining("503"),
      },
    ],
  });
  expect(Date.parse(shown.due_at)).toBeGreaterThan(Date.now() + 86_000_000);
});

test("what got no answer at all has no response, and says why", async () => {
  const gone = startReceiver();
  await gone.stop();
  await endpoint("deaf", { url: gone.url, retry: { delays: ["1d"] } });
  const { delivery } = await send("deaf");
  const { attempts } = await until(
    () => get(delivery),
    (shown) => shown.attempts.length === 1,
  );
  expect(attempts[0]).toMatchObject({ response: null, error: expect.stringMatching(/./) });
});

test("retry tries a waiting delivery now", async () => {
  await endpoint("impatient", { retry: { delays: ["1d", "1d"] } });
  answers.set("/impatient", 500);
  const { delivery } = await send("impatient");
  await until(
    () => get(delivery),
    ({ tries }) => tries === 1,
  );
  answers.delete("/impatient");
  expect((await app.call("POST", `/v1/deliveries/${delivery}/retry`)).status).toBe(200);
  expect((await settled(delivery, "delivered")).tries).toBe(2);
});

test("retry gives a dead delivery its whole schedule again, and takes its dead letter away", async () => {
  await endpoint("revived", { retry: { delays: [] } });
  answers.set("/revived", 500);
  const { delivery } = await send("revived");
  await settled(delivery, "dead");
  expect((await app.call("GET", `/v1/dead-letters/${delivery}`)).status).toBe(200);
  answers.delete("/revived");
  expect((await app.call("POST", `/v1/deliveries/${delivery}/retry`)).json.id).toBe(delivery);
  await settled(delivery, "delivered");
  expect((await app.call("GET", `/v1/dead-letters/${delivery}`)).status).toBe(404);
});

test("a dead delivery whose letter was discarded can still be retried", async () => {
  await endpoint("regretted", { retry: { delays: [] } });
  answers.set("/regretted", 500);
  const { delivery } = await send("regretted");
  await settled(delivery, "dead");
  await app.call("DELETE", `/v1/dead-letters/${delivery}`);
  answers.delete("/regretted");
  await app.call("POST", `/v1/deliveries/${delivery}/retry`);
  await settled(delivery, "delivered");
});

test("what has arrived is not retried: the answer names the replay", async () => {
  await endpoint("arrived");
  const { delivery, event } = await send("arrived");
  await settled(delivery, "delivered");
  const { status, json } = await app.call("POST", `/v1/deliveries/${delivery}/retry`);
  expect([status, json.detail]).toEqual([409, expect.stringContaining(`/v1/events/${event}/replay`)]);
  expect((await app.call("POST", `/v1/deliveries/${delivery}/cancel`)).status).toBe(409);
});

test("a cancelled delivery is never tried, unless somebody retries it", async () => {
  const id = await endpoint("unwanted");
  await app.call("POST", `/v1/endpoints/${id}/pause`);
  const { delivery } = await send("unwanted");
  const cancelled = await app.call("POST", `/v1/deliveries/${delivery}/cancel`);
  expect([cancelled.status, cancelled.json.status]).toEqual([200, "cancelled"]);
  await app.call("POST", `/v1/endpoints/${id}/resume`);
  const { delivery: later } = await send("unwanted");
  await settled(later, "delivered");
  expect(await get(delivery)).toMatchObject({ status: "cancelled", attempts: [] });
  await app.call("POST", `/v1/deliveries/${delivery}/retry`);
  await settled(delivery, "delivered");
});

test("no place in an ordered line is jumped, and a cancelled head lets the next one go", async () => {
  await endpoint("ordered", { ordered: true, retry: { delays: ["1d"] } });
  answers.set("/ordered", 500);
  const { delivery: head } = await send("ordered");
  await until(
    () => get(head),
    ({ tries }) => tries === 1,
  );
  const { delivery: next } = await send("ordered");
  const jump = await app.call("POST", `/v1/deliveries/${next}/retry`);
  expect([jump.status, jump.json.detail]).toEqual([409, expect.stringContaining("line")]);
  answers.delete("/ordered");
  await app.call("POST", `/v1/deliveries/${head}/cancel`);
  await settled(next, "delivered");
});

test("lists are filtered by status, endpoint, event and watch, and turn pages", async () => {
  const id = await endpoint("listed");
  await app.call("POST", `/v1/endpoints/${id}/pause`);
  const made = [await send("listed"), await send("listed"), await send("listed")];
  const list = async (query: string) =>
    (await app.call("GET", `/v1/deliveries?${query}`)).json.data.map((shown: { id: string }) => shown.id);
  const newest = made.map(({ delivery }) => delivery).reverse();
  expect(await list(`endpoint=${id}`)).toEqual(newest);
  expect(await list(`endpoint=${id}&status=pending&limit=2`)).toEqual(newest.slice(0, 2));
  expect(await list(`endpoint=${id}&status=delivered`)).toEqual([]);
  expect(await list(`event=${made[0]?.event}`)).toEqual(newest.slice(2));
  const watch = "0192f3a1-7c44-7000-8000-000000000009";
  const event = parseId("event", made[1]?.event ?? "");
  await app.database.sql`update deltahook.events set watch_id = ${watch} where id = ${event}`;
  const ofWatch = `watch=watch_${watch.replaceAll("-", "")}`;
  expect(await list(ofWatch)).toEqual([newest[1]]);
  await app.database.sql`update deltahook.events set watch_id = ${watch} where type = 'listed'`;
  const page = (await app.call("GET", `/v1/deliveries?${ofWatch}&limit=1`)).json;
  expect(page.data.map((shown: { id: string }) => shown.id)).toEqual(newest.slice(0, 1));
  expect(await list(`${ofWatch}&cursor=${page.next}`)).toEqual(newest.slice(1));
  const { next } = (await app.call("GET", `/v1/deliveries?endpoint=${id}&limit=1`)).json;
  expect(await list(`endpoint=${id}&cursor=${next}`)).toEqual(newest.slice(1));
  for (const query of ["status=lost", "endpoint=x", "event=ep_1", "limit=201", "colour=red"]) {
    expect((await app.call("GET", `/v1/deliveries?${query}`)).status).toBe(422);
  }
  expect((await app.call("GET", `/v1/deliveries/dlv_${"0".repeat(32)}`)).status).toBe(404);
});
