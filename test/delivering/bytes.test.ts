import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { silentLog } from "../../src/platform/log.ts";
import { startPool, type WorkerPool } from "../../src/platform/queue.ts";
import { type DeliveringApp, deliveringApp } from "../http/delivering_app.ts";
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
  await app.call("POST", "/v1/endpoints", { url: receiver.url, event_types: ["bytes"] });
});
afterAll(async () => {
  await pool.stop();
  await receiver.stop();
  await app.close();
});

/** What parsing and printing again would change. */
const TEXTS: [name: string, data: string][] = [
  ["a decimal with a zero at its end", "1.0"],
  ["an exponent", "1E+02"],
  ["a zero below zero", "-0"],
  ["an integer of 20 digits", "12345678901234567890"],
  ["a decimal beyond a double", "0.1000000000000000055511151231257827"],
  ["keys out of order, numbers among them", '{"b":1,"10":2,"a":3,"2":4}'],
  ["a key given twice", '{"a":1,"a":2}'],
  ["white space inside", '{ "a" :\t[ 1 ,\n  2 ]\r\n}'],
  ["escapes that need not be", '"\\u0041\\/\\u00e9\\ud83d\\ude00"'],
  ["an escape for nothing", '"a\\u0000b"'],
  ["half a surrogate pair", '"\\ud800"'],
  ["letters of four bytes", '"Grüße 😀"'],
  ["what looks like the end", '{"data":{"x":"}]\\"}"},"type":"not this"}'],
  ["null", "null"],
];

/** The bytes of `data` as they arrived; a direct send has them as its whole body. */
async function arrived(id: string): Promise<string> {
  for (const startedAt = performance.now(); performance.now() - startedAt < 20_000; await Bun.sleep(10)) {
    const found = receiver.received.find((received) => received.id === id);
    if (found) return dataOf(found);
  }
  throw new Error(`${id} did not arrive`);
}

function dataOf({ body, headers }: Receiver["received"][number]): string {
  if (headers["x-deltahook-event"] !== undefined) return body;
  const head = /^\{"type":"bytes","timestamp":"[0-9TZ:.-]{24}","data":/.exec(body)?.[0];
  if (head === undefined || !body.endsWith("}")) throw new Error(`this is no envelope: ${body}`);
  return body.slice(head.length, -1);
}

async function accepted(path: string, body: string): Promise<{ id: string; data: { id: string }[] }> {
  const { status, json } = await app.call("POST", path, body);
  expect(status).toBe(202);
  return json;
}

describe.each(TEXTS)("%s arrives byte for byte", (_, data) => {
  test("sent alone, with white space around", async () => {
    const { id } = await accepted("/v1/events", `{"type":"bytes", "data" : ${data} \n}`);
    expect(await arrived(id)).toBe(data);
    expect((await app.call("GET", `/v1/events/${id}`)).text).toContain(`"data":${data}`);
  });

  test("sent in a batch, between others", async () => {
    const other = '{"type":"bytes","data":0}';
    const body = `{"events":[${other}, {"data":${data},"type":"bytes"} ,${other}]}`;
    const answer = await accepted("/v1/events/batch", body);
    expect(await arrived(answer.data[1]?.id ?? "")).toBe(data);
  });

  test("sent to a url", async () => {
    const { id } = await accepted("/v1/events", `{"type":"bytes","url":"${receiver.url}","data":${data}}`);
    expect(await arrived(id)).toBe(data);
  });

  test("sent in SQL", async () => {
    const [row] = await app.database.sql<{ id: string }[]>`select deltahook.send('bytes', ${data}::text::json) as id`;
    expect(await arrived(row?.id ?? "")).toBe(data);
  });
});

test("a replay sends the same bytes once more", async () => {
  const data = '{"b":1.0,"a":12345678901234567890,"b":2}';
  const { id } = await accepted("/v1/events", `{"type":"bytes","data":${data}}`);
  await arrived(id);
  expect((await app.call("POST", `/v1/events/${id}/replay`)).status).toBe(202);
  await receiver.arrived(receiver.ids().size);
  const same = () => receiver.received.filter((received) => received.id === id);
  for (let tries = 0; same().length < 2 && tries < 1_000; tries++) await Bun.sleep(10);
  expect(same().map(dataOf)).toEqual([data, data]);
});
