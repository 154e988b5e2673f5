import { afterAll, beforeAll, expect, test } from "bun:test";
import { runOperations } from "../../src/delivering/operations.ts";
import { silentLog } from "../../src/platform/log.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { type DeliveringApp, deliveringApp, until } from "./delivering_app.ts";

/** Nothing is delivered or worked off unless a test does so. */
let app: DeliveringApp;
let receiver: Receiver;
beforeAll(async () => {
  app = await deliveringApp({ work: false });
  receiver = startReceiver();
});
afterAll(async () => {
  await receiver.stop();
  await app.close();
});

/** An endpoint with so many deliveries in a state, and letters for the dead ones. */
async function endpointWith(counts: { dead?: number; delivered?: number; cancelled?: number }) {
  const { json } = await app.call("POST", "/v1/endpoints", { url: receiver.url, event_types: [] });
  const uuid = json.id.replace(/^ep_(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  for (const [state, count = 0] of Object.entries(counts)) {
    await app.database.sql`
      with stated as (
        insert into deltahook.events (id, type, data, origin)
        select deltahook.uuid7(), 'old', to_json(n), 'api' from generate_series(1, ${count}::int) n returning id
      ),
      ended as (
        insert into deltahook.deliveries (id, event_id, endpoint_id, state, finished_at, attempt, tries)
        select deltahook.uuid7(), id, ${uuid}::uuid, ${state}, now(), 2, 1 from stated returning *
      )
      insert into deltahook.dead_letters (delivery_id, event_id, endpoint_id, type, data, reason, attempts)
      select id, event_id, endpoint_id, 'old', '1', 'exhausted', 1 from ended where state = 'dead'`;
  }
  return { id: json.id as string, uuid: uuid as string };
}

const statesOf = async (uuid: string) => {
  const rows = await app.database.sql<{ state: string; count: number }[]>`
    select case when parked then 'parked' else state end as state, count(*)::int as count
    from deltahook.deliveries where endpoint_id = ${uuid} group by 1`;
  return Object.fromEntries(rows.map(({ state, count }) => [state, count]));
};
const operation = async (id: string) => (await app.call("GET", `/v1/operations/${id}`)).json;
const runner = () => runOperations({ database: app.database, deadLetters: app.resources.deadLetters, log: silentLog });
/** Works until the operation has ended. */
async function workOff(id: string) {
  const running = runner();
  try {
    return await until(
      () => operation(id),
      ({ state }) => state !== "running",
    );
  } finally {
    await running.stop();
  }
}

test("a bulk requeue parks every letter of its filter in the endpoint's backlog", async () => {
  const mine = await endpointWith({ dead: 1_201 });
  const others = await endpointWith({ dead: 2 });
  const body = { filter: { endpoint: mine.id } };
  const dry = await app.call("POST", "/v1/dead-letters/requeue", { ...body, dry_run: true });
  expect([dry.status, dry.json]).toEqual([200, { dry_run: true, total: 1_201 }]);
  expect(await statesOf(mine.uuid)).toEqual({ dead: 1_201 });

  const { status, json } = await app.call("POST", "/v1/dead-letters/requeue", body);
  expect([status, json.state, json.total]).toEqual([202, "running", 1_201]);
  expect(await workOff(json.id)).toMatchObject({ state: "done", done: 1_201, created_by: "editor" });
  expect(await statesOf(mine.uuid)).toEqual({ parked: 1_201 });
  expect(await statesOf(others.uuid)).toEqual({ dead: 2 });
  const [health] = await app.database.sql`
    select has_parked from deltahook.endpoint_health where endpoint_id = ${mine.uuid}`;
  expect(health?.has_parked).toBe(true);
});

test("two nodes at once, one of them stopped half-way, do nothing twice", async () => {
  const { id, uuid } = await endpointWith({ dead: 5_000 });
  const { json } = await app.call("POST", "/v1/dead-letters/requeue", { filter: { endpoint: id } });
  const first = runner();
  await until(
    () => operation(json.id),
    ({ done }) => done > 0,
  );
  await first.stop();
  const position = await operation(json.id);
  const nodes = [runner(), runner()];
  const ended = await until(
    () => operation(json.id),
    ({ state }) => state !== "running",
  );
  await Promise.all(nodes.map((node) => node.stop()));
  expect(position.done).toBeLessThanOrEqual(5_000);
  expect(ended).toMatchObject({ state: "done", done: 5_000 });
  expect(await statesOf(uuid)).toEqual({ parked: 5_000 });
});

test("a batch that a crash undoes is done by the next one", async () => {
  const { id, uuid } = await endpointWith({ dead: 10 });
  const { json } = await app.call("POST", "/v1/dead-letters/requeue", { filter: { endpoint: id } });
  const { deadLetters } = app.resources;
  const crashing = runOperations({
    database: app.database,
    log: silentLog,
    deadLetters: {
      ...deadLetters,
      async requeueMany(...args) {
        await deadLetters.requeueMany(...args);
        throw new Error("the process ends here");
      },
    },
  });
  await Bun.sleep(100);
  await crashing.stop();
  expect(await statesOf(uuid)).toEqual({ dead: 10 });
  expect(await workOff(json.id)).toMatchObject({ state: "done", done: 10 });
  expect(await statesOf(uuid)).toEqual({ parked: 10 });
});

test("an operation that fails again and again is given up and says so", async () => {
  const { id } = await endpointWith({ dead: 1 });
  const { json } = await app.call("POST", "/v1/dead-letters/requeue", { filter: { endpoint: id } });
  const failing = runOperations({
    database: app.database,
    log: silentLog,
    deadLetters: { ...app.resources.deadLetters, requeueMany: () => Promise.reject(new Error("a bug")) },
  });
  const waking = setInterval(() => failing.wake(), 10);
  const ended = await until(
    () => operation(json.id),
    ({ state }) => state !== "running",
  );
  clearInterval(waking);
  await failing.stop();
  expect(ended).toMatchObject({ state: "failed", problem: expect.stringContaining("log") });
});

test("a cancelled operation stops where it is", async () => {
  const { id, uuid } = await endpointWith({ dead: 3 });
  const { json } = await app.call("POST", "/v1/dead-letters/requeue", { filter: { endpoint: id } });
  const cancelled = await app.call("POST", `/v1/operations/${json.id}/cancel`);
  expect([cancelled.status, cancelled.json.state]).toEqual([200, "cancelled"]);
  expect((await app.call("POST", `/v1/operations/${json.id}/cancel`)).status).toBe(409);
  const other = await app.call("POST", "/v1/dead-letters/requeue", {
    filter: { endpoint: (await endpointWith({})).id },
  });
  await workOff(other.json.id);
  expect(await statesOf(uuid)).toEqual({ dead: 3 });
});

const recoveries: [status: string | undefined, after: Record<string, number>, done: number][] = [
  [undefined, { parked: 3, delivered: 2, cancelled: 1 }, 3],
  ["cancelled", { parked: 1, dead: 3, delivered: 2 }, 1],
  ["delivered", { parked: 2, delivered: 2, dead: 3, cancelled: 1 }, 2],
  ["all", { parked: 6, delivered: 2 }, 6],
];

test.each(recoveries)("recover with status %s", async (status, after, done) => {
  const since = new Date(Date.now() - 1000).toISOString();
  const { id, uuid } = await endpointWith({ dead: 3, delivered: 2, cancelled: 1 });
  const body = { since, ...(status ? { status } : {}) };
  const dry = await app.call("POST", `/v1/endpoints/${id}/recover`, { ...body, dry_run: true });
  expect([dry.status, dry.json.total]).toEqual([200, done]);
  const started = await app.call("POST", `/v1/endpoints/${id}/recover`, body);
  expect([started.status, started.json.request.endpoint]).toEqual([202, id]);
  expect(await workOff(started.json.id)).toMatchObject({ state: "done", done, total: done });
  expect(await statesOf(uuid)).toEqual(after);
});

test("recover takes only what was owed in its time", async () => {
  const { id, uuid } = await endpointWith({ dead: 3 });
  const past = { since: "2020-01-01T00:00:00Z", until: "2020-01-02T00:00:00+01:00" };
  const { json } = await app.call("POST", `/v1/endpoints/${id}/recover`, past);
  expect(await workOff(json.id)).toMatchObject({ state: "done", done: 0 });
  expect(await statesOf(uuid)).toEqual({ dead: 3 });
});

test.each([
  ["no since", {}, /since: is required|since/],
  ["a since that is no time", { since: "yesterday" }, /RFC 3339/],
  ["an until before since", { since: "2026-01-02T00:00:00Z", until: "2026-01-01T00:00:00Z" }, /later than since/],
  ["a status that is none", { since: "2026-01-02T00:00:00Z", status: "pending" }, /status/],
])("recover is refused for %s", async (_, body, detail) => {
  const { id } = await endpointWith({});
  const answer = await app.call("POST", `/v1/endpoints/${id}/recover`, body);
  expect([answer.status, answer.json.detail]).toEqual([422, expect.stringMatching(detail)]);
});

test("operations are listed newest first; an unknown one, or endpoint, is a 404", async () => {
  const { data } = (await app.call("GET", "/v1/operations?limit=200")).json;
  const ids = data.map(({ id }: { id: string }) => id);
  expect(ids.length).toBeGreaterThan(3);
  expect(ids).toEqual([...ids].sort().reverse());
  expect((await app.call("GET", `/v1/operations/op_${"0".repeat(32)}`)).status).toBe(404);
  const since = "2026-01-02T00:00:00Z";
  expect((await app.call("POST", `/v1/endpoints/ep_${"0".repeat(32)}/recover`, { since })).status).toBe(404);
  expect((await app.call("POST", "/v1/dead-letters/requeue", {})).status).toBe(422);
});

test("a viewer starts nothing", async () => {
  const { id } = await endpointWith({});
  const asViewer = { as: "viewer" } as const;
  expect((await app.call("POST", "/v1/dead-letters/requeue", { filter: {} }, asViewer)).status).toBe(403);
  expect((await app.call("POST", `/v1/endpoints/${id}/recover`, { since: "2026-01-02" }, asViewer)).status).toBe(403);
});
