import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import type { NewEvent } from "../../src/delivering/publish.ts";
import { publicId } from "../../src/platform/ids.ts";
import { type Flow, jobsLeft, openFlow, states, until } from "../support/flow.ts";

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow();
});
afterEach(() => flow.reset());
afterAll(() => flow.end());

const NOWHERE = "http://127.0.0.1:9/hook";
const event = (type: string, data = "{}", more: Partial<NewEvent> = {}): NewEvent => ({
  type,
  data,
  origin: "api",
  ...more,
});

test("2,000 events in batches arrive exactly once each, signed, under the ids that were answered", async () => {
  const receiver = flow.receiver();
  const { secret } = await flow.endpoint({ url: receiver.url, maxInFlight: 64 });
  const engine = flow.engine();
  const ids = await flow.publish(engine, 2_000);
  await receiver.arrived(2_000, 60_000);
  await until(async () => (await states(flow)).delivered === 2_000);

  expect(receiver.received).toHaveLength(2_000);
  expect(receiver.ids()).toEqual(new Set(ids.map((id) => publicId("event", id))));
  const verifier = new Webhook(secret);
  for (const { body, headers } of receiver.received) verifier.verify(body, headers);
  const numbers = receiver.received.map(({ body }) => JSON.parse(body).data.n).sort((a, b) => a - b);
  expect(numbers).toEqual(Array.from({ length: 2_000 }, (_, i) => i));
  await until(async () => (await jobsLeft(flow)).jobs === 0);
  const [row] = await flow.database
    .sql`select count(*) as n, count(distinct delivery_id) as deliveries from deltahook.attempts`;
  expect(row).toEqual({ n: 2_000, deliveries: 2_000 });
});

test("the sender's bytes arrive, in the envelope", async () => {
  const receiver = flow.receiver();
  await flow.endpoint({ url: receiver.url });
  const { delivering } = flow.engine();
  const data = '{ "b":1.0, "a":12345678901234567890123, "a":"\\u0000\\ud800", "ü":"🎉" }';
  await delivering.publish(flow.database.sql, [event("order.paid", data)]);
  await receiver.arrived(1);
  expect(receiver.received[0]?.body).toEndWith(`,"data":${data}}`);
  expect(receiver.received[0]?.headers).toMatchObject({ "content-type": "application/json" });
});

describe("an event reaches", () => {
  async function recipients(published: NewEvent): Promise<string[]> {
    const { delivering } = flow.engine({ work: false });
    const [answer] = await delivering.publish(flow.database.sql, [published]);
    const rows = await flow.database.sql<{ url: string }[]>`
      select url from deltahook.deliveries delivery join deltahook.endpoints endpoint on endpoint.id = delivery.endpoint_id`;
    expect(answer?.deliveries).toBe(rows.length);
    return rows.map(({ url }) => url.slice(url.lastIndexOf("/") + 1)).sort();
  }

  test("whoever subscribes to its type", async () => {
    await flow.endpoint({ url: `${NOWHERE}/all` });
    await flow.endpoint({ url: `${NOWHERE}/orders`, eventTypes: ["order.*"] });
    await flow.endpoint({ url: `${NOWHERE}/bills`, eventTypes: ["bill.*"] });
    expect(await recipients(event("order.paid"))).toEqual(["all", "orders"]);
  });

  test("whom its payload gets through to", async () => {
    for (const [name, filter] of [
      ["large", "$[?@.data.amount > 100]"],
      ["small", "$[?@.data.amount <= 100]"],
      ["typed", '$[?@.type == "order.paid"]'],
    ] as const) {
      const { id } = await flow.endpoint({ url: `${NOWHERE}/${name}` });
      await flow.database.sql`update deltahook.endpoints set filter = ${filter} where id = ${id}`;
    }
    expect(await recipients(event("order.paid", '{"amount":250}'))).toEqual(["large", "typed"]);
  });

  test("exactly the endpoints that it names, each once, whatever they subscribe to", async () => {
    await flow.endpoint({ url: `${NOWHERE}/all` });
    const { id } = await flow.endpoint({ url: `${NOWHERE}/named`, eventTypes: [] });
    const unknown = crypto.randomUUID();
    expect(await recipients(event("order.paid", "{}", { endpointIds: [id, id, unknown] }))).toEqual(["named"]);
  });

  test("not the endpoint that it is about, nor who did not ask for system events", async () => {
    await flow.endpoint({ url: `${NOWHERE}/all` });
    await flow.endpoint({ url: `${NOWHERE}/other`, eventTypes: ["endpoint.*"] });
    const { id } = await flow.endpoint({ url: `${NOWHERE}/itself`, eventTypes: ["endpoint.*"] });
    const told = event("endpoint.paused", "{}", { origin: "system", aboutEndpoint: id });
    expect(await recipients(told)).toEqual(["other"]);
  });

  test("nobody, and is kept all the same", async () => {
    expect(await recipients(event("order.paid"))).toEqual([]);
    expect(await flow.database.sql`select type from deltahook.events`).toEqual([{ type: "order.paid" }] as never);
  });
});

test("a subscription changed a moment ago counts", async () => {
  const { id } = await flow.endpoint({ url: NOWHERE, eventTypes: ["order.*"] });
  const { delivering } = flow.engine({ work: false });
  const publish = async () => (await delivering.publish(flow.database.sql, [event("order.paid")]))[0]?.deliveries;
  expect(await publish()).toBe(1);
  await flow.database.sql`update deltahook.endpoints set event_types = ${["bill.*"]} where id = ${id}`;
  expect(await publish()).toBe(0);
});

test("what a transaction states and takes back was never stated", async () => {
  await flow.endpoint({ url: NOWHERE });
  const { delivering } = flow.engine({ work: false });
  const { sql } = flow.database;
  const undone = sql.begin(async (tx) => {
    await delivering.publish(tx, [event("order.paid")]);
    throw new Error("taken back");
  });
  expect(undone).rejects.toThrow("taken back");
  await undone.catch(() => {});
  expect(await sql`select from deltahook.events`).toHaveLength(0);
  expect(await states(flow)).toEqual({});
  expect(await jobsLeft(flow)).toEqual({ jobs: 0, locked: 0 });
});

describe("an endpoint that cannot take it now", () => {
  test.each(["manual", "gone", "failing"])("because it is paused (%s) gets it parked", async (reason) => {
    const { id } = await flow.endpoint({ url: NOWHERE });
    await flow.database.sql`
      update deltahook.endpoint_health set paused_reason = ${reason}, paused_since = now() where endpoint_id = ${id}`;
    const { delivering } = flow.engine({ work: false });
    await delivering.publish(flow.database.sql, [event("order.paid"), event("order.paid")]);
    expect(await states(flow)).toEqual({ parked: 2 });
    expect(await jobsLeft(flow)).toEqual({ jobs: 0, locked: 0 });
    const [health] = await flow.database.sql`select has_parked from deltahook.endpoint_health`;
    expect(health?.has_parked).toBe(true);
  });

  test("parks what comes from many transactions at once, and none of them fails", async () => {
    const endpoints = await Promise.all(
      [1, 2, 3, 4].map((n) => flow.endpoint({ url: `${NOWHERE}/${n}`, ordered: n % 2 === 0 })),
    );
    await flow.database.sql`update deltahook.endpoint_health set paused_reason = 'manual', paused_since = now()
                            where endpoint_id = any(${endpoints.slice(0, 3).map(({ id }) => id)}::uuid[])`;
    const { delivering } = flow.engine({ work: false });
    const { sql } = flow.database;
    const publications = Array.from({ length: 60 }, (_, i) =>
      i % 2 === 0
        ? delivering.publish(sql, [event("order.paid")])
        : sql.begin((tx) => delivering.publish(tx, [event("order.paid")])),
    );
    await Promise.all(publications);
    // Three are paused; the fourth is ordered, and lets only the head of its line out.
    expect(await states(flow)).toEqual({ parked: 239, pending: 1 });
    const lines = await sql<{ endpoint_id: string; places: number; last: number }[]>`
      select endpoint_id, count(distinct seq) as places, max(seq) as last from deltahook.deliveries where seq is not null group by 1`;
    expect(lines.map(({ places, last }) => [places, last])).toEqual([
      [60, 60],
      [60, 60],
    ]);
  });
});
