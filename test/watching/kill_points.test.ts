import { expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import type { KillPoint } from "../../src/watching/record.ts";
import { testDatabase } from "../support/database.ts";
import { events, pollLog, pollNow, startNode, startSource, until } from "./support.ts";

const CHILD = fileURLToPath(new URL("./kill_child.ts", import.meta.url));
const POINTS: KillPoint[] = ["loaded", "answered", "locked", "written", "published", "committed"];

for (const point of POINTS) {
  test.concurrent(`a node that dies at "${point}" loses no change and states none twice`, async () => {
    const place = await testDatabase();
    const source = startSource(() => Response.json({ status: "new" }));
    const before = startNode(place, { work: false });
    const watch = await before.create({ request: { url: source.url }, fields: { status: "$.status" } });
    await pollNow(before, watch.id);
    await before.stop();
    source.answer = () => Response.json({ status: "paid" });
    await place.database.sql`update deltahook.watch_schedule set next_poll_at = now(), busy_until = null`;

    const child = Bun.spawn([process.execPath, CHILD], {
      env: { PATH: process.env.PATH ?? "", TARGET: JSON.stringify(place.target), KILL_AT: point },
      stdout: "inherit",
      stderr: "inherit",
    });
    await child.exited;
    expect(child.signalCode).toBe("SIGKILL");
    expect(await events(place.database)).toHaveLength(point === "committed" ? 1 : 0);

    const after = startNode(place);
    await until("the change is stated", async () => (await events(place.database)).length > 0, 40_000);
    const polled = (await pollLog(after, watch.id)).length;
    await until("it is polled on", async () => (await pollLog(after, watch.id)).length >= polled + 2, 40_000);
    await after.stop();
    const stated = await events(place.database);
    expect(stated.map(({ data }) => [data.sequence, (data.changes as { current: string }[])[0]?.current])).toEqual([
      [1, "paid"],
    ]);
    source.stop();
    await place.drop();
  }, 120_000);
}
