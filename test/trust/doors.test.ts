import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer, type Server } from "node:net";
import { addEndpoint } from "../support/engine.ts";
import { until } from "../support/flow.ts";
import { FORBIDDEN_HOSTS, FORBIDDEN_NAMES } from "./forbidden_hosts.ts";
import { type WholeApp, wholeApp } from "./whole_app.ts";

const NAMES = Object.keys(FORBIDDEN_NAMES);
const REFUSED = "ALLOWED_NETWORKS";

let canary: Server;
let connections = 0;
/** Where something would answer, at every address that this machine has. */
let port = 0;
let redirecting: Bun.Server<undefined>;
let app: WholeApp;
let watchId: string;

beforeAll(async () => {
  canary = createServer((socket) => {
    connections++;
    socket.end('HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"a":"b"}');
  });
  port = await new Promise<number>((resolve) => {
    canary.listen(0, () => {
      const address = canary.address();
      resolve(typeof address === "object" ? (address?.port ?? 0) : 0);
    });
  });
  redirecting = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) =>
      new Response(null, { status: 302, headers: { location: new URL(request.url).searchParams.get("to") ?? "" } }),
  });
  app = await wholeApp({
    // One source is open, by its port: what it redirects to is not.
    allowed: [`127.0.0.1:${redirecting.port}`],
    names: FORBIDDEN_NAMES,
    work: true,
    masterKey: "a master key for tests, long enough",
  });
  watchId = await made("/v1/watches", watchOf("https://loopback.example/"));
});
afterAll(async () => {
  await app.close();
  await redirecting.stop(true);
  canary.close();
});

const urlTo = (host: string) => `http://${host}:${port}/x`;
const watchOf = (url: string, secret_id: string | null = null) => ({
  name: "w",
  request: { url },
  secret_id,
  schedule: { every: "1d" },
  fields: { a: "$.a" },
});

async function made(path: string, body: unknown): Promise<string> {
  const { status, json, text } = await app.call("POST", path, body);
  expect([path, status < 300, text]).toEqual([path, true, text]);
  return json.id;
}

/** Which spellings were not refused by the sentence that names the remedy, and what was said instead. */
async function notRefused(urls: readonly string[], ask: (url: string) => Promise<string>): Promise<string[]> {
  const others: string[] = [];
  for (const url of urls) {
    const said = await ask(url);
    if (!said.includes(REFUSED)) others.push(`${url}: ${said}`);
  }
  return others;
}

const hosts = () => FORBIDDEN_HOSTS.map(urlTo);
const names = () => NAMES.map(urlTo);

async function problemsOf(watch: object): Promise<string> {
  const { json, text } = await app.call("POST", "/v1/watches/preview", watch);
  return json.problems?.join(" ") ?? text;
}

describe("nothing is sent to an address that is not public", () => {
  test("there are at least 80 spellings", () => {
    expect(new Set([...FORBIDDEN_HOSTS, ...NAMES]).size).toBeGreaterThanOrEqual(80);
  });

  // What can be told from the URL is refused when it is saved.
  const saved: [door: string, path: string, bodyOf: (url: string) => object][] = [
    ["watch", "/v1/watches", (url) => watchOf(url)],
    ["watch in a batch", "/v1/watches/batch", (url) => ({ watches: [watchOf(url)] })],
    ["watch preview", "/v1/watches/preview", (url) => watchOf(url)],
    ["endpoint", "/v1/endpoints", (url) => ({ url })],
    ["direct send", "/v1/events", (url) => ({ type: "a.b", data: {}, url })],
    ["direct send in a batch", "/v1/events/batch", (url) => ({ events: [{ type: "a.b", data: {}, url }] })],
    ["OAuth2 token_url", "/v1/secrets", (url) => oauth(url)],
  ];
  test.each(saved)("saving: %s", async (_door, path, bodyOf) => {
    const others = await notRefused(hosts(), async (url) => {
      const { status, text } = await app.call("POST", path, bodyOf(url));
      return status === 422 ? text : `${status} ${text}`;
    });
    expect(others).toEqual([]);
  });

  test("changing: watch, endpoint, OAuth2 token_url", async () => {
    const endpoint = await made("/v1/endpoints", { url: "https://receiver.example/" });
    const secret = await made("/v1/secrets", { ...oauth("https://tokens.example/"), name: "to be changed" });
    const patches: [path: string, patchOf: (url: string) => object][] = [
      [`/v1/watches/${watchId}`, (url) => ({ request: { url } })],
      [`/v1/endpoints/${endpoint}`, (url) => ({ url })],
      [`/v1/secrets/${secret}`, (url) => ({ value: { token_url: url } })],
    ];
    for (const [path, patchOf] of patches) {
      expect(await notRefused(hosts(), async (url) => (await app.call("PATCH", path, patchOf(url))).text)).toEqual([]);
    }
  });

  // What was saved before, or by name, is refused when it is sent.
  test("sending: poll", async () => {
    const others = await notRefused([...hosts(), ...names()], async (url) => {
      await app.database.sql`
        update deltahook.watches set revision = revision + 1,
          definition = jsonb_set(definition::jsonb, '{request,url}', to_jsonb(${url}::text))::json`;
      return (await app.call("POST", `/v1/watches/${watchId}/poll`)).text;
    });
    expect(others).toEqual([]);
  });

  test("sending: preview", async () => {
    expect(await notRefused(names(), (url) => problemsOf(watchOf(url)))).toEqual([]);
  });

  test("sending: target of a redirect", async () => {
    const at = (url: string) => `http://127.0.0.1:${redirecting.port}/?to=${encodeURIComponent(url)}`;
    // A Location field holds no more than ASCII (RFC 9110, section 5.5).
    const urls = [...hosts(), ...names()].filter((url) => /^[\x21-\x7e]+$/.test(url)).map(at);
    expect(urls.length).toBeGreaterThanOrEqual(80);
    expect(await notRefused(urls, (url) => problemsOf(watchOf(url)))).toEqual([]);
  });

  test("sending: OAuth2 token_url", async () => {
    const secret = await made("/v1/secrets", oauth("https://tokens.example/"));
    const others = await notRefused(names(), async (token_url) => {
      await app.call("PATCH", `/v1/secrets/${secret}`, { value: { token_url } });
      return problemsOf(watchOf("https://93.184.216.34/", secret));
    });
    expect(others).toEqual([]);
  });

  test("sending: delivery, test, probe of a failing endpoint", async () => {
    const { sql } = app.database;
    const urls = [...hosts(), ...names()];
    await sql`update deltahook.endpoints set event_types = '{}'`;
    for (const url of urls) await addEndpoint(app.database, { url, retry: [], eventTypes: ["door.*"] });
    const errors = async (probe: boolean) => {
      const rows = await sql<{ url: string; error: string }[]>`
        select url, coalesce(error, 'no error') as error from deltahook.attempts where probe = ${probe}`;
      return new Map(rows.map(({ url, error }) => [url, error]));
    };
    const allTried = (probe: boolean) => async () => (await errors(probe)).size >= urls.length;
    const refused = async (probe: boolean) => {
      const said = await errors(probe);
      return notRefused(urls, async (url) => said.get(url) ?? "was not tried");
    };

    await made("/v1/events", { type: "door.delivery", data: {} });
    await until(allTried(false), "a try of each", 15_000);
    expect(await refused(false)).toEqual([]);

    const { json } = await app.call("GET", "/v1/endpoints?limit=200");
    for (const { id } of json.data.slice(0, 30)) {
      expect((await app.call("POST", `/v1/endpoints/${id}/test`)).json.attempt.error).toContain(REFUSED);
    }

    await sql`
      update deltahook.endpoint_health set paused_reason = 'failing', paused_since = now(), has_parked = true,
        probe_at = now() + interval '500 milliseconds'`;
    await made("/v1/events", { type: "door.probe", data: {} });
    await until(allTried(true), "a probe of each", 15_000);
    expect(await refused(true)).toEqual([]);
  }, 40_000);

  test("sending: direct send", async () => {
    for (const url of names()) await made("/v1/events", { type: "direct.send", data: {}, url, retry: { delays: [] } });
    const tried = () => app.database.sql<{ url: string; error: string | null }[]>`
      select attempt.url, attempt.error from deltahook.attempts attempt
      join deltahook.deliveries delivery on delivery.id = attempt.delivery_id
      join deltahook.events event on event.id = delivery.event_id where event.type = 'direct.send'`;
    await until(async () => (await tried()).length === NAMES.length, "a try of each", 15_000);
    for (const { url, error } of await tried()) expect([url, error]).toEqual([url, expect.stringContaining(REFUSED)]);
  });

  test("and in all of this nobody has come by", () => {
    expect(connections).toBe(0);
  });
});

test("the canary would have sung: an address of its own, once it is allowed, is reached", async () => {
  const open = await wholeApp({ allowed: [`127.0.0.1:${port}`], names: {} });
  try {
    const { json } = await open.call("POST", "/v1/watches/preview", watchOf(`http://0x7f.1:${port}/`));
    expect(json.fields).toEqual({ a: { value: "b" } });
    expect(connections).toBe(1);
  } finally {
    await open.close();
  }
});

let secrets = 0;
function oauth(token_url: string) {
  const value = { token_url, client_id: "id", client_secret: "secret" };
  return { name: `oauth ${secrets++}`, kind: "oauth2_client_credentials", value };
}
