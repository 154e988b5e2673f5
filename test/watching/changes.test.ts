import { afterAll, beforeAll, expect, test } from "bun:test";
import { testDatabase } from "../support/database.ts";
import { type Node, startNode, until } from "./support.ts";

let place: Awaited<ReturnType<typeof testDatabase>>;
let node: Node;

beforeAll(async () => {
  place = await testDatabase();
  node = startNode(place, { work: false });
});
afterAll(async () => {
  await node.stop();
  await place.drop();
});

const CHANGES: [string, (id: string) => Promise<unknown>][] = [
  ["paused", (id) => node.watching.watches.pause(id)],
  ["resumed", (id) => node.watching.watches.resume(id)],
  ["renamed", (id) => node.watching.watches.patch(id, { name: "b" }, (merged) => merged as never)],
  ["deleted", (id) => node.watching.watches.remove(id)],
];

test.each(CHANGES)("a watch can be %s while a poll of it is recorded", async (what, change) => {
  const { sql } = place.database;
  const { id } = await node.create({ request: { url: "http://127.0.0.1:4999/" }, fields: { a: "$.a" } });
  const [row] = await sql<{ id: string }[]>`select watch_id as id from deltahook.watch_status order by 1 desc limit 1`;
  const uuid = row?.id ?? "";
  let changed: Promise<unknown> = Promise.resolve();
  // In the order of the recorder: the status, a first value (which shares the watch itself), the schedule.
  await sql.begin(async (recorder) => {
    await recorder`select from deltahook.watch_status where watch_id = ${uuid} for update`;
    changed = change(id);
    changed.catch(() => {});
    await until("the change waits for the recorder", async () => {
      const blocked = await sql`
        select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
      return blocked.length > 0;
    });
    await recorder`insert into deltahook.watch_state (watch_id, key, value) values (${uuid}, 'f:a', '{}')`;
    await recorder`update deltahook.watch_schedule set busy_until = null where watch_id = ${uuid}`;
    await recorder`update deltahook.watch_status set failures = 0 where watch_id = ${uuid}`;
  });
  await changed;
  const [still] = await sql<
    { there: boolean }[]
  >`select exists (select from deltahook.watches where id = ${uuid}) as there`;
  expect(still?.there).toBe(what !== "deleted");
});
