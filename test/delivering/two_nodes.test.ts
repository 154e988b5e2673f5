import { afterEach, beforeEach, expect, test } from "bun:test";
import { BEAT_MS } from "../../src/platform/nodes.ts";
import { type Flow, openFlow, states, until } from "../support/flow.ts";

let flow: Flow;
beforeEach(async () => {
  flow = await openFlow();
});
afterEach(() => flow.end());

/** A node learns at its next beat how many share an endpoint's limits with it. */
async function untilEachKnows(nodes: number): Promise<void> {
  const { sql } = flow.database;
  const live = () => sql<{ beat_at: Date }[]>`select beat_at from deltahook.nodes where pool = 'deliver'`;
  await until(async () => (await live()).length === nodes, `${nodes} nodes`);
  const [row] = await sql<{ now: Date }[]>`select now() as now`;
  const since = row?.now.getTime() ?? Number.NaN;
  await until(
    async () => (await live()).every(({ beat_at }) => beat_at.getTime() > since),
    "a beat of each",
    4 * BEAT_MS,
  );
  await Bun.sleep(300); // what follows the beat
}

test("an endpoint's cap holds across two nodes, and falls to the one that stays", async () => {
  const load = { now: 0, most: 0 };
  const receiver = flow.receiver(async () => {
    load.most = Math.max(load.most, ++load.now);
    await Bun.sleep(50);
    load.now--;
    return new Response("ok");
  });
  await flow.endpoint({ url: receiver.url, maxInFlight: 11 });
  const first = flow.engine({ alone: false });
  const second = flow.engine({ alone: false });
  await untilEachKnows(2);
  await flow.publish(first, 400);
  await receiver.arrived(400);
  await until(async () => (await states(flow)).delivered === 400);
  expect(load.most).toBe(11);
  expect(receiver.received).toHaveLength(400);

  await second.stop();
  await untilEachKnows(1);
  load.most = 0;
  await flow.publish(first, 200);
  await receiver.arrived(600);
  expect(load.most).toBe(11);
}, 60_000);

test("an endpoint's rate limit holds across two nodes, within 10 %", async () => {
  const perSecond = 50;
  const owed = 300;
  const receiver = flow.receiver();
  const { id } = await flow.endpoint({ url: receiver.url });
  const { sql } = flow.database;
  await sql`update deltahook.endpoints set rate_limit_max = ${perSecond}, rate_limit_per_ms = 1000 where id = ${id}`;
  await flow.publish(flow.engine({ alone: false, work: false }), owed);
  flow.engine({ alone: false });
  flow.engine({ alone: false });
  await receiver.arrived(owed);
  const at = receiver.received.map((received) => received.at);
  const seconds = (Math.max(...at) - Math.min(...at)) / 1_000;
  expect((owed - 1) / seconds).toBeLessThan(perSecond * 1.1);
  expect((owed - 1) / seconds).toBeGreaterThan(perSecond * 0.7);
}, 60_000);
