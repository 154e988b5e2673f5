import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { parseId } from "../../src/platform/ids.ts";
import { silentLog } from "../../src/platform/log.ts";
import { startPool, type WorkerPool } from "../../src/platform/queue.ts";
import { type DeliveringApp, deliveringApp, until } from "../http/delivering_app.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";

let app: DeliveringApp;
let receiver: Receiver;
let pool: WorkerPool;
beforeAll(async () => {
  app = await deliveringApp();
  receiver = startReceiver();
  pool = startPool({
    name: "fan_out",
    tasks: { fan_out: app.resources.fanOut },
    concurrency: 4,
    target: app.target,
    log: silentLog,
    onStarted: async () => {},
    onStopped: async () => {},
  });
});
afterAll(async () => {
  await pool.stop();
  await receiver.stop();
  await app.close();
});

const endpoint = (body: object) => app.call("POST", "/v1/endpoints", { url: receiver.url, ...body });
const sql = () => app.database.sql;
const sent = (id: string) =>
  until(
    async () => receiver.received.filter((received) => received.id === id),
    (found) => found.length > 0,
  );
const idOf = ([row]: readonly { id: string }[]) => row?.id ?? "";

test("what a transaction sends is delivered after its commit, byte for byte", async () => {
  await endpoint({ event_types: ["sql.*"] });
  const data = '{"b": 1.0, "big":12345678901234567890,"b" : 2}';
  const id = await sql().begin(async (tx) => {
    const sentId = idOf(await tx<{ id: string }[]>`select deltahook.send('sql.sale', ${data}::text::json) as id`);
    await Bun.sleep(50);
    expect(await sql()`select from deltahook.events where type = 'sql.sale'`).toHaveLength(0);
    return sentId;
  });
  expect(id).toMatch(/^evt_[0-9a-f]{32}$/);
  const [received] = await sent(id);
  expect(received?.body).toEndWith(`,"data":${data}}`);
  expect((await app.call("GET", `/v1/events/${id}`)).json).toMatchObject({ type: "sql.sale", origin: "sql" });
});

test("what is rolled back was never sent", async () => {
  const undone = sql().begin(async (tx) => {
    await tx`select deltahook.send('sql.undone', '1')`;
    throw new Error("roll back");
  });
  expect(undone).rejects.toThrow("roll back");
  await undone.catch(() => {});
  expect(await sql()`select from deltahook.events where type = 'sql.undone'`).toHaveLength(0);
  expect(await sql()`select from deltahook.job_keys where key like 'fan_out:%'`).toHaveLength(0);
});

test("filters decide as for any other event, and nothing is fanned out twice", async () => {
  await endpoint({ event_types: ["filtered"], filter: "$[?@.data.amount > 100]" });
  const small = idOf(await sql()<{ id: string }[]>`select deltahook.send('filtered', '{"amount": 5}') as id`);
  const large = idOf(await sql()<{ id: string }[]>`select deltahook.send('filtered', '{"amount": 500}') as id`);
  await sent(large);
  const event = parseId("event", large);
  await Promise.all([1, 2, 3].map(() => app.resources.fanOut({ event })));
  expect((await app.call("GET", `/v1/events/${large}/deliveries`)).json.data).toHaveLength(1);
  expect((await app.call("GET", `/v1/events/${small}/deliveries`)).json.data).toHaveLength(0);
});

test("a url gets data itself, through the implicit endpoint of its origin", async () => {
  const url = new URL("/direct", receiver.url).href;
  const id = idOf(await sql()<{ id: string }[]>`select deltahook.send('sql.direct', '[1.50]', ${url}) as id`);
  const [received] = await sent(id);
  expect(received).toMatchObject({ path: "/direct", body: "[1.50]", headers: { "x-deltahook-event": "sql.direct" } });
});

test("an address that turns out to be none harms no other event", async () => {
  const bad = idOf(await sql()<{ id: string }[]>`select deltahook.send('sql.sale', '1', 'http://[zz/') as id`);
  const good = idOf(await sql()<{ id: string }[]>`select deltahook.send('sql.sale', '2') as id`);
  await sent(good);
  const waiting = async () =>
    sql()`select from deltahook.events where id = ${parseId("event", bad)} and awaits_fan_out`;
  await until(waiting, ({ length }) => length === 0);
});

test("an idempotency key gives the same id again, and an error for another event", async () => {
  const send = async (data: string, key = "k") =>
    idOf(await sql()<{ id: string }[]>`select deltahook.send('sql.once', ${data}::text::json, null, ${key}) as id`);
  const [first, second] = await Promise.all([send("1"), send("1")]);
  expect(second).toBe(first);
  expect(await send("1")).toBe(first);
  expect(send("2")).rejects.toThrow(/was used within the last 24 hours/);
  expect(await send("2", "other")).not.toBe(first);
  expect(await sql()`select from deltahook.events where type = 'sql.once'`).toHaveLength(2);
});

type Fault = [name: string, type: string | null, data: string | null, url: string | null, message: RegExp];
const faults: Fault[] = [
  ["no type", null, "1", null, /event type null/],
  ["a type with a space", "a b", "1", null, /event type 'a b'/],
  ["a system event's name", "endpoint.paused", "1", null, /stated by DeltaHook itself/],
  ["no data", "a", null, null, /needs data/],
  ["data beyond 256 KiB", "a", `"${"é".repeat(131_072)}"`, null, /256 KiB/],
  ["another scheme", "a", "1", "ftp://example.com/", /cannot be called/],
  ["a password in the url", "a", "1", "https://a:b@example.com/", /cannot be called/],
  ["a line break in the url", "a", "1", "https://example.com/\nx", /cannot be called/],
];

describe("deltahook.send refuses", () => {
  test.each(faults)("%s", async (_, type, data, url, message) => {
    const sending = sql()`select deltahook.send(${type}, ${data}::text::json, ${url})`;
    expect(sending).rejects.toThrow(message);
    await sending.catch(() => {});
  });
});

test("a sender needs the role and nothing else: it reads and writes no table", async () => {
  const [role] = await sql()`select 1 from pg_roles where rolname = 'deltahook_sender'`;
  expect(role).toBeDefined();
  const asSender = <T>(work: Parameters<ReturnType<typeof sql>["begin"]>[1]) =>
    sql().begin(async (tx) => {
      await tx`set local role deltahook_sender`;
      return work(tx as never);
    }) as Promise<T>;
  const rows = await asSender<{ id: string }[]>((tx) => tx`select deltahook.send('sql.sale', '3') as id`);
  expect((await sent(idOf(rows)))[0]?.body).toEndWith('"data":3}');
  expect(asSender((tx) => tx`select * from deltahook.events`)).rejects.toThrow(/permission denied/);
  expect(asSender((tx) => tx`select * from deltahook.idempotency_keys`)).rejects.toThrow(/permission denied/);
});

test("a function of the sender's own cannot slip under the definer's rights", async () => {
  await sql()`create schema trap`;
  await sql()`create function trap.octet_length(text) returns int language sql as 'select 1/0'`;
  const id = await sql().begin(async (tx) => {
    await tx`set local search_path = trap, pg_catalog`;
    return idOf(await tx<{ id: string }[]>`select deltahook.send('sql.sale', '4') as id`);
  });
  await sent(id);
});
