import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "bun:test";
import { testDatabase } from "../support/database.ts";
import { events, type Node, pollLog, type Source, startNode, startSource, until } from "./support.ts";

let place: Awaited<ReturnType<typeof testDatabase>>;
let source: Source;
let node: Node;

beforeAll(async () => {
  place = await testDatabase();
});
afterAll(() => place.drop());
beforeEach(() => {
  source = startSource(() => Response.json({ status: "new", total: 1 }));
  node = startNode(place);
});
afterEach(async () => {
  await node.stop();
  source.stop();
  await place.database.sql`delete from deltahook.watches`;
  await place.database.sql`delete from deltahook.events`;
});

const body = (more: object = {}) => ({
  request: { url: source.url },
  schedule: { every: "6h" },
  fields: { status: "$.status" },
  ...more,
});

/** Makes all watches due at once, and waits until each has one poll more. @returns how often the source was asked */
async function pollAll(ids: readonly string[]): Promise<number> {
  const before = await Promise.all(ids.map(async (id) => (await pollLog(node, id)).length));
  source.requests.length = 0;
  await place.database.sql`update deltahook.watch_schedule set next_poll_at = now(), busy_until = null, job = null`;
  // Of a watch that is not paused it only wakes the tick.
  await node.watching.watches.resume(ids[0] ?? "");
  await until("all are polled", async () => {
    const now = await Promise.all(ids.map(async (id) => (await pollLog(node, id)).length));
    return now.every((count, index) => count > (before[index] ?? 0));
  });
  return source.requests.length;
}

async function createAll(bodies: readonly object[]): Promise<string[]> {
  const ids: string[] = [];
  for (const each of bodies) ids.push((await node.create(each)).id);
  await until("all have their reference", async () => {
    const logs = await Promise.all(ids.map((id) => pollLog(node, id)));
    return logs.every((log) => log.length > 0);
  });
  return ids;
}

test("watches that ask the same share one request, and each finds its own changes in it", async () => {
  const ids = await createAll([body(), body({ fields: { total: "$.total" } }), body({ name: "Third" })]);
  expect(await pollAll(ids)).toBe(1);
  source.answer = () => Response.json({ status: "paid", total: 1 });
  expect(await pollAll(ids)).toBe(1);
  const last = await Promise.all(ids.map(async (id) => (await pollLog(node, id)).at(-1)));
  expect(last.map((poll) => [poll?.outcome, poll?.status])).toEqual([
    ["changed", 200],
    ["unchanged", 200],
    ["changed", 200],
  ]);
  expect(new Set(last.map((poll) => poll?.id)).size).toBe(3);
  expect(await events(place.database)).toHaveLength(2);
});

test("a failure of the one request is a failure of each watch", async () => {
  const ids = await createAll([body(), body()]);
  source.answer = () => new Response("no", { status: 500 });
  expect(await pollAll(ids)).toBe(1);
  for (const id of ids) expect((await pollLog(node, id)).at(-1)).toMatchObject({ outcome: "failed", status: 500 });
});

test("no request is shared across credentials, in a secret or in a header", async () => {
  const [first, second] = await Promise.all(
    ["a", "b"].map((token) => node.secrets.create({ name: `Key ${token}`, kind: "bearer", value: token })),
  );
  const ids = await createAll([
    body(),
    body({ secret_id: first?.id }),
    body({ secret_id: second?.id }),
    body({ request: { url: source.url, headers: { "x-api-key": "same-key-0815" } } }),
    body({ request: { url: source.url, headers: { "x-api-key": "same-key-0815" } } }),
  ]);
  expect(await pollAll(ids)).toBe(5);
  const seen = source.requests.map(({ headers }) => headers.get("authorization")).sort();
  expect(seen).toEqual(["Bearer a", "Bearer b", null, null, null] as never);
});

test.each([
  ["another query", { request: { query: { page: 1 } } }],
  ["another header", { request: { headers: { "accept-language": "de" } } }],
  ["another format", { format: "xml" }],
])("%s is another request", async (_what, more) => {
  const other = body(more) as { request: object };
  const ids = await createAll([body(), { ...other, request: { url: source.url, ...other.request } }]);
  expect(await pollAll(ids)).toBe(2);
});

test("the request is conditional only while all of them know the same validators", async () => {
  source.answer = (request) =>
    request.headers.get("if-none-match") === '"v1"'
      ? new Response(null, { status: 304 })
      : Response.json({ status: "new", total: 1 }, { headers: { etag: '"v1"' } });
  const ids = await createAll([body(), body({ fields: { total: "$.total" } })]);
  await pollAll(ids);
  await pollAll(ids);
  expect(source.requests.map(({ headers }) => headers.get("if-none-match"))).toEqual(['"v1"']);
  for (const id of ids) expect((await pollLog(node, id)).at(-1)).toMatchObject({ outcome: "not_modified" });
  const [one = ""] = ids;
  await place.database.sql`
    update deltahook.watch_status set etag = '"v0"' where watch_id = ${one.replace("watch_", "")}::uuid`;
  expect(await pollAll(ids)).toBe(1);
  expect(source.requests.map(({ headers }) => headers.get("if-none-match"))).toEqual([null]);
});
