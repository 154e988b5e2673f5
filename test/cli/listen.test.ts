import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { connectionString } from "../../src/platform/database.ts";
import { testDatabase } from "../support/database.ts";
import { startReceiver } from "../support/receiver.ts";
import { type Client, eventually, login, type ServerProcess, startServerProcess } from "../support/server.ts";

const MAIN = join(import.meta.dir, "../../src/cli/main.ts");
const KEY = "k".repeat(40);

type Line = Record<string, unknown> & {
  event: string;
  secret: string;
  webhook_id: string;
  headers: Record<string, string>;
};

let db: Awaited<ReturnType<typeof testDatabase>>;
let env: Record<string, string>;
/** One node holds the streams, the other delivers. */
let web: ServerProcess;
let worker: ServerProcess;
let api: Client;
let key: string;
const children: Bun.Subprocess[] = [];

beforeAll(async () => {
  db = await testDatabase();
  env = { DATABASE_URL: connectionString(db.target), MASTER_KEY: KEY, JWT_SECRET: KEY };
  [web, worker] = await Promise.all([
    startServerProcess({ ...env, ROLE: "web" }),
    startServerProcess({ ...env, ROLE: "worker" }),
  ]);
  api = await login(web);
  key = await keyOf("editor");
});
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});
afterAll(async () => {
  await Promise.all([web?.end("SIGTERM"), worker?.end("SIGTERM")]);
  await db?.drop();
});

async function keyOf(role: string): Promise<string> {
  return (await api.call<{ key: string }>("POST", "/v1/api-keys", { name: role, role })).body.key;
}

/** The command as a user runs it; `next` waits for the line after those that were read. */
function deltahook(words: string[], more: Record<string, string> = {}) {
  const child = Bun.spawn([process.execPath, MAIN, ...words], {
    env: { PATH: process.env.PATH ?? "", ...more },
    stdout: "pipe",
    stderr: "pipe",
  });
  children.push(child);
  const lines = linesOf(child.stdout);
  const err = new Response(child.stderr).text();
  return {
    async next(): Promise<string> {
      const { value, done } = await lines.next();
      if (done) throw new Error(`it ended: ${await err}`);
      return value;
    },
    async end(signal?: "SIGINT"): Promise<{ code: number; err: string }> {
      if (signal) child.kill(signal);
      return { code: await child.exited, err: (await err).trim() };
    },
  };
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const part of stream) {
    const parts = (rest + decoder.decode(part, { stream: true })).split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
}

async function listening(words: string[], more: Record<string, string>) {
  const command = deltahook(["listen", "--json", ...words], more);
  const next = async () => JSON.parse(await command.next()) as Line;
  return { ...command, next, ready: await next() };
}

/** The commands that docs/listen.md tells people to run: the words of each after `listen`. */
const DOCUMENTED = readFileSync(join(import.meta.dir, "../../docs/listen.md"), "utf8")
  .split("\n")
  .flatMap((line) => /^npm run deltahook -- listen (.*)$/.exec(line)?.[1] ?? [])
  .map((words) => words.replaceAll("'", "").split(" "));
const documented = (nth: number, real: Record<string, string>) =>
  (DOCUMENTED[nth] ?? []).map((word) => real[word] ?? word);

const named = () => ({ HOOKSHOT_URL: web.url, HOOKSHOT_API_KEY: key });
const send = async (type: string, data = '{"n":1}') =>
  (await api.call<{ id: string; deliveries: number }>("POST", "/v1/events", `{"type":"${type}","data":${data}}`)).body;

type Delivery = {
  status: string;
  attempts: { outcome: string; error: string | null; response: { status: number; body: string } | null }[];
};
/** The one delivery of an event, once it has ended. */
async function outcomeOf(event: string): Promise<Delivery> {
  const list = await api.call<{ data: { id: string }[] }>("GET", `/v1/events/${event}/deliveries`);
  const id = list.body.data[0]?.id;
  const ask = async () => (await api.call<Delivery>("GET", `/v1/deliveries/${id}`)).body;
  return eventually(ask, ({ status }) => status !== "pending");
}

test("bytes and signature reach a local receiver unchanged, and its answer comes back as the attempt's", async () => {
  const receiver = startReceiver(() => new Response("busy", { status: 503 }));
  const real = { "https://hooks.example.com": web.url, "dhk_…": key, "order.*": "shop.*" };
  const command = await listening([...documented(1, real), "--forward-to", receiver.url], {});
  const data = `{"n": 1.0, "big": 12345678901234567890, "text": "é\\u0000", "long": "${"x".repeat(200_000)}"}`;
  const { id, deliveries } = await send("shop.opened", data);
  expect(deliveries).toBe(1);
  expect((await send("other.type")).deliveries).toBe(0);
  const line = await command.next();
  expect(line).toMatchObject({ event: "delivery", type: "shop.opened", webhook_id: id, verified: true, status: 503 });

  const [received] = receiver.received;
  expect(received?.body.includes(`"data":${data}`)).toBe(true);
  expect(received?.body === line.body).toBe(true);
  expect(received?.headers).toMatchObject(line.headers);
  new Webhook(command.ready.secret).verify(received?.body ?? "", received?.headers ?? {});

  const { status, attempts } = await outcomeOf(id);
  expect(status).toBe("cancelled");
  expect(attempts).toMatchObject([{ outcome: "failed", response: { status: 503, body: "busy" } }]);
  expect(await command.end("SIGINT")).toEqual({ code: 0, err: "" });
  expect((await send("shop.closed")).deliveries).toBe(0);
  await receiver.stop();
}, 30_000);

test("an address that refuses is told on both sides", async () => {
  const closed = startReceiver();
  await closed.stop();
  const command = await listening(["--events", "a.*", "--forward-to", closed.url], named());
  const { id } = await send("a.b");
  const refused = expect.stringContaining(`${new URL(closed.url).host} refuses connections`);
  expect(await command.next()).toMatchObject({ verified: true, status: null, error: refused });
  expect((await outcomeOf(id)).attempts).toMatchObject([{ error: refused, response: null }]);
  expect((await command.end("SIGINT")).code).toBe(0);
}, 30_000);

test("on the server's own machine it needs no key, and leaves none behind; lines are for people", async () => {
  const receiver = startReceiver();
  const words = documented(0, { "http://localhost:3000/hooks": receiver.url });
  const command = deltahook(["listen", ...words], { ...env, PORT: new URL(web.url).port });
  expect(await command.next()).toBe(`Listening to ${web.url} for *, forwarded to ${receiver.url}. Ctrl-C ends it.`);
  expect(await command.next()).toMatch(/^Signing secret: whsec_/);
  const keys = async () => {
    const { body } = await api.call<{ data: { name: string }[] }>("GET", "/v1/api-keys");
    return body.data.filter(({ name }) => name === "deltahook listen").length;
  };
  expect(await keys()).toBe(1);
  const { id } = await send("b.c");
  expect(await command.next()).toMatch(new RegExp(`^[\\d:.]{12}  b\\.c  ${id}  verified  200  \\d+ ms$`));
  expect((await outcomeOf(id)).status).toBe("delivered");
  expect(await command.end("SIGINT")).toEqual({ code: 0, err: "" });
  expect(await keys()).toBe(0);
  const listeners = await api.call<{ data: unknown[] }>("GET", "/v1/endpoints?kind=listen");
  expect(listeners.body.data).toEqual([]);
  await receiver.stop();
}, 30_000);

test("when its server is killed and comes back, it goes on as the same listener, and nothing is lost", async () => {
  const { port } = new URL(web.url);
  const command = await listening(["--events", "c.*"], named());
  await web.end("SIGKILL");
  // The worker is told in SQL what the API cannot tell now.
  const [sent] = await db.database.sql<{ id: string }[]>`select deltahook.send('c.d', '{"n":1}') as id`;
  web = await startServerProcess({ ...env, ROLE: "web", PORT: port });
  expect(await command.next()).toMatchObject({ event: "delivery", webhook_id: sent?.id, verified: true });
  expect((await outcomeOf(sent?.id ?? "")).status).toBe("delivered");
  const { code, err } = await command.end("SIGINT");
  expect([code, err]).toEqual([0, expect.stringContaining("Connecting again in")]);
}, 30_000);

test("the page names the options that there are", async () => {
  expect(DOCUMENTED).toHaveLength(2);
  const page = readFileSync(join(import.meta.dir, "../../docs/listen.md"), "utf8");
  const named = [...page.matchAll(/^\| (`--.*?`) \|/gm)].flatMap(([, cell]) => cell?.match(/--[a-z-]+/g) ?? []);
  const help = await new Response(
    Bun.spawn([process.execPath, MAIN, "listen", "--help"], { stdout: "pipe" }).stdout,
  ).text();
  const offered = [...help.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, option]) => option);
  expect(named.sort()).toEqual(offered.sort() as string[]);
});

describe("what cannot be is told in a sentence:", () => {
  const table: [name: string, words: string[], more: () => Record<string, string>, says: string, code: number][] = [
    ["a wrong key", [], () => ({ ...named(), HOOKSHOT_API_KEY: "dhk_wrong" }), "API key", 1],
    ["a type that is none", ["--events", "a b"], named, "must be an event type", 1],
    ["no server", ["--server", "http://127.0.0.1:9", "--api-key", "x"], () => ({}), "No server answers at", 1],
    ["no server on this machine", [], () => ({ ...env, PORT: "9" }), "deltahook serve", 1],
    ["a server without a key", ["--server", "http://127.0.0.1:9"], () => ({}), "--api-key", 2],
    ["an address to forward to", ["--forward-to", "localhost:3000"], named, "--forward-to localhost:3000:", 2],
    ["an address of the server", ["--server", "here"], named, "http or https", 2],
  ];
  test.each(table)("%s", async (_name, words, more, says, code) => {
    const ended = await deltahook(["listen", ...words], more()).end();
    expect(ended).toEqual({ code, err: expect.stringContaining(says) });
    expect(ended.err).not.toMatch(/\n\s+at /);
  });

  test("a key that may only read", async () => {
    const more = { ...named(), HOOKSHOT_API_KEY: await keyOf("viewer") };
    const { code, err } = await deltahook(["listen"], more).end();
    expect([code, err]).toEqual([1, expect.stringContaining("has the role viewer; this needs editor")]);
  });
});
