import { parseId, uuidFloor } from "../../src/platform/ids.ts";
import { testDatabase } from "../support/database.ts";
import { type Node, parseWatch, startNode, startSource } from "../watching/support.ts";

export type Lag = { calmMs: number; hangingMs: number };

/**
 * p95 of how late healthy watches are polled, in milliseconds: while all is calm, and while a tenth as many watches more
 * ask sources that never answer, until the timeout. No host has a limit of its own, so that nothing but the lanes
 * protects the healthy ones; every watch polls once a second.
 */
export async function measureLagWithHangingSources(options: {
  healthy: number;
  concurrency: number;
  timeoutMs: number;
  seconds: number;
}): Promise<Lag> {
  const { healthy, concurrency, timeoutMs, seconds } = options;
  const place = await testDatabase();
  const good = startSource(() => Response.json({ status: "new" }));
  const hanging = startSource(() => new Promise<Response>(() => {}));
  const node = startNode(place, { concurrency, timeoutMs });
  const p95 = async (ids: readonly string[]) => {
    const since = uuidFloor(Date.now());
    await Bun.sleep(seconds * 1_000);
    const [row] = await place.database.sql<{ p95: number }[]>`
      select percentile_cont(0.95) within group (order by lag_ms) as p95
      from deltahook.polls_unchanged where watch_id = any(${[...ids]}::uuid[]) and id >= ${since}`;
    return row?.p95 ?? Number.POSITIVE_INFINITY;
  };
  try {
    const ids = await createMany(node, good.url, healthy);
    await Bun.sleep(3_000);
    const calmMs = await p95(ids);
    await createMany(node, hanging.url, Math.ceil(healthy / 10));
    const hangingMs = await p95(ids);
    return { calmMs, hangingMs };
  } finally {
    node.watching.abort();
    await node.stop();
    good.stop();
    hanging.stop();
    await place.drop();
  }
}

if (import.meta.main) {
  const lag = await measureLagWithHangingSources({
    healthy: 3_000,
    concurrency: 1_024,
    timeoutMs: 30_000,
    seconds: 30,
  });
  process.stdout.write(`p95 of poll lag: calm ${lag.calmMs} ms, a tenth of the sources hanging ${lag.hangingMs} ms\n`);
  process.exit(0);
}

async function createMany(node: Node, url: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let made = 0; made < count; made += 500) {
    const inputs = Array.from({ length: Math.min(500, count - made) }, (_, index) =>
      parseWatch({ request: { url, query: { id: made + index } }, fields: { status: "$.status" } }),
    );
    const created = await node.watching.watches.create(inputs);
    ids.push(...created.map(({ id }) => parseId("watch", id)).filter((id) => id !== null));
  }
  return ids;
}
