import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createPublish } from "../../src/delivering/publish.ts";
import { createSubscriptions } from "../../src/delivering/subscriptions.ts";
import { createClock } from "../../src/platform/clock.ts";
import { silentLog } from "../../src/platform/log.ts";
import { createRollups } from "../../src/platform/rollups.ts";
import { createOAuthTokens } from "../../src/vault/oauth.ts";
import { createSecrets, type Secrets } from "../../src/vault/secrets.ts";
import { createWatching, type Watching } from "../../src/watching/watching.ts";
import { testDatabase } from "../support/database.ts";
import { loopback, vault } from "../support/engine.ts";
import { parseWatch, type Source, startSource } from "../watching/support.ts";
import { type Host, pluginText, startHost, until } from "./support.ts";

const KEY = "a-key-that-nobody-may-see";
const CSV = pluginText(
  "table",
  `parse(response) {
     const [head, ...rows] = response.body.trim().split("\\n").map((line) => line.split(";"));
     if (rows.length === 0) throw new Error("no rows");
     return rows.map((row) => Object.fromEntries((head ?? []).map((name, i) => [name, row[i]])));
   }`,
);
const SIGNER = pluginText(
  "digest",
  `sign(request, { secret }) {
     const key = secret?.kind === "bearer" ? secret.token : "";
     const text = request.method + new URL(request.url).pathname + (request.body ?? "") + Object.keys(request.headers).sort();
     return { headers: { "x-digest": new Bun.CryptoHasher("sha256", key).update(text).digest("hex") } };
   }`,
);

let at: Awaited<ReturnType<typeof testDatabase>>;
let host: Host;
let watching: Watching;
let secrets: Secrets;
let source: Source;
beforeAll(async () => {
  at = await testDatabase();
  host = await startHost({
    "table.ts": CSV,
    "digest.ts": SIGNER,
    "breaks.ts": pluginText("breaks", "sign() { throw new Error('no clock'); }"),
  });
  const clock = createClock();
  secrets = createSecrets(at.database, vault);
  watching = createWatching({
    database: at.database,
    clock,
    log: silentLog,
    outbound: loopback,
    vault,
    secrets,
    tokens: createOAuthTokens({ database: at.database, vault, outbound: loopback }),
    rollups: createRollups("test"),
    publish: createPublish(clock, createSubscriptions()),
    plugins: host.plugins,
    concurrency: 16,
    hostConcurrency: 0,
    hostRate: 0,
    timeoutMs: 5_000,
    maxBytes: 1024 * 1024,
  });
  source = startSource(() => new Response("id;status\n1;open\n", { headers: { "content-type": "text/csv" } }));
});
afterAll(async () => {
  source.stop();
  watching.beginStop();
  await watching.finish();
  await host.stop();
  await at.drop();
});

async function create(body: object): Promise<string> {
  const [watch] = await watching.watches.create([parseWatch({ request: { url: `${source.url}/orders` }, ...body })]);
  if (!watch) throw new Error("nothing was created");
  return watch.id;
}

const poll = (id: string) => watching.runs.pollNow(id, new AbortController().signal);
const TABLE = { plugin: "table", items: { path: "$[*]", key: "$.id", fields: { status: "$.status" } } };

describe("parse", () => {
  test("a reply in a format of its own is watched like JSON", async () => {
    const id = await create(TABLE);
    expect(await poll(id)).toMatchObject({ outcome: "baseline", problem: null });
    expect(await poll(id)).toMatchObject({ outcome: "unchanged" });
    source.answer = () => new Response("id;status\n1;paid\n");
    expect(await poll(id)).toMatchObject({ outcome: "changed", changes: 1 });
  });

  test("a reply that the plugin cannot read is a failed poll with its sentence, and what was known stays", async () => {
    source.answer = () => new Response("id;status\n1;open\n");
    const id = await create(TABLE);
    await poll(id);
    source.answer = () => new Response("maintenance");
    expect(await poll(id)).toMatchObject({
      outcome: "failed",
      problem: expect.stringMatching(/the parse hook of "table" failed: Error: no rows \(table\.ts:5:\d+\)/),
    });
    source.answer = () => new Response("id;status\n1;open\n");
    expect(await poll(id)).toMatchObject({ outcome: "unchanged" });
  });

  test("an answer that is no success is told as such, not parsed", async () => {
    const id = await create(TABLE);
    source.answer = () => new Response("busy", { status: 500 });
    expect(await poll(id)).toMatchObject({
      outcome: "failed",
      status: 500,
      problem: expect.stringContaining("answered 500"),
    });
  });

  test("pages are parsed one by one", async () => {
    source.answer = (request) => {
      const page = Number(new URL(request.url).searchParams.get("page"));
      return new Response(
        `id;status\n${page};open\n`,
        page < 3 ? { headers: { link: `<?page=${page + 1}>; rel="next"` } } : {},
      );
    };
    const id = await create({ ...TABLE, request: { url: `${source.url}/pages?page=1` }, pagination: { type: "link" } });
    expect(await poll(id)).toMatchObject({ outcome: "baseline" });
    const [row] = await at.database.sql<{ n: number }[]>`
      select count(*)::int as n from deltahook.watch_state where watch_id = ${uuidOf(id)} and key like 'i:%'`;
    expect(row?.n).toBe(3);
  });

  test("a new version of the plugin reads the same body anew", async () => {
    source.answer = () => new Response("id;status\n1;open\n");
    const id = await create(TABLE);
    await poll(id);
    await poll(id);
    const before = host.plugins.list().find(({ name }) => name === "table")?.version;
    host.write("table.ts", CSV.replace("row[i]]", "row[i]?.toUpperCase()]"));
    await until(() => host.plugins.list().find(({ name }) => name === "table")?.version !== before);
    expect(await poll(id)).toMatchObject({ outcome: "changed" });
  });
});

describe("sign", () => {
  test("the request carries the plugin's signature, and the secret itself is not put on", async () => {
    source.answer = () => Response.json({ status: "open" });
    const secret = await secrets.create({ name: "key", kind: "bearer", value: KEY });
    const id = await create({
      plugin: "digest",
      secret_id: secret.id,
      request: { method: "POST", url: `${source.url}/signed`, headers: { "x-api-key": "hidden" }, body: { a: 1 } },
      fields: { status: "$.status" },
    });
    expect(await poll(id)).toMatchObject({ outcome: "baseline", problem: null });
    const got = source.requests.at(-1);
    // A header whose value is sealed is not told to the plugin.
    const text = `POST/signed{"a":1}${["accept", "content-type", "user-agent"]}`;
    expect(got?.headers.get("x-digest")).toBe(new Bun.CryptoHasher("sha256", KEY).update(text).digest("hex"));
    expect(got?.headers.get("x-api-key")).toBe("hidden");
    expect(got?.headers.has("authorization")).toBe(false);
    expect(got?.body).toBe('{"a":1}');
  });

  test("when it fails, nothing is asked", async () => {
    const asked = source.requests.length;
    const id = await create({ plugin: "breaks", fields: { status: "$.status" } });
    expect(await poll(id)).toMatchObject({
      outcome: "failed",
      problem: expect.stringContaining('the sign hook of "breaks" failed: Error: no clock'),
    });
    expect(source.requests.length).toBe(asked);
  });

  test("a plugin that only parses leaves the credential where it belongs", async () => {
    source.answer = () => new Response("id;status\n1;open\n");
    const secret = await secrets.create({ name: "key 2", kind: "bearer", value: KEY });
    await poll(await create({ ...TABLE, secret_id: secret.id }));
    expect(source.requests.at(-1)?.headers.get("authorization")).toBe(`Bearer ${KEY}`);
  });
});

test("the choice of plugins is judged at save", async () => {
  await expect(create({ plugin: "slack", fields: { a: "$.a" } })).rejects.toThrow(
    '/plugin: the plugin "slack" has no parse or sign hook',
  );
  await expect(create({ plugin: ["table", "tabel"], fields: { a: "$.a" } })).rejects.toThrow('did you mean "table"?');
});

function uuidOf(id: string): string {
  const hex = id.slice("watch_".length);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
