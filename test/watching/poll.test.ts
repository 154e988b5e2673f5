import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { testDatabase } from "../support/database.ts";
import { type Node, pollLog, startNode, startSource, until } from "./support.ts";

let place: Awaited<ReturnType<typeof testDatabase>>;
const undo: (() => unknown)[] = [];

beforeAll(async () => {
  place = await testDatabase();
});
afterAll(() => place.drop());
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
  await place.database.sql`delete from deltahook.watches`;
  await place.database.sql`delete from deltahook.hosts`;
  await place.database.sql`delete from deltahook_queue._private_jobs`;
});

function source(answer: Parameters<typeof startSource>[0]) {
  const started = startSource(answer);
  undo.push(started.stop);
  return started;
}

function node(options: Parameters<typeof startNode>[1] = {}): Node {
  const started = startNode(place, options);
  undo.push(started.stop);
  return started;
}

/** A source that counts how many it answers at the same time. */
function countingSource(ms: number) {
  const seen = { now: 0, most: 0 };
  const started = source(async () => {
    seen.most = Math.max(seen.most, ++seen.now);
    await Bun.sleep(ms);
    seen.now--;
    return Response.json({ status: "new" });
  });
  return { ...started, seen };
}

/** Each asks with a query of its own: those that ask the same would share a request. */
async function createMany(
  at: Node,
  count: number,
  { url, ...body }: { url: string; schedule?: object },
): Promise<string[]> {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    const request = { url, query: { id: i } };
    ids.push((await at.create({ fields: { status: "$.status" }, schedule: { every: "1h" }, request, ...body })).id);
  }
  return ids;
}

const polledOnce = (ids: string[]) => async () => {
  const [row] = await place.database.sql<
    { polled: number }[]
  >`select count(distinct watch_id) as polled from deltahook.polls`;
  return row?.polled === ids.length;
};

test("a host is never asked by more polls at once than its limit, and all get their turn", async () => {
  await place.database.sql`truncate deltahook.polls`;
  const slow = countingSource(30);
  const ids = await createMany(node({ hostConcurrency: 3, concurrency: 200 }), 60, { url: slow.url });
  await until("all are polled", polledOnce(ids), 30_000);
  expect(slow.seen.most).toBe(3);
  expect(slow.requests).toHaveLength(60);
}, 40_000);

test("a limit set for one host counts on the next reading, and leaves other hosts alone", async () => {
  await place.database.sql`truncate deltahook.polls`;
  const narrow = countingSource(20);
  const wide = countingSource(200);
  const host = new URL(narrow.url).host;
  await place.database.sql`insert into deltahook.hosts (host, concurrency) values (${host}, 1)`;
  const running = node({ hostConcurrency: 50, concurrency: 200 });
  await Bun.sleep(200);
  const ids = await createMany(running, 10, { url: narrow.url });
  ids.push(...(await createMany(running, 10, { url: wide.url })));
  await until("all are polled", polledOnce(ids), 20_000);
  expect(narrow.seen.most).toBe(1);
  expect(wide.seen.most).toBeGreaterThan(1);
}, 30_000);

test("a host is asked no more often than its rate allows", async () => {
  await place.database.sql`truncate deltahook.polls`;
  const limited = source(() => Response.json({ status: "new" }));
  const ids = await createMany(node({ hostRate: 10 }), 30, { url: limited.url });
  await until("all are polled", polledOnce(ids), 30_000);
  const times = limited.requests.map(({ at }) => at);
  const span = (times.at(-1) ?? 0) - (times[0] ?? 0);
  // A second's worth may go at once.
  expect(span).toBeGreaterThan(((30 - 11) / 10) * 1_000 - 200);
}, 40_000);

test("the API warns when watches together ask for more than a host's rate", async () => {
  const limited = source(() => Response.json({ status: "new" }));
  const quiet = node({ work: false, hostRate: 1 });
  const first = await quiet.create({
    request: { url: limited.url },
    fields: { status: "$.status" },
    schedule: { every: "1s" },
  });
  expect(first.warning).toBeNull();
  const second = await quiet.create({
    request: { url: limited.url },
    fields: { status: "$.status" },
    schedule: { every: "1s" },
  });
  expect(second.warning).toContain("2 requests a second");
});

test("sources that hang leave the fast lane, and the others keep their time", async () => {
  const good = source(() => Response.json({ status: "new" }));
  const hanging = source(() => new Promise<Response>(() => {}));
  const running = node({ concurrency: 40, timeoutMs: 4_000 });
  const every = { schedule: { every: "1s" } };
  const ids = await createMany(running, 30, { url: good.url, ...every });
  await createMany(running, 50, { url: hanging.url, ...every });
  await Bun.sleep(8_000);
  const lags: number[] = [];
  for (const id of ids) {
    const log = await pollLog(running, id);
    expect(log.length).toBeGreaterThanOrEqual(5);
    const gaps = log.slice(1).map((poll, i) => Date.parse(poll.at) - Date.parse(log[i]?.at ?? ""));
    lags.push(...gaps);
  }
  lags.sort((a, b) => a - b);
  expect(lags[Math.floor(lags.length * 0.5)]).toBeLessThan(1_200);
  const [slow] = await place.database.sql<{ slow: number; failed: number }[]>`
    select count(*) filter (where slow) as slow, (select count(*) from deltahook.polls where outcome = 'failed') as failed
    from deltahook.watch_schedule`;
  expect(slow?.slow).toBeGreaterThan(30);
  expect(slow?.failed).toBeGreaterThan(0);
}, 40_000);

test("a stop aborts what is under way and gives it back, due at once, and calls nothing a failure", async () => {
  await place.database.sql`truncate deltahook.polls`;
  const asked = Promise.withResolvers<void>();
  const hanging = source(() => {
    asked.resolve();
    return new Promise<Response>(() => {});
  });
  const running = startNode(place, { timeoutMs: 30_000 });
  const watch = await running.create({
    request: { url: hanging.url },
    fields: { status: "$.status" },
    schedule: { every: "1h" },
  });
  await asked.promise;
  const startedAt = performance.now();
  running.watching.abort();
  await running.stop();
  expect(performance.now() - startedAt).toBeLessThan(3_000);
  const [row] = await place.database.sql<{ due: boolean; busy: boolean; jobs: number }[]>`
    select next_poll_at <= now() as due, busy_until is not null as busy,
      (select count(*) from deltahook_queue._private_jobs) as jobs
    from deltahook.watch_schedule`;
  expect(row).toEqual({ due: true, busy: false, jobs: 0 });
  expect(await pollLog(running, watch.id)).toEqual([]);
});
