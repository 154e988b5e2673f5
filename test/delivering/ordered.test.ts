import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { unpark } from "../../src/delivering/store.ts";
import { type Flow, openFlow, states, until } from "../support/flow.ts";
import type { Received } from "../support/receiver.ts";

let flow: Flow;
beforeAll(async () => {
  flow = await openFlow();
});
afterEach(() => flow.reset());
afterAll(() => flow.end());

function numberOf({ body }: Received): number {
  return JSON.parse(body).data.n;
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

/** Answers by chance, always the same one for a seed, and keeps what it took, in order. */
function moodyReceiver(failureShare: number) {
  const taken: number[] = [];
  const seen: number[] = [];
  let seed = 42;
  const random = () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    return seed / 2 ** 31;
  };
  const receiver = flow.receiver((received) => {
    const number = numberOf(received);
    seen.push(number);
    if (random() < failureShare) return new Response(null, { status: 500 });
    taken.push(number);
    return new Response("ok");
  });
  return { receiver, taken, seen };
}

test("events arrive in order in spite of failures, with two nodes on one database", async () => {
  const { receiver, taken, seen } = moodyReceiver(0.2);
  await flow.endpoint({
    url: receiver.url,
    ordered: true,
    autoPause: false,
    retry: Array.from({ length: 20 }, () => 20),
  });
  const one = flow.engine({ alone: false });
  flow.engine({ alone: false });
  await flow.publish(one, 30);
  await receiver.arrived(30, 50_000);
  expect(taken).toEqual(upTo(30));
  // A failing one blocks those behind it: nobody is even tried before it.
  for (let i = 1; i < seen.length; i++) expect((seen[i] ?? 0) - (seen[i - 1] ?? 0)).toBeOneOf([0, 1]);
});

test("one that dies makes way for the next", async () => {
  const receiver = flow.receiver((received) => new Response(null, { status: numberOf(received) === 2 ? 500 : 200 }));
  await flow.endpoint({ url: receiver.url, ordered: true, retry: [20] });
  await flow.publish(flow.engine(), 5);
  await receiver.arrived(4);
  await until(async () => (await states(flow)).delivered === 4);
  expect(receiver.received.map(numberOf)).toEqual([0, 1, 2, 2, 3, 4]);
  expect(await states(flow)).toEqual({ delivered: 4, dead: 1 });
});

test("the line's order is the order of commit, whoever publishes", async () => {
  const receiver = flow.receiver();
  await flow.endpoint({ url: receiver.url, ordered: true });
  const engines = [flow.engine({ alone: false }), flow.engine({ alone: false, work: false })];
  const { sql } = flow.database;
  await Promise.all(
    upTo(100).map((n) =>
      (engines[n % 2] as (typeof engines)[0]).delivering.publish(sql, [
        { type: "order.paid", data: `{"n":${n}}`, origin: "api" },
      ]),
    ),
  );
  await receiver.arrived(100, 50_000);
  const line = await sql<{ data: string; seq: number }[]>`
    select data::text as data, seq from deltahook.deliveries join deltahook.events on events.id = event_id order by seq`;
  expect(line.map(({ seq }) => seq)).toEqual(upTo(100).map((n) => n + 1));
  expect(receiver.received.map(numberOf)).toEqual(line.map(({ data }) => JSON.parse(data).n));
});

test("however many ask at once, the line has one head", async () => {
  const { id } = await flow.endpoint({ url: "http://127.0.0.1:9/hook", ordered: true });
  const { sql } = flow.database;
  await sql`update deltahook.endpoint_health set paused_reason = 'manual', paused_since = now()`;
  await flow.publish(flow.engine({ work: false }), 10);
  await sql`update deltahook.endpoint_health set paused_reason = null, paused_since = null`;
  for (let place = 1; place <= 5; place++) {
    const taken = await Promise.all(Array.from({ length: 8 }, () => unpark(sql, id, 32, 32)));
    expect(taken.reduce((sum, n) => sum + n, 0)).toBe(1);
    const heads = await sql`select seq from deltahook.deliveries where state = 'pending' and not parked`;
    expect(heads).toEqual([{ seq: place }] as never);
    await sql`update deltahook.deliveries set state = 'delivered', finished_at = now() where seq = ${place}`;
  }
});

test("a failing endpoint is probed with the head of its line, even while that waits for its next try", async () => {
  const { receiver, taken, seen } = moodyReceiver(0);
  const { id } = await flow.endpoint({ url: receiver.url, ordered: true });
  const { sql } = flow.database;
  await flow.publish(flow.engine({ work: false }), 6);
  await sql`delete from deltahook_queue._private_jobs`;
  await sql`update deltahook.deliveries set job = null, tries = 1, attempt = 2, due_at = now() + interval '1 hour' where not parked`;
  await sql`update deltahook.endpoint_health set paused_reason = 'failing', paused_since = now(), probe_at = now() where endpoint_id = ${id}`;
  flow.engine();
  await receiver.arrived(6);
  expect(taken).toEqual(upTo(6));
  expect(seen).toEqual(upTo(6));
  expect(await sql`select from deltahook.attempts where probe and number = 2`).toHaveLength(1);
});

test("a line survives a restart in the middle", async () => {
  const { receiver, taken } = moodyReceiver(0.1);
  await flow.endpoint({
    url: receiver.url,
    ordered: true,
    autoPause: false,
    retry: Array.from({ length: 20 }, () => 20),
  });
  const first = flow.engine();
  await flow.publish(first, 25);
  await receiver.arrived(15);
  await first.stop();
  flow.engine();
  await receiver.arrived(25);
  expect(taken.filter((n, i) => n !== taken[i - 1])).toEqual(upTo(25));
});
