import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VERSION } from "../../src/platform/version.ts";
import { startReceiver } from "../support/receiver.ts";

/** The package as its users get it: packed, installed by npm into an empty folder, run under real Node. */
const ROOT = join(import.meta.dir, "../..");
const INSTALL_MS = 300_000;
const node = Bun.which("node") ?? "";
const npm = Bun.which("npm") ?? "";

let home: string;
let app: string;

beforeAll(async () => {
  if (npm === "") return;
  home = mkdtempSync(join(tmpdir(), "deltahook-package-"));
  chmodSync(home, 0o755);
  app = join(home, "app");
  mkdirSync(app);
  await succeed([npm, "pack", "--silent", "--pack-destination", home], ROOT);
  const tarball = readdirSync(home).find((name) => name.endsWith(".tgz")) ?? "";
  writeFileSync(join(app, "package.json"), '{"name": "app", "private": true}');
  await succeed([npm, "install", "--no-audit", "--no-fund", "--loglevel=error", join(home, tarball)], app);
}, INSTALL_MS);

afterAll(() => {
  if (home) rmSync(home, { recursive: true, force: true });
});

async function run(command: string[], cwd: string, env: Record<string, string> = {}) {
  const child = Bun.spawn(command, {
    cwd,
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { out: out.trim(), err: err.trim(), code: await child.exited };
}

async function succeed(command: string[], cwd: string, env: Record<string, string> = {}): Promise<string> {
  const { out, err, code } = await run(command, cwd, env);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}:\n${out}\n${err}`);
  return out;
}

const SEND = `
  const hookshot = new Hookshot(JSON.parse(process.env.OPTIONS));
  const { id } = await hookshot.sendWebhook(process.env.RECEIVER, { data: "your data" }, { type: "order.paid" });
  const { status } = await hookshot.wait(id, { timeout: "5s" });
  await hookshot.close();
  console.log(JSON.stringify({ id, status }));`;

const MODULES: [name: string, file: string, text: string][] = [
  ["import { Hookshot }", "named.mjs", `import { Hookshot } from "deltahook";\n${SEND}`],
  ["import Hookshot", "default.mjs", `import Hookshot from "deltahook";\n${SEND}`],
  ["require", "whole.cjs", `const Hookshot = require("deltahook");\n(async () => {${SEND}})();`],
  ["{ Hookshot } = require", "named.cjs", `const { Hookshot } = require("deltahook");\n(async () => {${SEND}})();`],
];

describe.skipIf(node === "" || npm === "")("the packed package", () => {
  test("carries what runs, and nothing of the tests", () => {
    const names = readdirSync(join(app, "node_modules/deltahook"));
    expect(names).toContain("dist");
    for (const foreign of ["test", "data", ".ci", "bun.lock"]) expect(names).not.toContain(foreign);
  });

  test("its command shows help, and tells a failure by its exit code", async () => {
    const bin = join(app, "node_modules/.bin/deltahook");
    expect(await succeed([npm, "exec", "--", "deltahook", "--help"], app)).toStartWith("Usage: deltahook");
    expect((await run([bin, "--version"], app)).out).toBe(VERSION);
    expect((await run([bin, "sreve"], app)).code).toBe(2);
  });

  test("serves from an empty folder, and its client sends from real Node, each way of loading and each way in", async () => {
    const receiver = startReceiver();
    const bin = join(app, "node_modules/.bin/deltahook");
    const env = { PORT: "0", LOG_FORMAT: "json", ALLOWED_NETWORKS: "127.0.0.0/8" };
    const server = Bun.spawn([bin, "serve"], {
      cwd: app,
      env: { ...process.env, ...env },
      stdout: "pipe",
      stderr: "inherit",
    });
    try {
      const url = await readyUrl(server.stdout);
      expect(existsSync(join(app, "data/postgres"))).toBe(true);
      const apiKey = await succeed([bin, "keys", "create", "test"], app);
      const socket = readFileSync(join(app, "data/postgres/postmaster.pid"), "utf8").split("\n")[4] ?? "";
      const ways = {
        http: { url, apiKey },
        database: { db: { host: socket, user: "deltahook", database: "deltahook" } },
      };
      for (const [name, file, text] of MODULES) {
        writeFileSync(join(app, file), text);
        for (const [way, options] of Object.entries(ways)) {
          const said = await succeed([node, file], app, { OPTIONS: JSON.stringify(options), RECEIVER: receiver.url });
          const { id, status } = JSON.parse(said);
          expect(`${name} over ${way}: ${status}`).toBe(`${name} over ${way}: delivered`);
          const arrived = receiver.received.find((received) => received.id === id);
          expect(arrived?.body).toBe('{"data":"your data"}');
        }
      }
    } finally {
      server.kill("SIGTERM");
      expect(await server.exited).toBe(0);
      receiver.stop();
    }
  });

  test("its types hold for import and require, and refuse what is wrong", async () => {
    const use = `
      const hookshot = new Hookshot({ url: "http://localhost:8080", apiKey: "dhk_", retry: { delays: ["5s", 30] }, timeout: 5, deadLetterRetention: "30d" });
      const options: SendWebhookOptions = { type: "a", idempotencyKey: "k", headers: {}, retry: { attempts: 3 } };
      async function all(): Promise<string> {
        const { id } = await hookshot.sendWebhook("https://example.com", { a: 1 }, options);
        const { status, deliveries } = await hookshot.wait(id, { timeout: "5s" });
        return status === "dead" ? String(deliveries[0]?.lastError) : id;
      }
      new Hookshot({ db: { host: "h", user: "u", password: "p", database: "d" } });
      // @ts-expect-error: an address without a key
      new Hookshot({ url: "http://localhost:8080" });
      // @ts-expect-error: no such option
      hookshot.send("a", {}, { retry: { delays: [] } });
      export = undefined as unknown as typeof all;`;
    writeFileSync(
      join(app, "imported.mts"),
      `import Default, { Hookshot, type SendWebhookOptions } from "deltahook";\nnew Default({ db: "postgres://a" });\n${use.replace(/export = .*/, "export { all };")}`,
    );
    writeFileSync(
      join(app, "required.cts"),
      `import Hookshot = require("deltahook");\ntype SendWebhookOptions = Hookshot.SendWebhookOptions;\nnew Hookshot.Hookshot({ db: "postgres://a" });\n${use}`,
    );
    const tsc = [process.execPath, join(ROOT, "node_modules/typescript/bin/tsc")];
    const flags = [
      "--noEmit",
      "--strict",
      "--module",
      "node16",
      "--target",
      "es2022",
      "--lib",
      "es2023",
      "--types",
      "",
    ];
    expect(await run([...tsc, ...flags, "imported.mts", "required.cts"], app)).toEqual({ out: "", err: "", code: 0 });
  });
});

async function readyUrl(stream: ReadableStream<Uint8Array>): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const part of stream) {
    text += decoder.decode(part, { stream: true });
    const line = text.split("\n").find((one) => one.includes('"message":"ready"'));
    if (line) return (JSON.parse(line) as { url: string }).url;
  }
  throw new Error(`the server ended before it was ready:\n${text}`);
}
