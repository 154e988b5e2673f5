import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import type { Delivering } from "../../src/delivering/delivering.ts";
import { testDatabase } from "../support/database.ts";
import { addEndpoint, startEngine } from "../support/engine.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { type Host, pluginText, startHost, until } from "./support.ts";

const VERSIONED = (version: number) =>
  pluginText("versioned", `transform() { return { body: { a: ${version}, b: ${version} } }; }`);

let at: Awaited<ReturnType<typeof testDatabase>>;
let host: Host;
let engine: { delivering: Delivering; stop(): Promise<void> };
let receiver: Receiver;
beforeAll(async () => {
  at = await testDatabase();
  host = await startHost({
    "wrap.ts": pluginText(
      "wrap",
      'transform(event) { return { body: { wrapped: event.data }, headers: { "x-team": "a", authorization: "Bearer t" } }; }',
    ),
    "some.ts": pluginText("some", "transform(event) { return (event.data as any).n % 2 ? null : {}; }"),
    "fails.ts": pluginText("fails", 'transform() { throw new Error("no order"); }'),
    "hangs.ts": pluginText("hangs", "timeoutMs: 1000, transform() { for (;;); }"),
    "versioned.ts": VERSIONED(1),
  });
  engine = startEngine(at, { transform: host.plugins.transform });
});
afterAll(async () => {
  await engine.stop();
  await host.stop();
  await at.drop();
});
beforeEach(async () => {
  await at.database.sql`update deltahook.endpoints set event_types = '{}', revision = revision + 1`;
});

async function endpoint(plugin: string[], options: unknown = {}): Promise<{ id: string; secret: string }> {
  receiver = startReceiver();
  const made = await addEndpoint(at.database, { url: receiver.url, retry: [50] });
  await at.database.sql`
    update deltahook.endpoints set plugin = ${plugin}::text[], plugin_options = ${JSON.stringify(options)}::text::json
    where id = ${made.id}`;
  return made;
}

function send(data: string) {
  return engine.delivering.ingest.submit({
    event: { type: "order.paid", data, origin: "api" },
    requestHash: Buffer.alloc(0),
  });
}

type AttemptRow = {
  outcome: string;
  error: string | null;
  request_body: string | null;
  request_headers: Record<string, string>;
  plugins: { name: string; version: string }[] | null;
};

async function attempts(endpointId: string, count: number): Promise<AttemptRow[]> {
  let rows: AttemptRow[] = [];
  for (
    const giveUpAt = performance.now() + 10_000;
    rows.length < count && performance.now() < giveUpAt;
    await Bun.sleep(20)
  ) {
    rows = await at.database.sql<AttemptRow[]>`
      select attempt.outcome, attempt.error, attempt.request_body, attempt.request_headers, attempt.plugins
      from deltahook.attempts attempt join deltahook.deliveries delivery on delivery.id = attempt.delivery_id
      where delivery.endpoint_id = ${endpointId} order by attempt.id`;
  }
  return rows;
}

describe("an endpoint with a plugin", () => {
  test("gets what the plugin made, signed as such, and the attempt records both", async () => {
    const { id, secret } = await endpoint(["wrap"]);
    await send('{"n":12345678901234567890}');
    await receiver.arrived(1);
    const [got] = receiver.received;
    expect(got?.body).toBe('{"wrapped":{"n":12345678901234567890}}');
    expect(got?.headers).toMatchObject({
      "x-team": "a",
      authorization: "Bearer t",
      "content-type": "application/json",
    });
    expect(() => new Webhook(secret).verify(got?.body ?? "", got?.headers ?? {})).not.toThrow();
    const version = host.plugins.list().find(({ name }) => name === "wrap")?.version;
    const [row] = await attempts(id, 1);
    expect(row).toMatchObject({
      outcome: "delivered",
      request_body: '{"wrapped":{"n":12345678901234567890}}',
      request_headers: { authorization: "***", "x-team": "a" },
      plugins: [{ name: "wrap", version }],
    });
    await receiver.stop();
  });

  test("gets nothing of what the plugin skips, which is not tried again", async () => {
    const { id } = await endpoint(["some"]);
    await send('{"n": 1}');
    await send('{"n": 2.0}');
    await receiver.arrived(1);
    const rows = await attempts(id, 2);
    expect(rows.map(({ outcome }) => outcome).sort()).toEqual(["delivered", "skipped"]);
    expect(receiver.received.map(({ body }) => body)).toEqual([expect.stringContaining('"data":{"n": 2.0}}')]);
    const states = await at.database.sql<
      { state: string }[]
    >`select state from deltahook.deliveries where endpoint_id = ${id}`;
    expect(states.map(({ state }) => state)).toEqual(["delivered", "delivered"]);
    await receiver.stop();
  });

  for (const [name, plugins, options, sentence] of [
    [
      "fails",
      ["fails"],
      {},
      /^Not sent, since the transform hook of "fails" failed: Error: no order \(fails\.ts:3:\d+\)\.$/,
    ],
    ["is gone", ["wrap", "gone"], {}, /^Not sent, since there is no plugin "gone"/],
    [
      "has options that do not fit",
      ["redact"],
      { paths: "all" },
      /the options of the plugin "redact" are not what it wants/,
    ],
    ["hangs", ["hangs"], {}, /^Not sent, since the plugin "hangs" did not finish within 1000 ms/],
  ] as [string, string[], object, RegExp][]) {
    test(`when the plugin ${name}, nothing is sent, and the tries are used up into a dead letter`, async () => {
      const { id } = await endpoint(plugins, options);
      await send('{"n": 1}');
      const rows = await attempts(id, 2);
      expect(rows.map(({ outcome }) => outcome)).toEqual(["failed", "failed"]);
      for (const { error } of rows) expect(error).toMatch(sentence);
      expect(receiver.received).toHaveLength(0);
      const [letter] = await at.database.sql<{ last_error: string }[]>`
        select last_error from deltahook.dead_letters where endpoint_id = ${id}`;
      expect(letter?.last_error).toMatch(sentence);
      await receiver.stop();
    }, 15_000);
  }

  test("a plugin edited under load: every delivery arrives, whole by one version or whole by the next", async () => {
    await endpoint(["versioned"]);
    const path = join(host.folder, "versioned.ts");
    const events = 1_500;
    const sending = (async () => {
      for (let i = 0; i < events; i += 50) {
        await engine.delivering.ingest.submitAll(
          Array.from({ length: 50 }, () => ({
            event: { type: "order.paid", data: '{"n": 1}', origin: "api" as const },
            requestHash: Buffer.alloc(0),
          })),
        );
        await Bun.sleep(20);
      }
    })();
    for (const version of [2, 3]) {
      const before = host.plugins.list().find(({ name }) => name === "versioned")?.version;
      writeFileSync(path, VERSIONED(version).slice(0, 100));
      await Bun.sleep(50);
      writeFileSync(path, VERSIONED(version));
      await until(() => host.plugins.list().find(({ name }) => name === "versioned")?.version !== before);
    }
    await sending;
    await receiver.arrived(events);
    const bodies = new Set(receiver.received.map(({ body }) => body));
    expect([...bodies].filter((body) => !/^\{"a":(\d),"b":\1\}$/.test(body))).toEqual([]);
    expect(receiver.received).toHaveLength(events);
    expect(bodies.has('{"a":3,"b":3}')).toBe(true);
    await receiver.stop();
  }, 60_000);
});

test("deliveries of others keep their pace while a plugin hangs", async () => {
  async function medianLatency(count: number): Promise<number> {
    const from = healthy.received.length;
    for (let i = 0; i < count; i++) {
      await send(`{"at":${performance.now()}}`);
      await Bun.sleep(10);
    }
    await until(() => healthy.received.length >= from + count);
    const found = healthy.received
      .slice(from)
      .map(({ body, at: arrivedAt }) => arrivedAt - Number(/"at":([\d.]+)/.exec(body)?.[1]));
    found.sort((a, b) => a - b);
    return found[Math.floor(count / 2)] ?? 0;
  }

  await endpoint(["wrap"]);
  const healthy = receiver;
  await medianLatency(30);
  const calm = await medianLatency(150);
  const { id } = await endpoint(["hangs"]);
  const sink = receiver;
  await at.database
    .sql`update deltahook.endpoints set event_types = '{stuck}', revision = revision + 1 where id = ${id}`;
  for (let i = 0; i < 20; i++) {
    await engine.delivering.ingest.submit({
      event: { type: "stuck", data: "{}", origin: "api", endpointIds: [id] },
      requestHash: Buffer.alloc(0),
    });
  }
  const troubled = await medianLatency(150);
  const failed = await attempts(id, 1);
  expect(failed.length).toBeGreaterThan(0);
  expect(failed.every(({ outcome }) => outcome === "failed")).toBe(true);
  expect(sink.received).toHaveLength(0);
  // Promised is twice; the rest is for machines that do other things meanwhile.
  expect(troubled).toBeLessThan(2 * calm + 25);
  await Promise.all([healthy.stop(), sink.stop()]);
}, 60_000);
