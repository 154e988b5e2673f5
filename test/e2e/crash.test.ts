import { afterEach, describe, expect, test } from "bun:test";
import { connectionString, type Database } from "../../src/platform/database.ts";
import { testDatabase } from "../support/database.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import {
  type Client,
  eventually,
  login,
  type ServerProcess,
  startServerProcess,
  temporaryDataDir,
} from "../support/server.ts";

const KEYS = {
  MASTER_KEY: "a master key for end-to-end tests, long",
  JWT_SECRET: "a token secret for end-to-end tests, long",
};

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A server on the embedded Postgres, or several processes on one external database. */
async function startOn(env: Record<string, string>): Promise<ServerProcess> {
  const server = await startServerProcess({ ...KEYS, RETRY_DELAYS: "200ms,500ms,1s,2s,4s,8s", ...env });
  cleanups.push(() => server.process.exitCode === null && server.end("SIGKILL"));
  return server;
}

async function externalDatabase(): Promise<{ url: string; database: Database }> {
  const { database, target, drop } = await testDatabase();
  cleanups.push(drop);
  return { url: connectionString(target), database };
}

function receiver(answer?: Parameters<typeof startReceiver>[0]): Receiver {
  const started = startReceiver(answer);
  cleanups.push(() => started.stop());
  return started;
}

async function submit(api: Client, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let sent = 0; sent < count; sent += 500) {
    const events = Array.from({ length: Math.min(500, count - sent) }, (_, i) => ({
      type: "order.paid",
      data: { n: sent + i },
    }));
    const answer = await api.call<{ data: { id: string }[] }>("POST", "/v1/events/batch", { events });
    if (answer.status !== 202) throw new Error(`batch: ${answer.status} ${JSON.stringify(answer.body)}`);
    ids.push(...answer.body.data.map((event) => event.id));
  }
  return ids;
}

function addEndpoint(api: Client, url: string) {
  return api.call<{ id: string }>("POST", "/v1/endpoints", { name: "Receiver", url, max_in_flight: 100 });
}

async function noLockLeft({ sql }: Database): Promise<number> {
  const [row] = await sql<
    { locked: number }[]
  >`select count(*) as locked from deltahook_queue.jobs where locked_at is not null`;
  return row?.locked ?? -1;
}

describe("nothing is lost", () => {
  test("10,000 events in batches reach the receiver, each exactly once, and all counts agree", async () => {
    const got = receiver();
    const { url, database } = await externalDatabase();
    const server = await startOn({ DATABASE_URL: url });
    const api = await login(server);
    await addEndpoint(api, got.url);
    const ids = await submit(api, 10_000);
    await got.arrived(10_000, 60_000);
    expect(got.received.length).toBe(10_000);
    expect(got.ids()).toEqual(new Set(ids));
    const counted = async () => {
      const [row] = await database.sql<{ events: number; delivered: number; others: number; attempts: number }[]>`
        select (select count(*) from deltahook.events) as events,
               (select count(*) from deltahook.deliveries where state = 'delivered') as delivered,
               (select count(*) from deltahook.deliveries where state <> 'delivered') as others,
               (select count(*) from deltahook.attempts) as attempts`;
      return row;
    };
    const tables = await eventually(counted, (row) => row?.others === 0);
    expect(tables).toEqual({ events: 10_000, delivered: 10_000, others: 0, attempts: 10_000 });
    const stats = await eventually(
      () => api.call<{ deliveries: { delivered: number } }>("GET", "/v1/stats?window=1h"),
      ({ body }) => body.deliveries.delivered === 10_000,
    );
    expect(stats.body.deliveries.delivered).toBe(10_000);
  }, 120_000);

  test("a SIGKILL in the middle of 5,000 deliveries loses none; the dead node's jobs are freed within 30 s", async () => {
    const got = receiver(async () => {
      await Bun.sleep(20);
      return new Response("ok");
    });
    const data = temporaryDataDir();
    cleanups.push(data.remove);
    const first = await startOn({ DATA_DIR: data.path });
    const api = await login(first);
    await addEndpoint(api, got.url);
    const ids = await submit(api, 5_000);
    await got.arrived(1_000, 60_000);
    await first.end("SIGKILL");
    const before = got.ids().size;
    expect(before).toBeLessThan(5_000);
    const restartedAt = performance.now();
    const second = await startOn({ DATA_DIR: data.path });
    await got.arrived(before + 1, 30_000);
    expect(performance.now() - restartedAt).toBeLessThan(30_000);
    await got.arrived(5_000, 60_000);
    expect(got.ids()).toEqual(new Set(ids));
    expect(await second.end("SIGTERM")).toBe(0);
  }, 180_000);

  test("Postgres killed in the middle: deliveries go on within 30 s in the same process", async () => {
    const got = receiver(async () => {
      await Bun.sleep(20);
      return new Response("ok");
    });
    const data = temporaryDataDir();
    cleanups.push(data.remove);
    const server = await startOn({ DATA_DIR: data.path });
    const api = await login(server);
    await addEndpoint(api, got.url);
    const ids = await submit(api, 4_000);
    await got.arrived(800, 60_000);
    process.kill(await postmasterOf(data.path), "SIGKILL");
    const killedAt = performance.now();
    const before = got.ids().size;
    // What was in flight may still arrive; more than a node can hold in flight means that work has been taken up again.
    await got.arrived(Math.min(4_000, before + 1_000), 30_000);
    expect(performance.now() - killedAt).toBeLessThan(30_000);
    await got.arrived(4_000, 60_000);
    expect(got.ids()).toEqual(new Set(ids));
    expect(server.process.exitCode).toBeNull();
    await eventually(
      () => fetch(`${server.url}/readyz`),
      (answer) => answer.status === 200,
    );
    expect(await server.end("SIGTERM")).toBe(0);
  }, 180_000);

  test("SIGTERM under load, ten times of ten: exit 0 within 8 s, no lock left, nothing lost", async () => {
    let slow = true;
    const got = receiver(async (_, nth) => {
      // Some answer only after the node has to be gone.
      await Bun.sleep(slow && nth % 50 === 0 ? 12_000 : 10);
      return new Response("ok");
    });
    const { url, database } = await externalDatabase();
    let submitted = 0;
    const wanted = new Set<string>();
    for (let round = 0; round < 10; round++) {
      const server = await startOn({ DATABASE_URL: url });
      const api = await login(server);
      if (round === 0) await addEndpoint(api, got.url);
      for (const id of await submit(api, 1_000)) wanted.add(id);
      submitted += 1_000;
      await got.arrived(Math.min(submitted, round * 900 + 200), 60_000);
      const stoppedAt = performance.now();
      expect(await server.end("SIGTERM")).toBe(0);
      expect(performance.now() - stoppedAt).toBeLessThan(8_000);
      expect(await noLockLeft(database)).toBe(0);
    }
    slow = false;
    const last = await startOn({ DATABASE_URL: url });
    await got.arrived(submitted, 60_000);
    expect(got.ids()).toEqual(wanted);
    const [counted] = await database.sql<{ interrupted: number }[]>`
      select count(*) as interrupted from deltahook.attempts where outcome = 'interrupted'`;
    expect(counted?.interrupted).toBeGreaterThan(0);
    await last.end("SIGTERM");
  }, 300_000);

  test("one of two nodes frozen for 40 s under load: all delivered, duplicates only under the same webhook-id", async () => {
    const got = receiver(async () => {
      await Bun.sleep(20);
      return new Response("ok");
    });
    const { url, database } = await externalDatabase();
    const frozen = await startOn({ DATABASE_URL: url });
    const other = await startOn({ DATABASE_URL: url, ADMIN_EMAIL: "", ADMIN_PASSWORD: "" });
    const api = await login(other);
    await addEndpoint(api, got.url);
    const ids = new Set(await submit(api, 4_000));
    await got.arrived(500, 60_000);
    frozen.process.kill("SIGSTOP");
    const frozenAt = performance.now();
    for (const id of await submit(api, 1_000)) ids.add(id);
    // The other node notices, frees what the frozen one holds, and finishes everything without it.
    await got.arrived(5_000, 40_000);
    await Bun.sleep(Math.max(0, 40_000 - (performance.now() - frozenAt)));
    frozen.process.kill("SIGCONT");
    for (const id of await submit(api, 1_000)) ids.add(id);
    await got.arrived(6_000, 60_000);
    expect(got.ids()).toEqual(ids);
    await eventually(
      async () =>
        (
          await database.sql<
            { left: number }[]
          >`select count(*) as left from deltahook.deliveries where state <> 'delivered'`
        )[0]?.left,
      (left) => left === 0,
    );
    await eventually(
      () => noLockLeft(database),
      (locked) => locked === 0,
    );
    expect(await frozen.end("SIGTERM")).toBe(0);
    expect(await other.end("SIGTERM")).toBe(0);
  }, 240_000);
});

async function postmasterOf(dataDir: string): Promise<number> {
  const text = await Bun.file(`${dataDir}/postgres/postmaster.pid`).text();
  return Number(text.split("\n")[0]);
}
