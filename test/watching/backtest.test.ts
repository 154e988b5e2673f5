import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { createReplay } from "../../src/watching/backtest.ts";
import { compileWatch } from "../../src/watching/compile.ts";
import { type WatchInput, watchInput } from "../../src/watching/watch.ts";
import { testDatabase } from "../support/database.ts";
import { type Node, parseWatch, pollNow, type Source, startNode, startSource } from "./support.ts";

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
});

const accept = (merged: unknown): WatchInput => watchInput.parse(merged);
const create = (body: object = {}) =>
  node.create({ request: { url: source.url }, fields: { status: "$.status" }, ...body });
const backtest = (id: string, change: object) => node.watching.runs.backtest(id, change, accept);

async function pollEach(id: string, documents: readonly unknown[]): Promise<void> {
  for (const document of documents) {
    source.answer = () => Response.json(document);
    await pollNow(node, id);
  }
}

async function kept(): Promise<number> {
  const [row] = await place.database.sql<{ count: number }[]>`select count(*) as count from deltahook.watch_bodies`;
  return row?.count ?? 0;
}

test("the kept bodies tell which events other fields and conditions would have given, and nothing is stated", async () => {
  const watch = await create();
  await pollEach(watch.id, [
    { status: "new", total: 1 },
    { status: "new", total: 5 },
    { status: "paid", total: 5 },
    { status: "paid", total: 9 },
  ]);
  const found = await backtest(watch.id, {
    fields: { status: null, total: "$.total" },
    conditions: [{ field: "total", op: "increases" }],
  });
  expect(found).toMatchObject({ bodies: 4, events_total: 2 });
  expect(found.events.map(({ data }) => [data.sequence, data.changes])).toEqual([
    [1, [{ field: "total", path: "$.total", kind: "changed", previous: 1, current: 5 }]],
    [2, [{ field: "total", path: "$.total", kind: "changed", previous: 5, current: 9 }]],
  ]);
  expect(found.polls.map(({ outcome }) => outcome)).toEqual(["baseline", "changed", "changed"]);
  const events = await place.database.sql`select from deltahook.events where type = 'watch.changed'`;
  expect(events.count).toBe(1);
  expect((await node.watching.watches.get(watch.id)).fields).toEqual({ status: "$.status" });
});

test("a body is kept only when it differs from the last one, by a restarted node too", async () => {
  const watch = await create();
  await pollEach(watch.id, [{ status: "new" }, { status: "new" }, { status: "paid" }, { status: "paid" }]);
  expect(await kept()).toBe(2);
  const restarted = startNode(place, { work: false });
  await pollNow(restarted, watch.id);
  await restarted.stop();
  expect(await kept()).toBe(2);
});

test("the newest are kept, as many as the watch says, and go with it", async () => {
  const watch = await create({ keep_bodies: 3 });
  await pollEach(
    watch.id,
    [1, 2, 3, 4, 5].map((status) => ({ status })),
  );
  expect(await kept()).toBe(3);
  const found = await backtest(watch.id, {});
  expect(found.events.map(({ data }) => data.changes)).toMatchObject([
    [{ previous: 3, current: 4 }],
    [{ previous: 4, current: 5 }],
  ]);
  await node.watching.watches.remove(watch.id);
  expect(await kept()).toBe(0);
});

test("bodies of several pages are one", async () => {
  source.answer = (request) => {
    const page = Number(new URL(request.url).searchParams.get("page"));
    return Response.json(page <= 2 ? [{ id: page, status: "new" }] : []);
  };
  const watch = await create({
    fields: {},
    items: { path: "$[*]", key: "$.id", fields: { status: "$.status" } },
    pagination: { type: "page" },
  });
  await pollNow(node, watch.id);
  await pollNow(node, watch.id);
  const found = await backtest(watch.id, { items: { fields: { status: null, id: "$.id" } } });
  expect(found).toMatchObject({ bodies: 1, events_total: 0, polls: [{ outcome: "baseline", problem: null }] });
});

test("none are kept where a field is redacted, or of a watch that keeps none", async () => {
  const redacted = await create({ fields: { status: { path: "$.status", redact: true } } });
  const none = await create({ keep_bodies: 0 });
  await pollNow(node, redacted.id);
  await pollNow(node, none.id);
  expect(await kept()).toBe(0);
});

test.each([
  ["the request", { request: { query: { page: 2 } } }],
  ["the format", { format: "csv" }],
  ["a field to a redacted one", { fields: { status: { path: "$.status", redact: true } } }],
])("changing %s drops what was kept", async (_what, patch) => {
  const watch = await create();
  await pollNow(node, watch.id);
  expect(await kept()).toBe(1);
  await node.watching.watches.patch(watch.id, patch, accept);
  expect(await kept()).toBe(0);
});

test("changing a path drops none", async () => {
  const watch = await create();
  await pollNow(node, watch.id);
  await node.watching.watches.patch(watch.id, { fields: { status: "$.other" } }, accept);
  expect(await kept()).toBe(1);
});

test("a body too large to keep is left out, and its poll is recorded", async () => {
  const big = startNode(place, { work: false, maxBytes: 8 * 1024 * 1024 });
  const noise = randomText(3_000_000);
  source.answer = () => Response.json({ status: "new", noise });
  const watch = await create();
  expect(await pollNow(big, watch.id)).toMatchObject({ outcome: "baseline" });
  await big.stop();
  expect(await kept()).toBe(0);
});

test("a body that says a credential back is not kept", async () => {
  source.answer = (request) => Response.json({ status: "new", you: request.headers.get("authorization") });
  const secret = await node.secrets.create({ name: "Key", kind: "bearer", value: "said-back-0815" });
  const watch = await create({ secret_id: secret.id });
  expect(await pollNow(node, watch.id)).toMatchObject({ outcome: "baseline" });
  expect(await kept()).toBe(0);
});

test("a backtest of a watch without bodies is empty, and one that is not there is a 404", async () => {
  const watch = await create();
  expect(await backtest(watch.id, {})).toEqual({ bodies: 0, since: null, events: [], events_total: 0, polls: [] });
  await expect(backtest(`watch_${"0".repeat(32)}`, {})).rejects.toMatchObject({ code: "not_found" });
});

describe("the time that a body stood", () => {
  const watch = compileWatch(parseWatch({ request: { url: "https://example.com" }, fields: { status: "$.status" } }));
  const minute = 60_000;
  const standing = (document: object, from: number, until: number) => ({
    pages: [document as never],
    complete: true,
    from: from * minute,
    until: until * minute,
  });

  test("decides whether something was missing long enough", () => {
    const replay = createReplay(watch, { everyMs: minute, hash: String });
    const outcomes = [
      standing({ status: "a" }, 0, 1),
      standing({}, 1, 2),
      standing({ status: "a" }, 2, 3),
      standing({}, 3, 5),
    ]
      .flatMap(replay)
      .map(({ at, verdict }) => [at / minute, verdict.outcome]);
    expect(outcomes).toEqual([
      [0, "baseline"],
      [1, "unchanged"],
      [2, "unchanged"],
      [3, "unchanged"],
      [4, "changed"],
    ]);
  });
});

function randomText(bytes: number): string {
  return Array.from({ length: Math.ceil(bytes / 49_152) }, () =>
    Buffer.from(crypto.getRandomValues(new Uint8Array(49_152))).toString("base64"),
  ).join("");
}
