import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Called } from "../http/support.ts";
import { until } from "../support/flow.ts";
import { sayBack } from "./says_back.ts";
import { type WholeApp, wholeApp } from "./whole_app.ts";

/** Every secret value carries the mark, and characters that each way of writing it spells differently. */
const MARK = "PLANTED";
const planted: string[] = [];
function plant(name: string): string {
  const value = `${MARK}+${name}/"&=%${crypto.randomUUID()}`;
  planted.push(value);
  return value;
}

const MASTER_KEY = plant("master-key");
const JWT_SECRET = plant("jwt-secret");
const TOKEN = `${MARK}-token-${crypto.randomUUID()}`;
const PASSWORD = plant("password");
const WRONG_PASSWORD = plant("wrong-password");

/** Shows all that it is told to whoever the endpoint is. */
const TELLTALE = `import { definePlugin } from "deltahook/plugin";
export default definePlugin({ name: "telltale", transform(event, context) { return { body: { event, context, env: process?.env ?? null } }; } });`;

let app: WholeApp;
let source: Bun.Server<undefined>;
let other: Bun.Server<undefined>;
/** All that the API and the pages have answered, but for the few answers whose purpose is to show a secret once. */
const answers: string[] = [];
/** Bodies that the telltale plugin made. */
const told: string[] = [];
const saying = { mark: MARK, token: TOKEN, elsewhere: () => other.port ?? 0, told: (body: string) => told.push(body) };

beforeAll(async () => {
  other = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: (request) => sayBack(request, saying) });
  source = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: (request) => sayBack(request, saying) });
  app = await wholeApp({
    allowed: ["127.0.0.0/8"],
    work: true,
    masterKey: MASTER_KEY,
    jwtSecret: JWT_SECRET,
    plugins: { "telltale.ts": TELLTALE },
  });
});
afterAll(async () => {
  await app.close();
  await source.stop(true);
  await other.stop(true);
});

async function call(method: string, path: string, body?: unknown, shows = true): Promise<Called> {
  const answer = await app.call(method, path, body);
  if (shows) answers.push(`${method} ${path} → ${answer.status} ${JSON.stringify([...answer.headers])} ${answer.text}`);
  return answer;
}

async function made(path: string, body: unknown): Promise<string> {
  const { status, json, text } = await call("POST", path, body);
  expect([path, status < 300, text]).toEqual([path, true, text]);
  return json.id;
}

/** Of each kind one. */
async function plantSecrets(): Promise<string[]> {
  const at = `http://127.0.0.1:${source.port}`;
  const oauth = (path: string) => ({ token_url: `${at}/${path}`, client_id: "client", client_secret: plant(path) });
  const values: [kind: string, value: unknown][] = [
    ["bearer", plant("bearer")],
    ["basic", { username: "user", password: plant("basic") }],
    ["header", { name: "x-own", value: plant("header") }],
    ["query", { name: "key", value: plant("query") }],
    ["oauth2_client_credentials", oauth("token")],
    ["oauth2_client_credentials", oauth("refusal")],
  ];
  const ids: string[] = [];
  for (const [n, [kind, value]] of values.entries())
    ids.push(await made("/v1/secrets", { name: `s${n}`, kind, value }));
  planted.push(TOKEN);
  for (const id of ids.slice(0, 1)) await call("PATCH", `/v1/secrets/${id}`, { value: plant("bearer-changed") });
  return ids;
}

/** What is refused must not be said back either. */
async function sendFaultyOnes(): Promise<void> {
  const value = plant("faulty");
  for (const body of [
    { name: "f", kind: "bearer", value: { token: value } },
    { name: "f", kind: "header", value: { name: "x", value: `${value}\n` } },
    { name: "f", kind: "basic", value: { username: `a:${value}`, password: value } },
    {
      name: "f",
      kind: value
        .slice(0, 8)
        .toLowerCase()
        .replace(/planted./, "odd"),
      value,
    },
    { name: "s0", kind: "bearer", value },
  ]) {
    expect((await call("POST", "/v1/secrets", body)).status).toBeWithin(400, 423);
  }
  await call("POST", "/v1/secrets", `{"name":"f","kind":"bearer","value":"${MARK}`);
  await call("POST", "/v1/auth/login", { email: "a@example.com", password: WRONG_PASSWORD });
  await call("POST", "/v1/users", { email: "short@example.com", role: "viewer", password: WRONG_PASSWORD.repeat(9) });
  await call("GET", "/v1/users", undefined);
  const stranger = await app.call("GET", "/v1/users", undefined, { headers: { authorization: `Bearer dhk_${MARK}` } });
  answers.push(stranger.text);
}

const SAYINGS = ["plain", "say/200", "say/500", "say/401", "graphql", "redirect", "across/200", "across/500", "link"];

async function watchAndPreview(secrets: readonly string[]): Promise<void> {
  for (const secret_id of [...secrets, null]) {
    for (const [n, path] of SAYINGS.entries()) {
      const watch = {
        name: `w${n}`,
        request: {
          url: `http://127.0.0.1:${source.port}/${path}`,
          headers: { "x-api-key": planted.at(-1) ?? "" },
        },
        secret_id,
        schedule: { every: "1d" },
        fields: { a: "$.a" },
        ...(path === "link"
          ? {
              fields: {},
              items: { path: "$.list[*]", key: "$.id", fields: { id: "$.id" } },
              pagination: { type: "link" },
            }
          : {}),
      };
      expect((await call("POST", "/v1/watches/preview", watch)).status).toBe(200);
      const id = await made("/v1/watches", watch);
      await until(async () => (await app.call("GET", `/v1/watches/${id}`)).json.last_poll !== null, "the first poll");
      await call("POST", `/v1/watches/${id}/poll`);
      await call("POST", `/v1/watches/${id}/backtest`, {});
      for (const part of ["", "/polls", "/state"]) await call("GET", `/v1/watches/${id}${part}`);
    }
  }
}

async function deliver(secrets: readonly string[]): Promise<void> {
  const at = (path: string) => `http://127.0.0.1:${source.port}/${path}`;
  const headers = () => ({
    authorization: `Bearer ${plant("authorization").replaceAll(/[^\w-]/g, "-")}`,
    "x-api-key": planted.at(-1) ?? "",
    cookie: `session=${plant("cookie").replaceAll(/[^\w-]/g, "-")}; path=/`,
  });
  for (const path of ["say/200", "say/500", "say/410", "redirect", "across/200", "across/500", "refused"]) {
    for (const secret_id of [...secrets, null]) {
      // What is owed to an endpoint that said 410 would wait for ever.
      const event_types = path === "say/410" ? ["none"] : ["*"];
      const endpoint = { url: at(path), secret_id, event_types, retry: { delays: [] }, auto_pause: false };
      const id = await made("/v1/endpoints", secret_id === null ? { ...endpoint, headers: headers() } : endpoint);
      expect((await call("POST", `/v1/endpoints/${id}/test`)).status).toBe(200);
    }
    const direct = { type: "a.b", data: { n: 1 }, url: at(path), headers: headers(), retry: { delays: [] } };
    await made("/v1/events", direct);
  }
  await made("/v1/endpoints", { url: at("telltale"), plugin: "telltale", headers: headers(), secret_id: secrets[0] });
  await made("/v1/events", { type: "order.paid", data: { n: 2 } });
  const owed = async () => (await app.call("GET", "/v1/deliveries?status=pending")).json.data;
  await until(async () => (await owed()).length === 0, "the end of all deliveries", 20_000);
}

/** Every list, everything in it, and every page. */
async function readEverything(): Promise<void> {
  for (const list of [
    "secrets",
    "watches",
    "endpoints",
    "events",
    "deliveries",
    "dead-letters",
    "users",
    "api-keys",
    "hosts",
    "operations",
    "audit",
  ]) {
    const { json } = await call("GET", `/v1/${list}?limit=200`);
    for (const { id } of json.data) {
      if (id && list !== "audit") await call("GET", `/v1/${list}/${id}`);
    }
  }
  for (const path of ["/v1/stats", "/v1/plugins", "/metrics", "/openapi.json", "/healthz", "/readyz"])
    await call("GET", path);
  const pages = app.routes.filter(
    ({ kind, method, path }) => kind === "page" && method === "GET" && !path.startsWith("/assets"),
  );
  const ids = Object.fromEntries(
    await Promise.all(
      ["secrets", "watches", "endpoints", "events", "deliveries", "dead-letters"].map(async (list) => [
        list,
        (await app.call("GET", `/v1/${list}`)).json.data[0]?.id,
      ]),
    ),
  );
  for (const { path } of pages) {
    const list = path.split("/")[1] ?? "";
    if (!/live|stream/.test(path)) await call("GET", path.replace(/:\w+/, ids[list] ?? "none"));
  }
}

/** Everything that the database holds, as text, by table. */
async function databaseText(): Promise<Map<string, string>> {
  const { sql } = app.database;
  const tables = await sql<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname not in ('pg_catalog', 'information_schema')`;
  const texts = await Promise.all(
    tables.map(async ({ name }) => {
      const rows = await sql.unsafe<{ row: string }[]>(`select t::text as row from ${name} t`);
      return [name, rows.map(({ row }) => row).join("\n")] as const;
    }),
  );
  return new Map([...texts, ["bodies kept", await keptBodies()]]);
}

/** They lie in the database compressed. */
async function keptBodies(): Promise<string> {
  const rows = await app.database.sql<{ body: Uint8Array }[]>`select body from deltahook.watch_bodies`;
  return rows.map(({ body }) => new TextDecoder().decode(Bun.zstdDecompressSync(body))).join("\n");
}

/** Where a needle stands, with what is around it; empty when nowhere. */
function findings(where: string, text: string, needles: readonly string[]): string[] {
  const haystack = text.toLowerCase();
  return needles.flatMap((needle) => {
    const at = haystack.indexOf(needle.toLowerCase());
    return at === -1 ? [] : [`${where}: …${text.slice(Math.max(0, at - 160), at + 60)}…`];
  });
}

/** The mark, however written; and whole values in Base64 at each of the three ways that bytes can fall into groups. */
function needles(more: readonly string[]): string[] {
  const shifted = [0, 1, 2].map((skip) => {
    const text = Buffer.from(MARK.slice((3 - skip) % 3))
      .toString("base64")
      .replace(/=+$/, "");
    return text.slice(0, text.length - (text.length % 4 === 0 ? 0 : 1));
  });
  return [
    MARK,
    Buffer.from(MARK).toString("hex"),
    ...shifted,
    ...planted.map((value) => Buffer.from(value).toString("base64").slice(0, 40)),
    ...more,
  ];
}

test("no planted secret can be found in the database, the log, an answer, a page or what a plugin was told", async () => {
  const secrets = await plantSecrets();
  await made("/v1/users", { email: "a@example.com", role: "admin", password: PASSWORD });
  await sendFaultyOnes();
  const login = await call("POST", "/v1/auth/login", { email: "a@example.com", password: PASSWORD }, false);
  expect(login.status).toBe(200);
  await watchAndPreview(secrets);
  await deliver(secrets);

  const endpoints = (await app.call("GET", "/v1/endpoints?limit=200")).json.data as { id: string }[];
  const signing: string[] = [];
  for (const { id } of endpoints) {
    const { json } = await call("GET", `/v1/endpoints/${id}/secret`, undefined, false);
    signing.push(json.secret.slice("whsec_".length));
  }
  await readEverything();

  const hidden = needles([...signing, ...Object.values(app.keys), login.json.token]);
  const texts = await databaseText();
  expect(texts.get("deltahook.secrets")).toContain("eyJ");
  const attempts = [...texts]
    .filter(([name]) => name.startsWith("deltahook.attempts"))
    .map(([, text]) => text)
    .join("");
  expect(attempts.split("***").length).toBeGreaterThan(100);
  expect(texts.get("bodies kept")).toContain('"a":1');
  expect(told.length).toBeGreaterThan(0);

  const found = [
    ...[...texts].flatMap(([name, text]) => findings(name, text, hidden)),
    ...findings("log", app.logged(), hidden),
    ...answers.flatMap((text) => findings(`answer to ${text.slice(0, 60)}`, text, hidden)),
    ...told.flatMap((text) => findings("plugin", text, hidden)),
  ];
  expect(found).toEqual([]);
}, 60_000);
