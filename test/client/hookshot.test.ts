import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Hookshot, HookshotError } from "../../src/client/index.ts";
import type { HookshotOptions } from "../../src/client/types.ts";
import { pruneDeadLetters } from "../../src/delivering/retention_store.ts";
import { connectionString } from "../../src/platform/database.ts";
import { testDatabase } from "../support/database.ts";
import { startReceiver } from "../support/receiver.ts";
import { login, type ServerProcess, startServerProcess } from "../support/server.ts";

const KEY = "k".repeat(40);

let db: Awaited<ReturnType<typeof testDatabase>>;
let server: ServerProcess;
let apiKey: string;

beforeAll(async () => {
  db = await testDatabase();
  const database = connectionString(db.target);
  server = await startServerProcess({ DATABASE_URL: database, MASTER_KEY: KEY, JWT_SECRET: KEY });
  const client = await login(server);
  const made = await client.call<{ key: string }>("POST", "/v1/api-keys", { name: "test", role: "editor" });
  apiKey = made.body.key;
});

afterAll(async () => {
  await server?.end("SIGTERM");
  await db?.drop();
});

function connections(): Record<"http" | "database", HookshotOptions> {
  return { http: { url: server.url, apiKey }, database: { db: partsOf(db.target) } };
}

function partsOf(target: object): object {
  if ("url" in target) throw new Error("the tests' Postgres is given in parts");
  return target;
}

async function failure(promise: Promise<unknown>): Promise<HookshotError> {
  const error = await promise.then(
    () => new Error("it succeeded"),
    (thrown: unknown) => thrown,
  );
  if (error instanceof HookshotError) return error;
  throw error;
}

async function using<T>(hookshot: Hookshot, work: (hookshot: Hookshot) => Promise<T>): Promise<T> {
  try {
    return await work(hookshot);
  } finally {
    await hookshot.close();
  }
}

describe.each(["http", "database"] as const)("over %s", (way) => {
  const open = <T>(work: (hookshot: Hookshot) => Promise<T>) => using(new Hookshot(connections()[way]), work);

  test("a webhook arrives as it was given, under its id, and is told as delivered", async () => {
    const receiver = startReceiver();
    await open(async (hookshot) => {
      const payload = { text: 'ä "quoted" \u2028', list: [1, 2.5, null] };
      const { id } = await hookshot.sendWebhook(receiver.url, payload, {
        type: "order.paid",
        headers: { "X-Team": "a" },
      });
      const status = await hookshot.wait(id);
      const [received] = receiver.received;
      expect(received?.body).toBe(JSON.stringify(payload));
      expect(received?.headers).toMatchObject({ "webhook-id": id, "x-deltahook-event": "order.paid", "x-team": "a" });
      expect(status).toMatchObject({ id, status: "delivered" });
      expect(status.deliveries).toMatchObject([{ url: receiver.url, status: "delivered", tries: 1, lastStatus: 200 }]);
      expect(await hookshot.status(id)).toEqual(status);
    });
    receiver.stop();
  });

  test("a policy of one's own ends as a dead letter after its last try", async () => {
    const receiver = startReceiver(() => new Response("no", { status: 500 }));
    await open(async (hookshot) => {
      const { id } = await hookshot.sendWebhook(receiver.url, {}, { retry: { attempts: 2, first: "10ms" } });
      expect(await hookshot.wait(id)).toMatchObject({ status: "dead", deliveries: [{ tries: 2, lastStatus: 500 }] });
    });
    expect(receiver.received).toHaveLength(2);
    receiver.stop();
  });

  test("a timeout and a term for dead letters of one's own hold, given to all sends or to one", async () => {
    const slow = startReceiver(() => new Promise(() => {}));
    const options = { ...connections()[way], retry: { delays: [] }, timeout: "200ms", deadLetterRetention: "2h" };
    await using(new Hookshot(options as HookshotOptions), async (hookshot) => {
      const { id } = await hookshot.sendWebhook(slow.url, {}, { deadLetterRetention: "1h" });
      const { status, deliveries } = await hookshot.wait(id);
      expect(status).toBe("dead");
      expect(deliveries[0]?.lastError).toContain("200ms");
      const { sql } = db.database;
      const kept = sql<{ id: string }[]>`
        select 'evt_' || replace(event_id::text, '-', '') as id from deltahook.dead_letters where target->>'url' = ${slow.url}`;
      expect((await kept).map((row) => row.id)).toEqual([id]);
      await sql`update deltahook.dead_letters set died_at = now() - interval '59 minutes' where target->>'url' = ${slow.url}`;
      expect(await pruneDeadLetters(sql, new Date(0), 100)).toBe(0);
      await sql`update deltahook.dead_letters set died_at = now() - interval '61 minutes' where target->>'url' = ${slow.url}`;
      expect(await pruneDeadLetters(sql, new Date(0), 100)).toBe(1);
    });
    slow.stop();
  });

  test("the same idempotency key sends once, and with another payload is a conflict", async () => {
    const receiver = startReceiver();
    const idempotencyKey = `${way}-once`;
    await open(async (hookshot) => {
      const first = await hookshot.sendWebhook(receiver.url, { a: 1 }, { idempotencyKey });
      const second = await hookshot.sendWebhook(receiver.url, { a: 1 }, { idempotencyKey });
      expect(second.id).toBe(first.id);
      expect((await hookshot.wait(first.id)).deliveries).toHaveLength(1);
      const error = await failure(hookshot.sendWebhook(receiver.url, { a: 2 }, { idempotencyKey }));
      expect(error.code).toBe("conflict");
      expect(error.message).toContain(idempotencyKey);
    });
    expect(receiver.received).toHaveLength(1);
    receiver.stop();
  });

  test("an event goes to those who subscribe to it, in the envelope; without any it is unclaimed", async () => {
    const receiver = startReceiver();
    const admin = await login(server);
    const endpoint = { name: way, url: receiver.url, event_types: [`${way}.*`] };
    const made = await admin.call<{ id: string }>("POST", "/v1/endpoints", endpoint);
    expect(made.status).toBe(201);
    await open(async (hookshot) => {
      const { id } = await hookshot.send(`${way}.paid`, { order: 42 });
      expect((await hookshot.wait(id)).status).toBe("delivered");
      const body = JSON.parse(receiver.received[0]?.body ?? "");
      expect(body).toMatchObject({ type: `${way}.paid`, data: { order: 42 } });
      const nobodys = await hookshot.send("nobody.cares", {});
      expect(await hookshot.wait(nobodys.id)).toEqual({ id: nobodys.id, status: "unclaimed", deliveries: [] });
    });
    await admin.call("DELETE", `/v1/endpoints/${made.body.id}`);
    receiver.stop();
  });

  test("what cannot be sent is refused with the reason", async () => {
    await open(async (hookshot) => {
      const refusals: [() => Promise<unknown>, string][] = [
        [() => hookshot.send("endpoint.paused", {}), "DeltaHook itself"],
        [() => hookshot.sendWebhook("ftp://example.com", {}), "http"],
        [() => hookshot.sendWebhook("https://example.com", {}, { retry: { attempts: 99 } }), "50"],
        [
          () => hookshot.sendWebhook("https://example.com", {}, { headers: { "webhook-id": "x" } }),
          "set by DeltaHook itself",
        ],
        [() => hookshot.sendWebhook("https://example.com", {}, { timeout: "1h" }), "from 100ms to 5m"],
        [() => hookshot.sendWebhook("https://example.com", undefined), "JSON cannot express"],
      ];
      for (const [send, reason] of refusals) {
        const error = await failure(send());
        expect(error.code).toBe("invalid");
        expect(error.message).toContain(reason);
      }
      expect((await failure(hookshot.status("evt_00000000000000000000000000000000"))).code).toBe("not_found");
      expect((await failure(hookshot.status("nonsense"))).code).toBe("not_found");
    });
  });

  test("waiting ends at its own time, while the webhook stays owed", async () => {
    const receiver = startReceiver(() => new Response("later", { status: 500 }));
    await open(async (hookshot) => {
      const { id } = await hookshot.sendWebhook(receiver.url, {}, { retry: { delays: ["1h"] } });
      const error = await failure(hookshot.wait(id, { timeout: "1s" }));
      expect(error.code).toBe("timeout");
      expect((await hookshot.status(id)).status).toBe("pending");
    });
    receiver.stop();
  });
});

describe("over HTTP", () => {
  /** Stands between client and server and spoils the first answers in the ways given; the requests all go through. */
  async function startSpoiler(ways: ("pass" | "reset" | number)[]) {
    let asked = 0;
    const proxy = createServer(async (request, response) => {
      const way = ways[asked++] ?? "pass";
      const answer = await fetch(`${server.url}${request.url}`, {
        method: request.method ?? "GET",
        headers: { authorization: `Bearer ${apiKey}`, "content-type": "application/json" },
        ...(request.method === "POST" ? { body: await text(request) } : {}),
      });
      const said = await answer.text();
      if (way === "reset") request.socket.destroy();
      else if (way === "pass") response.writeHead(answer.status).end(said);
      else response.writeHead(way, { "retry-after": "0" }).end("busy");
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const { port } = proxy.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}`, asked: () => asked, stop: () => proxy.close() };
  }

  test("a submit whose answer is lost or refused for now is tried again, and sends once", async () => {
    const receiver = startReceiver();
    const spoiler = await startSpoiler(["reset", 503, 429, 500]);
    await using(new Hookshot({ url: spoiler.url, apiKey }), async (hookshot) => {
      const { id } = await hookshot.sendWebhook(receiver.url, { a: 1 });
      expect(spoiler.asked()).toBe(5);
      await hookshot.wait(id);
    });
    const count = await db.database.sql`select from deltahook.events where target->>'url' = ${receiver.url}`;
    expect(count).toHaveLength(1);
    expect(receiver.received).toHaveLength(1);
    spoiler.stop();
    receiver.stop();
  });

  test("waiting ends at its own time also when the server has gone away meanwhile", async () => {
    const spoiler = await startSpoiler(["pass", "pass", ...Array<"reset">(100).fill("reset")]);
    await using(new Hookshot({ url: spoiler.url, apiKey }), async (hookshot) => {
      const { id } = await hookshot.sendWebhook("http://127.0.0.1:4999/", {}, { retry: { delays: ["1h"] } });
      const error = await failure(hookshot.wait(id, { timeout: "1s" }));
      expect(error).toMatchObject({ code: "timeout", cause: { code: "unavailable" } });
    });
    spoiler.stop();
  });

  test("a server that stays away is given up, saying so", async () => {
    await using(new Hookshot({ url: "http://127.0.0.1:9", apiKey }), async (hookshot) => {
      const error = await failure(hookshot.wait("evt_1", { timeout: "400ms" }));
      expect(error).toMatchObject({ code: "unavailable" });
      expect(error.message).toContain("does not answer");
    });
  });

  test("an address where something else answers is refused with the question whether it is right", async () => {
    const other = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("<html>Sign in</html>") });
    const error = await failure(new Hookshot({ url: `http://127.0.0.1:${other.port}`, apiKey }).send("a", {}));
    expect(error.code).toBe("invalid");
    expect(error.message).toContain("Is the url right?");
    await other.stop(true);
  });

  test("a wrong key is refused at once", async () => {
    const error = await failure(new Hookshot({ url: server.url, apiKey: "dhk_wrong" }).send("a", {}));
    expect(error).toMatchObject({ code: "refused", status: 401 });
  });
});

describe("over the database", () => {
  test("a connection that is cut is opened again, and the call goes on", async () => {
    await using(new Hookshot(connections().database), async (hookshot) => {
      await hookshot.send("cut.before", {});
      await db.database.sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = 'hookshot' and datname = current_database()`;
      expect((await hookshot.send("cut.after", {})).id).toStartWith("evt_");
    });
  });

  test("a credential as a header is refused, since it could not be sealed", async () => {
    await using(new Hookshot(connections().database), async (hookshot) => {
      const headers = { Authorization: "Bearer secret" };
      const error = await failure(hookshot.sendWebhook("https://example.com/", {}, { headers }));
      expect(error.code).toBe("invalid");
      expect(error.message).toContain("over HTTP");
      expect((await failure(hookshot.send("a", {}, { endpointIds: ["ep_1"] }))).message).toContain("{ url, apiKey }");
    });
  });

  test("a user who is a member of deltahook_sender needs no other right, and has none", async () => {
    const user = `sender_${crypto.randomUUID().slice(0, 8)}`;
    const { sql } = db.database;
    await sql.unsafe(`create role ${user} login in role deltahook_sender`);
    try {
      await using(new Hookshot({ db: { ...partsOf(db.target), user } }), async (hookshot) => {
        const { id } = await hookshot.sendWebhook("http://127.0.0.1:9/", {}, { retry: { delays: [] } });
        expect((await hookshot.wait(id)).status).toBe("dead");
      });
      const refused = await sql
        .begin(async (tx) => {
          await tx.unsafe(`set local role ${user}`);
          await tx`select * from deltahook.events`;
        })
        .catch((error: { code: string }) => error.code);
      expect(refused).toBe("42501");
    } finally {
      await sql.unsafe(`drop role ${user}`);
    }
  });

  test("deltahook.send_to joins the caller's transaction: rolled back, nothing was ever sent", async () => {
    const receiver = startReceiver();
    const { sql } = db.database;
    await sql
      .begin(async (tx) => {
        await tx`select deltahook.send_to(${receiver.url}, '{"a":1}')`;
        throw new Error("undo");
      })
      .catch(() => {});
    const [row] = await sql<{ id: string }[]>`select deltahook.send_to(${receiver.url}, '{"b":1.0}') as id`;
    await receiver.arrived(1);
    expect(receiver.received.map(({ id, body }) => [id, body])).toEqual([[row?.id ?? "", '{"b":1.0}']]);
    receiver.stop();
  });
});

describe("options that cannot be used are refused by", () => {
  const table: [string, unknown, string][] = [
    ["naming both ways", { url: "http://a", apiKey: "k", db: "postgres://a" }, "either { url, apiKey } or { db }"],
    ["naming none", {}, "either { url, apiKey } or { db }"],
    ["an address that is none", { url: "localhost:8080", apiKey: "k" }, "http://localhost:8080"],
    ["a missing key", { url: "http://a" }, "deltahook keys create"],
    ["an unknown name", { url: "http://a", apiKey: "k", retries: 3 }, "no option retries"],
    ["a timeout that is none", { url: "http://a", apiKey: "k", timeout: "soon" }, "write a duration"],
  ];
  test.each(table)("%s", (_, options, says) => {
    expect(() => new Hookshot(options as HookshotOptions)).toThrow(says);
  });
});
