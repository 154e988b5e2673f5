import { afterAll, beforeAll, expect, test } from "bun:test";
import { frame, liveResponse } from "../../src/http/live.ts";
import { type LiveFilter, readBetween, readPosition } from "../../src/http/live_store.ts";
import type { Database, SqlRunner } from "../../src/platform/database.ts";
import { testDatabase } from "../support/database.ts";

let database: Database;
let drop: () => Promise<void>;
beforeAll(async () => {
  ({ database, drop } = await testDatabase());
});
afterAll(() => drop());

const ALL: LiveFilter = { show: "all" };

/** A line of the poll log whose request began `agoMs` before now; `failed` ones lie in another table. */
async function addPoll(
  sql: SqlRunner,
  options: { agoMs?: number; failed?: boolean; watch?: string } = {},
): Promise<string> {
  const id = Bun.randomUUIDv7("hex", Date.now() - (options.agoMs ?? 0));
  const watch = options.watch ?? Bun.randomUUIDv7();
  if (options.failed) {
    await sql`insert into deltahook.polls (id, watch_id, ms, lag_ms, bytes, outcome, problem)
              values (${id}, ${watch}, 5, 0, 0, 'failed', 'no answer')`;
  } else {
    await sql`insert into deltahook.polls_unchanged (id, watch_id, ms, lag_ms, bytes, status, outcome)
              values (${id}, ${watch}, 5, 0, 10, 200, 'unchanged')`;
  }
  return id;
}

test("every row is found exactly once, whenever its request began and its transaction ended", async () => {
  const { sql } = database;
  const before = await readPosition(sql);
  const quick = await addPoll(sql);
  const late = Promise.withResolvers<void>();
  const held = sql.begin(async (tx) => {
    const id = await addPoll(tx, { agoMs: 20_000 });
    await late.promise;
    return id;
  });
  const idle = () => sql`
    select from pg_stat_activity where datname = current_database() and state = 'idle in transaction'`;
  while ((await idle()).count === 0) await Bun.sleep(5);
  const between = await readPosition(sql);
  const slow = await addPoll(sql, { agoMs: 25_000, failed: true });
  late.resolve();
  const old = await held;
  const after = await readPosition(sql);

  const idsOf = async (...ends: [Parameters<typeof readBetween>[1], Parameters<typeof readBetween>[2]]) =>
    (await readBetween(sql, ...ends, ALL, 50)).map(({ id }) => id);
  expect(await idsOf(before, between)).toEqual([quick]);
  expect((await idsOf(between, after)).sort()).toEqual([old, slow].sort());
  expect(await idsOf(after, await readPosition(sql))).toEqual([]);
});

test("a filter leaves out other watches and what went well; what is over the limit is counted", async () => {
  const { sql } = database;
  const before = await readPosition(sql);
  const watch = Bun.randomUUIDv7();
  const mine = await addPoll(sql, { watch });
  const failed = await addPoll(sql, { failed: true });
  for (let n = 0; n < 60; n++) await addPoll(sql);
  const after = await readPosition(sql);

  const ofWatch = await readBetween(sql, before, after, { show: "all", watch }, 50);
  expect(ofWatch.map(({ id }) => id)).toEqual([mine]);
  const failures = await readBetween(sql, before, after, { show: "failed" }, 50);
  expect(failures.map(({ id, problem }) => [id, problem])).toEqual([[failed, "no answer"]]);
  const all = await readBetween(sql, before, after, ALL, 50);
  expect([all.length, all[0]?.total]).toEqual([50, 62]);
});

test("a stream says its cursor at once, tells what happens, and goes on behind a cursor", async () => {
  const ids: string[][] = [];
  const follow = (after: string | null) => {
    const aborting = new AbortController();
    const render = ({ cursor, rows }: { cursor: string; rows: { id: string }[] }) => {
      ids.push(rows.map(({ id }) => id));
      return frame({ id: cursor, data: "rows" });
    };
    const response = liveResponse(database, { filter: ALL, after, signal: aborting.signal, render });
    return { reader: (response.body ?? new Blob().stream()).getReader(), end: () => aborting.abort() };
  };
  const text = async (reader: { read(): Promise<{ value?: Uint8Array | undefined }> }) =>
    new TextDecoder().decode((await reader.read()).value);

  const first = follow(null);
  const cursor = /^id: (\S+)\n\n$/.exec(await text(first.reader))?.[1] ?? "";
  const seen = await addPoll(database.sql);
  expect(await text(first.reader)).toContain("data: rows");
  first.end();
  expect((await first.reader.read()).done).toBe(true);

  const again = follow(cursor);
  await text(again.reader);
  await text(again.reader);
  again.end();
  expect(ids).toEqual([[seen], [seen]]);
});

const useless = ["nonsense", "5:1:", "1:5:x", `${"9".repeat(30)}:1:`, "1:2:~polls=-1", "'; drop table x"];
for (const cursor of useless) {
  test(`a cursor that nobody gave out starts at the end: ${cursor.slice(0, 20)}`, async () => {
    const aborting = new AbortController();
    const options = { filter: ALL, after: cursor, signal: aborting.signal, render: () => frame({ data: "" }) };
    const reader = (liveResponse(database, options).body ?? new Blob().stream()).getReader();
    const { value } = await reader.read();
    aborting.abort();
    expect(new TextDecoder().decode(value)).toMatch(/^id: \d+:\d+:/);
    expect(new TextDecoder().decode(value)).not.toContain(cursor);
  });
}

test("no line of the data can pass for a field of its own", () => {
  expect(frame({ id: "1", data: "a\nid: 9\r\n\r\nevent: x" })).toBe(
    "id: 1\ndata: a\ndata: id: 9\ndata: \ndata: event: x\n\n",
  );
});
