import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { Webhook } from "standardwebhooks";
import { createListening, type Listener, type Listening } from "../../src/delivering/listen.ts";
import { listenerUrl, withListeners } from "../../src/delivering/listen_door.ts";
import { listenQuery } from "../../src/delivering/listen_input.ts";
import {
  type ListenAnswer,
  type ListenRequest,
  putRequest,
  removeStale,
  renewLeases,
} from "../../src/delivering/listen_store.ts";
import { freeLost } from "../../src/delivering/store.ts";
import { parseId } from "../../src/platform/ids.ts";
import { silentLog } from "../../src/platform/log.ts";
import { type Engine, loopback, vault } from "../support/engine.ts";
import { type Flow, openFlow, states, until } from "../support/flow.ts";

const ME = "api_key:me";

let flow: Flow;
let engine: Engine;
let listening: Listening;
const leaving: (() => void)[] = [];

beforeAll(async () => {
  flow = await openFlow();
});
afterEach(async () => {
  for (const leave of leaving.splice(0)) leave();
  await flow.reset();
});
afterAll(() => flow.end());

type Listened = { listener: Listener; requests: ListenRequest[] };

/** Listens on a node of its own, and answers each request as `reply` says; null answers nothing. */
async function listen(
  asked: Record<string, string> = {},
  reply: (request: ListenRequest) => ListenAnswer | null = () => ({ status: 200, headers: {}, body: "ok" }),
): Promise<Listened> {
  engine = flow.engine();
  listening = createListening({ database: flow.database, vault, log: silentLog });
  const listener = await listening.open(ME, listenQuery.parse(asked));
  return follow(listener, reply);
}

function follow(listener: Listener, reply: (request: ListenRequest) => ListenAnswer | null): Listened {
  const listened: Listened = { listener, requests: [] };
  const leave = listening.follow(listener, {
    isReady: () => true,
    deliver(request) {
      listened.requests.push(request);
      const answer = reply(request);
      if (answer) void listening.answer(ME, listener.id, [{ request: request.id, answer }]);
    },
    beat() {},
    end: () => leave(),
  });
  leaving.push(leave);
  return listened;
}

const uuidOf = ({ id }: Listener) => parseId("endpoint", id) ?? "";
const setTimeoutMs = ({ listener }: Listened, ms: number) =>
  flow.database.sql`
    update deltahook.endpoints set timeout_ms = ${ms}, revision = revision + 1 where id = ${uuidOf(listener)}`;
const ended = (state: string, count = 1) => until(async () => (await states(flow))[state] === count, state);

async function lastAttempt() {
  const [row] = await flow.database.sql`
    select attempt.outcome, attempt.status, attempt.response_headers, attempt.response_body, attempt.error,
      delivery.state, delivery.last_error, (select count(*) from deltahook.dead_letters) as letters
    from deltahook.deliveries delivery left join deltahook.attempts attempt on attempt.delivery_id = delivery.id
    order by delivery.id desc limit 1`;
  return row;
}

test("what a listener is sent is signed with its secret, and its answer is the response of the attempt", async () => {
  const { listener, requests } = await listen({ event_types: "order.*" }, () => ({
    status: 201,
    headers: { "x-from": "here" },
    body: "made",
  }));
  await flow.publish(engine, 1, "order.paid");
  await flow.publish(engine, 1, "user.added");
  await ended("delivered");
  expect(await lastAttempt()).toMatchObject({
    outcome: "delivered",
    status: 201,
    response_headers: { "x-from": "here" },
    response_body: "made",
  });
  expect(requests).toHaveLength(1);
  const [{ headers, body } = { headers: {}, body: new Uint8Array() }] = requests;
  expect(new Webhook(listener.secret).verify(new TextDecoder().decode(body), headers)).toMatchObject({
    type: "order.paid",
    data: { n: 0 },
  });
  const left = await flow.database.sql`select from deltahook.listen_requests`;
  expect(left).toHaveLength(0);
});

test("a filter is evaluated, and a system event comes only to who names it", async () => {
  const { requests } = await listen({ event_types: "*", filter: "$[?@.data.n > 1]" });
  await flow.publish(engine, 4);
  await engine.delivering.publish(flow.database.sql, [{ type: "watch.failing", data: '{"n":9}', origin: "system" }]);
  await ended("delivered", 2);
  expect(requests).toHaveLength(2);
});

describe("tried once, without a dead letter or a mark on its health:", () => {
  const failures: [name: string, answer: ListenAnswer, seen: Record<string, unknown>][] = [
    ["500", { status: 500, headers: {}, body: "oops" }, { status: 500, response_body: "oops" }],
    ["410", { status: 410, headers: {}, body: "" }, { status: 410 }],
    ["503 with Retry-After", { status: 503, headers: { "retry-after": "60" }, body: "" }, { status: 503 }],
    ["an address that refuses", { error: "localhost:3000 refuses connections." }, { status: null }],
  ];
  test.each(failures)("%s", async (_name, answer, seen) => {
    const { listener } = await listen({}, () => answer);
    await flow.publish(engine, 1);
    await ended("cancelled");
    const error = "error" in answer ? answer.error : expect.stringContaining(String(answer.status));
    expect(await lastAttempt()).toMatchObject({ outcome: "failed", error, last_error: error, letters: 0, ...seen });
    const [health] = await flow.database.sql`
      select paused_reason, hold_until, failing_since from deltahook.endpoint_health
      where endpoint_id = ${uuidOf(listener)}`;
    expect(health).toEqual({ paused_reason: null, hold_until: null, failing_since: null });
  });
});

test("an answer that does not come is a timeout, and one that comes after it is not taken", async () => {
  const listened = await listen({}, () => null);
  await setTimeoutMs(listened, 400);
  await flow.publish(engine, 1);
  await ended("cancelled");
  expect((await lastAttempt())?.error).toBe("Whoever listens did not answer within 400ms.");
  const request = listened.requests[0]?.id ?? "";
  const answer = { status: 200, headers: {}, body: "" };
  expect(await listening.answer(ME, listened.listener.id, [{ request, answer }])).toBe(0);
});

test("an answer with null characters and half characters is recorded without them", async () => {
  await listen({}, () => ({ status: 200, headers: { "x-a\0": "b\0\ud800" }, body: "c\0\ud800" }));
  await flow.publish(engine, 1);
  await ended("delivered");
  const [attempt] = await flow.database.sql`
    select response_headers::jsonb as headers, response_body as body from deltahook.attempts`;
  expect(attempt).toMatchObject({ headers: { "x-a\ufffd": "b\ufffd\ufffd" }, body: "c\ufffd" });
});

test("a body longer than an attempt keeps is cut", async () => {
  await listen({}, () => ({ status: 400, headers: {}, body: "é".repeat(16_384) }));
  await flow.publish(engine, 1);
  await ended("cancelled");
  expect(Buffer.byteLength((await lastAttempt())?.response_body)).toBe(16_384);
});

test("who comes back is given what was not answered, and the earlier connection has lost its claim", async () => {
  const first = await listen({}, () => null);
  await flow.publish(engine, 3);
  await until(() => first.requests.length === 3, "three requests");
  const again = await listening.open(ME, listenQuery.parse({ listener: first.listener.id }));
  expect(again).toMatchObject({ id: first.listener.id, secret: first.listener.secret });
  const second = follow(again, () => ({ status: 200, headers: {}, body: "" }));
  await ended("delivered", 3);
  expect(second.requests.map(({ id }) => id)).toEqual(first.requests.map(({ id }) => id));
  const streams = [first.listener.stream, second.listener.stream];
  expect(await renewLeases(flow.database.sql, streams)).toEqual(new Set([second.listener.stream]));
});

test("what a crash of Postgres takes from the unlogged table is put again", async () => {
  let asked = 0;
  await listen({}, () => (++asked === 1 ? null : { status: 200, headers: {}, body: "" }));
  await flow.publish(engine, 1);
  await until(() => asked === 1, "the request");
  await flow.database.sql`truncate deltahook.listen_requests`;
  await ended("delivered");
  expect(asked).toBe(2);
});

test("whoever does not read is given nothing more until they do", async () => {
  const listener = await listen().then(({ listener: first }) => {
    for (const leave of leaving.splice(0)) leave();
    return first;
  });
  let isReading = false;
  const given: string[] = [];
  const reader = {
    isReady: () => isReading,
    deliver: ({ id }: ListenRequest) => void given.push(id),
    beat() {},
    end() {},
  };
  leaving.push(listening.follow(listener, reader));
  const request = { id: Bun.randomUUIDv7(), headers: {}, body: new Uint8Array() };
  await putRequest(flow.database.sql, { ...request, endpointId: uuidOf(listener), timeoutMs: 30_000 });
  await Bun.sleep(300);
  expect(given).toEqual([]);
  isReading = true;
  await until(() => given.length === 1, "the request");
});

test("a shutdown that comes while a request is put ends it at once", async () => {
  const { listener } = await listen();
  const door = withListeners(loopback, { sql: flow.database.sql, log: silentLog });
  const stopping = new AbortController();
  const asked = door.request({
    method: "POST",
    url: listenerUrl(uuidOf(listener)),
    headers: {},
    body: "{}",
    timeoutMs: 20_000,
    maxBytes: 1_024,
    oversize: "truncate",
    signal: stopping.signal,
  });
  stopping.abort();
  expect(await asked).toMatchObject({ ok: false, fault: { kind: "aborted" } });
  expect(await flow.database.sql`select from deltahook.listen_requests`).toHaveLength(0);
}, 15_000);

test("nobody else may come back to a listener or answer for it", async () => {
  const { listener } = await listen();
  const other = listening.open("api_key:other", listenQuery.parse({ listener: listener.id }));
  await expect(other).rejects.toMatchObject({ code: "forbidden" });
  const answers = [{ request: Bun.randomUUIDv7(), answer: { error: "no" } }];
  await expect(listening.answer("api_key:other", listener.id, answers)).rejects.toMatchObject({ code: "forbidden" });
});

test("a listener that nobody follows goes with its lease, and what it is owed is cancelled", async () => {
  const { sql } = flow.database;
  const stale = await listen({}, () => null);
  const kept = await listening.open(ME, listenQuery.parse({}));
  await flow.publish(engine, 1);
  await until(() => stale.requests.length === 1, "the request");
  await sql`update deltahook.listeners set seen_at = now() - interval '31 s' where endpoint_id = ${uuidOf(stale.listener)}`;
  await removeStale(sql, 30_000);
  const rows = await sql`
    select endpoint_id as id, state, last_error from deltahook.deliveries order by endpoint_id`;
  expect(rows.find(({ id }) => id === uuidOf(stale.listener))).toMatchObject({
    state: "cancelled",
    last_error: "The endpoint was deleted.",
  });
  expect(rows.find(({ id }) => id === uuidOf(kept))?.state).toBe("pending");
  const left = await sql<{ id: string }[]>`select endpoint_id as id from deltahook.listeners`;
  expect(left.map(({ id }) => id)).toEqual([uuidOf(kept)]);
});

test("what was published while a listener went is cancelled too, and does not go round for ever", async () => {
  const { sql } = flow.database;
  engine = flow.engine({ work: false });
  listening = createListening({ database: flow.database, vault, log: silentLog });
  const listener = await listening.open(ME, listenQuery.parse({}));
  await flow.endpoint({ url: "http://127.0.0.1:9/" });
  await flow.publish(engine, 1);
  await sql`delete from deltahook.endpoints where id = ${uuidOf(listener)}`;
  await sql.unsafe("delete from deltahook_queue._private_jobs");
  await sql`update deltahook.deliveries set due_at = due_at - interval '1 minute'`;
  expect(await freeLost(sql, 15)).toBe(2);
  expect(await states(flow)).toEqual({ cancelled: 1, pending: 1 });
});

test("a request to a listener that is gone fails at once, and no user can give such an address", async () => {
  const request = { id: Bun.randomUUIDv7(), headers: {}, body: new Uint8Array() };
  const nobody = { ...request, endpointId: Bun.randomUUIDv7(), timeoutMs: 1_000 };
  expect(await putRequest(flow.database.sql, nobody)).toBe(false);
  expect(loopback.checkUrl(listenerUrl(Bun.randomUUIDv7()))).not.toBeNull();

  const listened = await listen({}, () => null);
  await flow.database.sql`delete from deltahook.listeners`;
  await flow.publish(engine, 1);
  await ended("cancelled");
  expect((await lastAttempt())?.error).toBe("Nobody listens here any more.");
  expect(listened.requests).toHaveLength(0);
});
