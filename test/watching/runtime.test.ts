import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { testDatabase } from "../support/database.ts";
import {
  events,
  type Node,
  parseWatch,
  pollLog,
  pollNow,
  type Source,
  startNode,
  startSource,
  until,
} from "./support.ts";

let place: Awaited<ReturnType<typeof testDatabase>>;
let source: Source;
let node: Node;

beforeAll(async () => {
  place = await testDatabase();
});
afterAll(() => place.drop());

beforeEach(() => {
  source = startSource(() => Response.json({ status: "new" }));
  node = startNode(place, { work: false });
});
afterEach(async () => {
  await node.stop();
  source.stop();
  await place.database.sql`delete from deltahook.watches`;
  await place.database.sql`delete from deltahook.events`;
  await place.database.sql`delete from deltahook.host_holds`;
});

const create = (body: object = {}) =>
  node.create({ request: { url: source.url }, fields: { status: "$.status" }, ...body });
const answer = (document: unknown) => {
  source.answer = () => Response.json(document);
};

test("a change is stated once, with what it was, what it is and between which polls it happened", async () => {
  const watch = await create({ event_type: "order.moved" });
  const baseline = await pollNow(node, watch.id);
  expect(baseline.outcome).toBe("baseline");
  const before = await pollNow(node, watch.id);
  answer({ status: "paid" });
  const poll = await pollNow(node, watch.id);
  expect(poll).toMatchObject({ outcome: "changed", changes: 1, status: 200 });
  await pollNow(node, watch.id);
  const stated = await events(place.database);
  expect(stated).toHaveLength(1);
  expect(stated[0]).toMatchObject({
    type: "order.moved",
    data: {
      watch: { id: watch.id, name: "Test" },
      sequence: 1,
      window: { after: before.at, until: poll.at },
      changes: [{ field: "status", path: "$.status", kind: "changed", previous: "new", current: "paid" }],
    },
  });
});

test("A to B to A is two events, numbered one after the other", async () => {
  const watch = await create();
  for (const status of ["a", "b", "a"]) {
    answer({ status });
    await pollNow(node, watch.id);
  }
  const stated = await events(place.database);
  expect(stated.map(({ data }) => data.sequence)).toEqual([1, 2]);
});

test("numbers keep all their digits from the reply to the event", async () => {
  const watch = await create();
  for (const total of ["12345678901234567890.10", "12345678901234567890.2"]) {
    source.answer = () => new Response(`{"status":${total}}`, { headers: { "content-type": "application/json" } });
    await pollNow(node, watch.id);
  }
  const [stated] = await events(place.database);
  expect(stated?.text).toContain('"previous":12345678901234567890.1,"current":12345678901234567890.2');
});

test("the log tells a note where a condition keeps a change back, and nothing is stated", async () => {
  const watch = await create({ conditions: [{ field: "status", op: "becomes", value: "paid" }] });
  await pollNow(node, watch.id);
  answer({ status: "open" });
  const poll = await pollNow(node, watch.id);
  expect(poll.outcome).toBe("unchanged");
  expect(poll.note).toContain("kept back");
  expect(await events(place.database)).toEqual([]);
});

test("items are added, changed and removed one event each, in item mode", async () => {
  answer({
    orders: [
      { id: 1, status: "new" },
      { id: 2, status: "new" },
      { id: 3, status: "new" },
    ],
  });
  const watch = await create({
    fields: {},
    items: { path: "$.orders[*]", key: "$.id", fields: { status: "$.status" }, removed_after: 1 },
  });
  await pollNow(node, watch.id);
  answer({
    orders: [
      { id: 4, status: "new" },
      { id: 2, status: "paid" },
      { id: 1, status: "new" },
    ],
  });
  await pollNow(node, watch.id);
  const stated = await events(place.database);
  expect(stated.map(({ data }) => (data.item as { kind: string; key: number }).kind).sort()).toEqual([
    "added",
    "changed",
    "removed",
  ]);
  const state = await node.watching.runs.state(watch.id);
  expect(state.items.map(({ key }) => key)).toEqual([1, 2, 4]);
  expect(state.items_total).toBe(3);
});

test("one watch takes 50,000 items in one batch, and states one that comes", async () => {
  const orders = Array.from({ length: 50_000 }, (_, id) => ({ id, status: "new" }));
  answer({ orders });
  const watch = await create({
    fields: {},
    items: { path: "$.orders[*]", key: "$.id", fields: { status: "$.status" } },
  });
  const big = startNode(place, { work: false, maxBytes: 16 * 1024 * 1024, timeoutMs: 20_000 });
  expect(await pollNow(big, watch.id)).toMatchObject({ outcome: "baseline", problem: null });
  answer({ orders: [...orders, { id: 50_000, status: "new" }] });
  expect(await pollNow(big, watch.id)).toMatchObject({ outcome: "changed", changes: 1 });
  expect(await pollNow(big, watch.id)).toMatchObject({ outcome: "unchanged" });
  expect((await big.watching.runs.state(watch.id)).items_total).toBe(50_001);
  await big.stop();
}, 60_000);

test("the walk over pages finds the items of all of them", async () => {
  source.answer = (request) => {
    const page = Number(new URL(request.url).searchParams.get("page"));
    return Response.json({ orders: page <= 3 ? [{ id: page, status: "new" }] : [] });
  };
  const watch = await create({
    fields: {},
    items: { path: "$.orders[*]", key: "$.id", fields: { status: "$.status" } },
    pagination: { type: "page" },
  });
  await pollNow(node, watch.id);
  expect((await node.watching.runs.state(watch.id)).items.map(({ key }) => key)).toEqual([1, 2, 3]);
  expect(source.requests.map(({ path }) => path)).toEqual(["/?page=1", "/?page=2", "/?page=3", "/?page=4"]);
});

test("a next page at another origin fails the poll, and the credential stays here", async () => {
  const elsewhere = startSource(() => Response.json({ orders: [] }));
  source.answer = () =>
    Response.json({ orders: [{ id: 1, status: "new" }] }, { headers: { link: `<${elsewhere.url}/2>; rel="next"` } });
  const watch = await create({
    fields: {},
    items: { path: "$.orders[*]", key: "$.id", fields: { status: "$.status" } },
    pagination: { type: "link" },
  });
  const poll = await pollNow(node, watch.id);
  expect(poll.outcome).toBe("failed");
  expect(poll.problem).toContain("another origin");
  expect(elsewhere.requests).toEqual([]);
  elsewhere.stop();
});

test("after a poll without change the next request is conditional, and a 304 is no change", async () => {
  source.answer = (request) =>
    request.headers.get("if-none-match") === '"v1"'
      ? new Response(null, { status: 304 })
      : Response.json({ status: "new" }, { headers: { etag: '"v1"' } });
  const watch = await create();
  await pollNow(node, watch.id);
  await pollNow(node, watch.id);
  expect(await pollNow(node, watch.id)).toMatchObject({ outcome: "not_modified", status: 304 });
  expect(source.requests.map(({ headers }) => headers.get("if-none-match"))).toEqual([null, null, '"v1"']);
});

test("a day after the last full poll the validators are left out once", async () => {
  source.answer = () => Response.json({ status: "new" }, { headers: { etag: '"v1"' } });
  const watch = await create();
  await pollNow(node, watch.id);
  await pollNow(node, watch.id);
  await place.database.sql`update deltahook.watch_status set full_poll_at = now() - interval '25 hours'`;
  await pollNow(node, watch.id);
  await pollNow(node, watch.id);
  expect(source.requests.map(({ headers }) => headers.get("if-none-match"))).toEqual([null, null, null, '"v1"']);
});

test("a missing field counts after two polls, although the body stays the same", async () => {
  const watch = await create();
  await pollNow(node, watch.id);
  source.answer = (request) =>
    request.headers.get("if-none-match")
      ? new Response(null, { status: 304 })
      : Response.json({ other: 1 }, { headers: { etag: '"gone"' } });
  expect((await pollNow(node, watch.id)).outcome).toBe("unchanged");
  expect((await pollNow(node, watch.id)).outcome).toBe("changed");
  const [stated] = await events(place.database);
  expect(stated?.data.changes).toMatchObject([{ field: "status", kind: "disappeared", previous: "new" }]);
});

test("a failed poll names its cause and the next try, and leaves the state alone", async () => {
  const watch = await create();
  await pollNow(node, watch.id);
  source.answer = () =>
    new Response("<!doctype html><title>Log in</title>", { headers: { "content-type": "text/html" } });
  const poll = await pollNow(node, watch.id);
  expect(poll).toMatchObject({ outcome: "failed", status: 200 });
  expect(poll.problem).toContain("login page");
  expect(poll.problem).toContain(`Next try at ${poll.next_poll_at}`);
  expect((await node.watching.runs.state(watch.id)).fields.status).toMatchObject({ value: "new" });
  expect(await node.watching.watches.get(watch.id)).toMatchObject({ health: { state: "retrying", failures: 1 } });
});

test("after three failures one watch.failing is stated, and on recovery one watch.recovered", async () => {
  const watch = await create();
  await pollNow(node, watch.id);
  source.answer = () => new Response("no", { status: 500 });
  for (let failed = 0; failed < 5; failed++) await pollNow(node, watch.id);
  expect((await node.watching.watches.get(watch.id)).health).toMatchObject({ state: "failing", failures: 5 });
  answer({ status: "new" });
  expect((await pollNow(node, watch.id)).outcome).toBe("unchanged");
  await pollNow(node, watch.id);
  expect((await events(place.database)).map(({ type, data }) => [type, data.failures])).toEqual([
    ["watch.failing", 3],
    ["watch.recovered", 5],
  ]);
  expect((await node.watching.watches.get(watch.id)).health).toMatchObject({ state: "ok", failures: 0, problem: null });
});

test("a refused credential states watch.auth_failed once in a series of failures", async () => {
  const watch = await create();
  source.answer = () => new Response("no", { status: 403 });
  await pollNow(node, watch.id);
  await pollNow(node, watch.id);
  answer({ status: "new" });
  await pollNow(node, watch.id);
  source.answer = () => new Response("no", { status: 401 });
  await pollNow(node, watch.id);
  expect((await events(place.database)).map(({ type }) => type)).toEqual(["watch.auth_failed", "watch.auth_failed"]);
});

test("a poll that removes most items is held; a person confirms it, and its events are stated then", async () => {
  const orders = Array.from({ length: 10 }, (_, id) => ({ id, status: "new" }));
  answer({ orders });
  const items = { path: "$.orders[*]", key: "$.id", fields: { status: "$.status" }, removed_after: 1 };
  const watch = await create({ fields: {}, items });
  await pollNow(node, watch.id);
  answer({ orders: orders.slice(0, 3) });
  const held = await pollNow(node, watch.id);
  expect(held.outcome).toBe("held");
  expect((await node.watching.runs.state(watch.id)).items_total).toBe(10);
  expect(await node.watching.watches.get(watch.id)).toMatchObject({
    health: { state: "held", held: { poll_id: held.id } },
  });
  await pollNow(node, watch.id);
  expect((await events(place.database)).map(({ type }) => type)).toEqual(["watch.held"]);
  expect(await node.watching.runs.confirmHeld(watch.id)).toEqual({ events: 7 });
  expect(await events(place.database)).toHaveLength(8);
  expect((await node.watching.runs.state(watch.id)).items_total).toBe(3);
  expect(await pollNow(node, watch.id)).toMatchObject({ outcome: "unchanged" });
  await expect(node.watching.runs.confirmHeld(watch.id)).rejects.toMatchObject({ code: "conflict" });
});

test("a held poll that is discarded becomes the reference silently, and one that is overtaken is forgotten", async () => {
  const orders = Array.from({ length: 10 }, (_, id) => ({ id, status: "new" }));
  const items = { path: "$.orders[*]", key: "$.id", fields: { status: "$.status" }, removed_after: 1 };
  answer({ orders });
  const watch = await create({ fields: {}, items });
  await pollNow(node, watch.id);
  answer({ orders: [] });
  await pollNow(node, watch.id);
  answer({ orders });
  expect(await pollNow(node, watch.id)).toMatchObject({
    outcome: "unchanged",
    note: expect.stringContaining("overtaken"),
  });
  await expect(node.watching.runs.discardHeld(watch.id)).rejects.toMatchObject({ code: "conflict" });
  answer({ orders: orders.slice(9) });
  expect((await pollNow(node, watch.id)).outcome).toBe("held");
  await node.watching.runs.discardHeld(watch.id);
  expect((await node.watching.runs.state(watch.id)).items_total).toBe(1);
  expect((await events(place.database)).map(({ type }) => type)).toEqual(["watch.held", "watch.held"]);
});

test("a changed path takes a new reference silently and says so in the log", async () => {
  answer({ status: "new", state: "open" });
  const watch = await create();
  await pollNow(node, watch.id);
  await node.watching.watches.patch(watch.id, { fields: { status: "$.state" } }, (merged) =>
    parseWatch(merged as object),
  );
  const poll = await pollNow(node, watch.id);
  expect(poll.outcome).toBe("unchanged");
  expect(poll.note).toContain("new reference");
  expect(await events(place.database)).toEqual([]);
  expect((await node.watching.runs.state(watch.id)).fields.status).toMatchObject({ value: "open" });
});

test("a poll whose watch was changed meanwhile is not recorded", async () => {
  const watch = await create();
  await pollNow(node, watch.id);
  const asked = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  source.answer = async () => {
    asked.resolve();
    await go.promise;
    return Response.json({ status: "late" });
  };
  const poll = pollNow(node, watch.id);
  await asked.promise;
  await node.watching.watches.pause(watch.id);
  go.resolve();
  await expect(poll).rejects.toMatchObject({ code: "conflict" });
  await poll.catch(() => {});
  expect(await events(place.database)).toEqual([]);
  expect(await pollLog(node, watch.id)).toHaveLength(1);
});

test("a second poll is refused while one is running", async () => {
  const watch = await create();
  const asked = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  source.answer = async () => {
    asked.resolve();
    await go.promise;
    return Response.json({ status: "new" });
  };
  const first = pollNow(node, watch.id);
  await asked.promise;
  await expect(pollNow(node, watch.id)).rejects.toMatchObject({ code: "conflict" });
  go.resolve();
  expect((await first).outcome).toBe("baseline");
});

test("a redacted value is never stored or sent, and its change is stated all the same", async () => {
  answer({ status: "hunter2" });
  const watch = await create({ fields: { status: { path: "$.status", redact: true } } });
  await pollNow(node, watch.id);
  answer({ status: "hunter3" });
  expect((await pollNow(node, watch.id)).outcome).toBe("changed");
  const [dump] = await place.database.sql<{ text: string }[]>`
    select (select json_agg(s)::text from deltahook.watch_state s) || (select json_agg(e)::text from deltahook.events e) as text`;
  expect(dump?.text).not.toContain("hunter");
});

test("the credential goes with the request and shows nowhere", async () => {
  const secret = await node.secrets.create({ name: "ERP", kind: "bearer", value: "tok-4711-tok" });
  const watch = await create({
    secret_id: secret.id,
    request: { url: source.url, headers: { "x-api-key": "key-0815-key" } },
  });
  source.answer = () => new Response("tok-4711-tok", { status: 500 });
  const poll = await pollNow(node, watch.id);
  expect(poll.outcome).toBe("failed");
  const [request] = source.requests;
  expect(request?.headers.get("authorization")).toBe("Bearer tok-4711-tok");
  expect(request?.headers.get("x-api-key")).toBe("key-0815-key");
  const shown = JSON.stringify([watch, poll, await node.watching.watches.get(watch.id)]);
  expect(shown).not.toMatch(/4711|0815/);
  expect(watch.request.headers).toEqual({ "x-api-key": "***" });
  const [row] = await place.database.sql<{ text: string }[]>`select definition::text as text from deltahook.watches`;
  expect(row?.text).not.toContain("0815");
});

test("an OAuth2 token that the source refuses is renewed once, and the request repeated", async () => {
  let tokens = 0;
  const server = startSource(() =>
    Response.json({ access_token: `token-${++tokens}`, token_type: "Bearer", expires_in: 3600 }),
  );
  const value = { token_url: `${server.url}/token`, client_id: "me", client_secret: "s3cr3t-s3cr3t" };
  const secret = await node.secrets.create({ name: "OAuth", kind: "oauth2_client_credentials", value });
  const watch = await create({ secret_id: secret.id });
  expect((await pollNow(node, watch.id)).outcome).toBe("baseline");
  await place.database.sql`update deltahook.oauth_tokens set fetched_at = now() - interval '1 minute'`;
  source.answer = (request) =>
    request.headers.get("authorization") === "Bearer token-2"
      ? Response.json({ status: "new" })
      : new Response("", { status: 401 });
  expect((await pollNow(node, watch.id)).outcome).toBe("unchanged");
  expect(source.requests.map(({ headers }) => headers.get("authorization"))).toEqual([
    "Bearer token-1",
    "Bearer token-1",
    "Bearer token-2",
  ]);
  expect(await events(place.database)).toEqual([]);
  server.stop();
});

test("a preview shows what was asked, answered and found, saves nothing and hides the credential", async () => {
  answer({ status: "new", echo: "key-0815-key" });
  const input = parseWatch({
    request: { url: source.url, headers: { "x-api-key": "key-0815-key" } },
    fields: { status: "$.status", gone: "$.gone" },
  });
  const preview = await node.watching.preview(input, new AbortController().signal);
  expect(preview.fields).toEqual({ status: { value: "new" }, gone: { missing: true } });
  expect(preview.response).toMatchObject({ status: 200 });
  expect(JSON.stringify(preview)).not.toContain("0815");
  const [row] = await place.database.sql<{ watches: number }[]>`select count(*) as watches from deltahook.watches`;
  expect(row?.watches).toBe(0);
});

test("the schedule: a paused watch has no next poll, a resumed one is due at once", async () => {
  const watch = await create();
  expect(await node.watching.watches.pause(watch.id)).toMatchObject({
    paused: true,
    next_poll_at: null,
    health: { state: "paused" },
  });
  await pollNow(node, watch.id);
  expect((await node.watching.watches.get(watch.id)).next_poll_at).toBeNull();
  const resumed = await node.watching.watches.resume(watch.id);
  expect(resumed.paused).toBe(false);
  expect(Date.parse(resumed.next_poll_at ?? "")).toBeLessThanOrEqual(Date.now() + 1_000);
});

test("an adaptive watch is polled at its shortest interval after a change, and slower when nothing happens", async () => {
  const watch = await create({ schedule: { every: "60s", adaptive: { min: "10s", max: "1h" } } });
  const gap = ({ at, next_poll_at }: { at: string; next_poll_at: string | null }) =>
    Date.parse(next_poll_at ?? "") - Date.parse(at);
  const quiet = await pollNow(node, watch.id);
  answer({ status: "paid" });
  const changed = await pollNow(node, watch.id);
  expect(gap(changed)).toBeLessThan(11_000);
  expect(gap(quiet)).toBeGreaterThan(gap(changed));
});

test("a cron watch is polled next at its own time", async () => {
  const watch = await create({ schedule: { cron: "0 9 * * *", timezone: "Europe/Vienna" } });
  const poll = await pollNow(node, watch.id);
  expect(poll.next_poll_at).toMatch(/T0[78]:00:00\.000Z$/);
  expect((await node.watching.watches.get(watch.id)).next_poll_at).toBe(poll.next_poll_at);
});

test("Retry-After is a wait for host and credential, for every node, and other credentials go on", async () => {
  const watch = await create();
  const secret = await node.secrets.create({ name: "Other", kind: "bearer", value: "another-token" });
  const other = await create({ secret_id: secret.id });
  source.answer = (request) =>
    request.headers.get("authorization")
      ? Response.json({ status: "new" })
      : new Response("", { status: 429, headers: { "retry-after": "60" } });
  const poll = await pollNow(node, watch.id);
  expect(poll.outcome).toBe("failed");
  expect(Date.parse(poll.next_poll_at ?? "") - Date.parse(poll.at)).toBeGreaterThanOrEqual(60_000);
  await expect(pollNow(node, watch.id)).rejects.toMatchObject({ code: "throttled" });
  expect((await pollNow(node, other.id)).outcome).toBe("baseline");
  const [host] = (await node.watching.hosts.list({ limit: 10 })).data;
  expect(host?.holds).toMatchObject([{ secret_id: null }]);
  const second = startNode(place, { work: true });
  await until("the other node knows of the wait", async () => {
    const refused = await pollNow(second, watch.id).catch((error) => error.code);
    return refused === "throttled";
  });
  await second.stop();
});
