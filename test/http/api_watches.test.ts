import { afterAll, beforeAll, expect, test } from "bun:test";
import { hostRoutes } from "../../src/http/api/hosts.ts";
import { jsonpathRoutes } from "../../src/http/api/jsonpath.ts";
import { watchRoutes } from "../../src/http/api/watches.ts";
import { createApp } from "../../src/http/app.ts";
import type { HttpServer } from "../../src/http/server.ts";
import { createIdentity } from "../../src/identity/identity.ts";
import type { Role } from "../../src/identity/principal.ts";
import { silentLog } from "../../src/platform/log.ts";
import { testDatabase } from "../support/database.ts";
import { type Node, type Source, startNode, startSource } from "../watching/support.ts";
import { answered, type Called, PUBLIC_URL } from "./support.ts";

let place: Awaited<ReturnType<typeof testDatabase>>;
let node: Node;
let source: Source;
let server: HttpServer;
const keys = new Map<Role, string>();

beforeAll(async () => {
  place = await testDatabase();
  const { database } = place;
  node = startNode(place, { work: false });
  source = startSource(() => Response.json({ order: { status: "pending", total: 12.5 } }));
  const identity = createIdentity({ database, jwtSecret: "j".repeat(48), https: false });
  for (const role of ["viewer", "editor"] as const) {
    keys.set(
      role,
      (await identity.apiKeys.create("cli", { name: role, role, expires_at: null, rate_limit: null })).key,
    );
  }
  const { watches, runs, preview, hosts } = node.watching;
  server = createApp({
    role: "all",
    database,
    identity,
    secrets: node.secrets,
    rollups: node.rollups,
    readiness: async () => [],
    routes: [...watchRoutes({ database, watches, runs, preview }), ...hostRoutes({ hosts }), ...jsonpathRoutes()],
    publicUrl: PUBLIC_URL,
    metricsPublic: false,
    log: silentLog,
  }).server;
});
afterAll(async () => {
  await server.stop();
  await node.stop();
  source.stop();
  await place.drop();
});

function call(method: string, path: string, body?: unknown, as: Role = "editor"): Promise<Called> {
  const headers: Record<string, string> = { authorization: `Bearer ${keys.get(as)}` };
  if (body !== undefined) headers["content-type"] = "application/json";
  const init = {
    method,
    headers,
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  };
  return answered(server.handle(new Request(`${PUBLIC_URL}${path}`, init)));
}

const order = (more: object = {}) => ({
  name: "Order 42",
  request: { url: source.url },
  schedule: { every: "30s" },
  fields: { status: "$.order.status" },
  ...more,
});

test("a watch is created, shown, listed, changed, paused, resumed, polled and deleted", async () => {
  const created = await call("POST", "/v1/watches", order());
  expect(created.status).toBe(201);
  expect(created.json).toMatchObject({
    ...order(),
    paused: false,
    event_type: "watch.changed",
    health: { state: "ok" },
  });
  const { id } = created.json;
  expect(id).toMatch(/^watch_[0-9a-f]{32}$/);

  const polled = await call("POST", `/v1/watches/${id}/poll`);
  expect(polled.json).toMatchObject({ outcome: "baseline", status: 200, problem: null });
  const shown = await call("GET", `/v1/watches/${id}`, undefined, "viewer");
  expect(shown.json).toMatchObject({ id, last_poll: { id: polled.json.id } });
  expect((await call("GET", `/v1/watches/${id}/state`)).json.fields).toEqual({
    status: { value: "pending", missing: false, missing_polls: 0 },
  });
  expect((await call("GET", `/v1/watches/${id}/polls`)).json).toMatchObject({
    data: [{ id: polled.json.id }],
    next: null,
  });

  const patched = await call("PATCH", `/v1/watches/${id}`, { schedule: { cron: "0 9 * * *" }, name: "Order 43" });
  expect(patched.json).toMatchObject({
    name: "Order 43",
    schedule: { cron: "0 9 * * *" },
    fields: { status: "$.order.status" },
  });
  expect((await call("POST", `/v1/watches/${id}/pause`)).json).toMatchObject({ paused: true, next_poll_at: null });
  expect((await call("POST", `/v1/watches/${id}/resume`)).json.paused).toBe(false);
  expect((await call("DELETE", `/v1/watches/${id}`)).status).toBe(204);
  expect((await call("GET", `/v1/watches/${id}`)).status).toBe(404);
});

test.each([["text"], [7], [[]], [true], [null]])(
  "a schedule that is %p instead of an object is refused",
  async (schedule) => {
    const { json } = await call("POST", "/v1/watches", order({}));
    const { status, json: problem } = await call("PATCH", `/v1/watches/${json.id}`, { schedule });
    expect([status, problem.errors[0].pointer]).toEqual([422, "/schedule"]);
    await call("DELETE", `/v1/watches/${json.id}`);
  },
);

test("lists turn pages and filter by name, host and pause", async () => {
  const names = ["Alpha 100%", "beta", "gamma", "delta"];
  const batch = await call("POST", "/v1/watches/batch", { watches: names.map((name) => order({ name })) });
  expect(batch.status).toBe(201);
  expect(batch.json.data.map(({ name }: { name: string }) => name)).toEqual(names);
  const first = await call("GET", "/v1/watches?limit=3");
  expect(first.json.data.map(({ name }: { name: string }) => name)).toEqual(["delta", "gamma", "beta"]);
  const second = await call("GET", `/v1/watches?limit=3&cursor=${first.json.next}`);
  expect(second.json).toMatchObject({ data: [{ name: "Alpha 100%" }], next: null });
  await call("POST", `/v1/watches/${batch.json.data[1].id}/pause`);
  const count = async (query: string) => (await call("GET", `/v1/watches?${query}`)).json.data.length;
  expect(await count("name=ALPHA%20100%25")).toBe(1);
  expect(await count("name=a_pha")).toBe(0);
  expect(await count("paused=true")).toBe(1);
  expect(await count("paused=false")).toBe(3);
  expect(await count(`host=${new URL(source.url).host}`)).toBe(4);
  expect(await count("host=elsewhere")).toBe(0);
});

test("the poll log turns pages over both kinds of polls, newest first", async () => {
  const { json } = await call("POST", "/v1/watches", order());
  const made: string[] = [];
  for (let i = 0; i < 4; i++) made.unshift((await call("POST", `/v1/watches/${json.id}/poll`)).json.id);
  const first = await call("GET", `/v1/watches/${json.id}/polls?limit=3`);
  const second = await call("GET", `/v1/watches/${json.id}/polls?limit=3&cursor=${first.json.next}`);
  expect([...first.json.data, ...second.json.data].map(({ id }: { id: string }) => id)).toEqual(made);
  expect(second.json.next).toBeNull();
});

test("a preview answers what was found and saves nothing", async () => {
  const { status, json } = await call("POST", "/v1/watches/preview", order({ fields: { total: "$.order.total" } }));
  expect(status).toBe(200);
  expect(json).toMatchObject({
    fields: { total: { value: 12.5 } },
    response: { status: 200 },
    items: null,
    problems: [],
  });
});

const UNKNOWN = "00000000000000000000000000000000";
const REFUSED: [
  name: string,
  method: string,
  path: string,
  body: () => unknown,
  status: number,
  pointer: string | null,
][] = [
  ["an unknown property", "POST", "/v1/watches", () => order({ fileds: {} }), 422, "/fileds"],
  ["a path that does not parse", "POST", "/v1/watches", () => order({ fields: { a: "$.a[" } }), 422, "/fields/a"],
  [
    "an interval that is too short",
    "POST",
    "/v1/watches",
    () => order({ schedule: { every: "10ms" } }),
    422,
    "/schedule/every",
  ],
  ["an address that is none", "POST", "/v1/watches", () => order({ request: { url: "nowhere" } }), 422, "/request/url"],
  [
    "a private address",
    "POST",
    "/v1/watches",
    () => order({ request: { url: "http://10.0.0.1/" } }),
    422,
    "/request/url",
  ],
  ["an unknown secret", "POST", "/v1/watches", () => order({ secret_id: `sec_${UNKNOWN}` }), 422, "/secret_id"],
  [
    "an unknown endpoint",
    "POST",
    "/v1/watches",
    () => order({ endpoint_ids: [`ep_${UNKNOWN}`] }),
    422,
    "/endpoint_ids/0",
  ],
  [
    "a name of DeltaHook's own",
    "POST",
    "/v1/watches",
    () => order({ event_type: "watch.failing" }),
    422,
    "/event_type",
  ],
  [
    "*** where nothing is stored",
    "POST",
    "/v1/watches",
    () => order({ request: { url: source.url, headers: { "x-api-key": "***" } } }),
    422,
    "/request/headers/x-api-key",
  ],
  [
    "one bad watch of a batch",
    "POST",
    "/v1/watches/batch",
    () => ({ watches: [order(), order({ secret_id: `sec_${UNKNOWN}` })] }),
    422,
    "/watches/1/secret_id",
  ],
  ["an unknown watch", "GET", `/v1/watches/watch_${UNKNOWN}`, () => undefined, 404, null],
  ["an id that is none", "DELETE", "/v1/watches/42", () => undefined, 404, null],
  ["a poll of an unknown watch", "POST", `/v1/watches/watch_${UNKNOWN}/poll`, () => undefined, 404, null],
  ["the log of an unknown watch", "GET", `/v1/watches/watch_${UNKNOWN}/polls`, () => undefined, 404, null],
  ["the state of an unknown watch", "GET", `/v1/watches/watch_${UNKNOWN}/state`, () => undefined, 404, null],
  ["confirming for an unknown watch", "POST", `/v1/watches/watch_${UNKNOWN}/held/confirm`, () => undefined, 404, null],
  ["pausing an unknown watch", "POST", `/v1/watches/watch_${UNKNOWN}/pause`, () => undefined, 404, null],
  ["an unknown host", "GET", "/v1/hosts/nowhere.example", () => undefined, 404, null],
  [
    "a path that does not parse, tried out",
    "POST",
    "/v1/jsonpath",
    () => ({ path: "$.a[", document: {} }),
    422,
    "/path",
  ],
  ["a list limit of 0", "GET", "/v1/watches?limit=0", () => undefined, 422, "/limit"],
];

test.each(REFUSED)("refused: %s", async (_, method, path, body, status, pointer) => {
  const before = (await call("GET", "/v1/watches?limit=200")).json.data.length;
  const answer = await call(method, path, body());
  expect(answer.status).toBe(status);
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  if (pointer !== null) expect(answer.json.errors.map((each: { pointer: string }) => each.pointer)).toContain(pointer);
  expect((await call("GET", "/v1/watches?limit=200")).json.data.length).toBe(before);
});

test("a viewer may look, but not change or poll", async () => {
  const { json } = await call("POST", "/v1/watches", order());
  expect((await call("GET", "/v1/watches", undefined, "viewer")).status).toBe(200);
  expect((await call("POST", "/v1/watches", order(), "viewer")).status).toBe(403);
  expect((await call("POST", `/v1/watches/${json.id}/poll`, undefined, "viewer")).status).toBe(403);
});

test("a patch that is not acceptable changes nothing, and *** keeps a header's value", async () => {
  const headers = { "x-api-key": "key-0815-key" };
  const { json } = await call("POST", "/v1/watches", order({ request: { url: source.url, headers } }));
  expect((await call("PATCH", `/v1/watches/${json.id}`, { fields: { status: 5 } })).status).toBe(422);
  const patched = await call("PATCH", `/v1/watches/${json.id}`, {
    request: { headers: { "x-api-key": "***", "x-more": "1" } },
  });
  expect(patched.json.request.headers).toEqual({ "x-api-key": "***", "x-more": "1" });
  source.requests.length = 0;
  await call("POST", `/v1/watches/${json.id}/poll`);
  expect(source.requests[0]?.headers.get("x-api-key")).toBe("key-0815-key");
});

test("exact numbers of a condition survive saving, showing and patching", async () => {
  const text = JSON.stringify(order({ conditions: [{ field: "status", op: "becomes", value: "N" }] })).replace(
    '"N"',
    "12345678901234567890",
  );
  const { json } = await call("POST", "/v1/watches", text);
  const patched = await call("PATCH", `/v1/watches/${json.id}`, { name: "Renamed" });
  expect(patched.text).toContain('"value":12345678901234567890}');
});

test("a host shows what is asked of it, and its limits can be set and taken back", async () => {
  const host = new URL(source.url).host;
  const listed = await call("GET", "/v1/hosts");
  expect(listed.json.data).toMatchObject([{ host, concurrency: 0, rate: 0 }]);
  const set = await call("PATCH", `/v1/hosts/${encodeURIComponent(host)}`, { concurrency: 4, rate: 0.01 });
  expect(set.json).toMatchObject({ concurrency: 4, rate: 0.01 });
  expect(set.json.warning).toContain("its limit is 0.01");
  expect(
    (await call("PATCH", `/v1/hosts/${encodeURIComponent(host)}`, { concurrency: null, rate: null })).json,
  ).toMatchObject({ concurrency: 0, rate: 0, warning: null });
});

test("a JSONPath can be tried out, in both dialects", async () => {
  const document = { order: { lines: [{ sku: "A-1" }, { sku: "B-2" }] } };
  expect((await call("POST", "/v1/jsonpath", { path: "$.order.lines[-1].sku", document })).json).toEqual({
    matches: [{ path: "$['order']['lines'][1]['sku']", value: "B-2" }],
  });
  const plus = await call("POST", "/v1/jsonpath", { path: "$.order.lines[0]~", document, dialect: "plus" });
  expect(plus.json.matches.map(({ value }: { value: unknown }) => value)).toEqual(["0"]);
});

test("a backtest answers which events other conditions would have given, and refuses what no watch may have", async () => {
  const { json } = await call("POST", "/v1/watches", order());
  await call("POST", `/v1/watches/${json.id}/poll`);
  const { answer } = source;
  source.answer = () => Response.json({ order: { status: "paid", total: 12.5 } });
  await call("POST", `/v1/watches/${json.id}/poll`);
  source.answer = answer;
  const change = (value: string) => ({ conditions: [{ field: "status", op: "becomes", value }] });
  const found = await call("POST", `/v1/watches/${json.id}/backtest`, change("paid"));
  expect(found.json).toMatchObject({ bodies: 2, events_total: 1, events: [{ type: "watch.changed" }] });
  expect((await call("POST", `/v1/watches/${json.id}/backtest`, change("shipped"))).json.events).toEqual([]);
  const refused = await call("POST", `/v1/watches/${json.id}/backtest`, { fields: { status: "$[" } });
  expect(refused).toMatchObject({ status: 422, json: { errors: [{ pointer: "/fields/status" }] } });
  expect((await call("POST", `/v1/watches/${json.id}/backtest`, change("paid"), "viewer")).status).toBe(403);
});
