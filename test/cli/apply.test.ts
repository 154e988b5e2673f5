// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the variables of the file
import { afterAll, beforeAll, describe, expect, spyOn, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exitCodeOf, tell } from "../../src/cli/failure.ts";
import { createProgram } from "../../src/cli/program.ts";
import { connectionString } from "../../src/platform/database.ts";
import { testDatabase } from "../support/database.ts";
import { type WholeApp, wholeApp } from "../trust/whole_app.ts";

const ROOT = join(import.meta.dir, "../..");
const MAIN = join(ROOT, "src/cli/main.ts");
const KEY = "k".repeat(40);
const GUIDE = readFileSync(join(ROOT, "docs/configuration-as-code.md"), "utf8");

const folder = mkdtempSync(join(tmpdir(), "deltahook-apply-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function deltahook(words: string[], env: Record<string, string>, input = "") {
  const child = Bun.spawn([process.execPath, MAIN, ...words], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? "", ...env },
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { out: out.trim(), err: err.trim(), code: await child.exited };
}

/** The same within this process, which is quicker; what commander itself says is not caught. */
async function quickly(words: string[]) {
  const said = { out: "", err: "" };
  const [out, err] = [spyOn(process.stdout, "write"), spyOn(process.stderr, "write")];
  out.mockImplementation((text) => {
    said.out += text;
    return true;
  });
  err.mockImplementation((text) => {
    said.err += text;
    return true;
  });
  let code = 0;
  try {
    await createProgram().parseAsync(words, { from: "user" });
  } catch (error) {
    tell(error, words.includes("--json"));
    code = exitCodeOf(error);
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
  return { out: said.out.trim(), err: said.err.trim(), code };
}

function block(language: string): string {
  return new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, "m").exec(GUIDE)?.[1] ?? "";
}

describe("into the database of the settings", () => {
  let db: Awaited<ReturnType<typeof testDatabase>>;
  let env: Record<string, string>;
  beforeAll(async () => {
    db = await testDatabase();
    env = { DATABASE_URL: connectionString(db.target), MASTER_KEY: KEY, JWT_SECRET: KEY };
  });
  afterAll(() => db?.drop());

  test("the commands of docs/configuration-as-code.md do what it says, and the audit log tells it", async () => {
    writeFileSync(join(folder, "deltahook.yaml"), block("yaml"));
    const ran = [];
    for (const line of block("sh").trim().split("\n")) {
      const words = line.replace(/ *#.*/, "").split(" ").slice(1);
      ran.push(await deltahook(words, { ...env, ...(ran.length < 2 ? { ERP_PASSWORD: "hunter2" } : {}) }));
    }
    const created = "+ secret ERP\n+ endpoint Billing\n+ watch Order 42";
    expect(ran.slice(0, 3)).toEqual([
      { out: `${created}\nNothing was changed (--dry-run).`, err: "", code: 0 },
      { out: `${created}\nDone: 3 created.`, err: "", code: 0 },
      { out: "= 3 unchanged\nNothing to change.", err: "", code: 0 },
    ]);
    const exported = ran[3]?.out ?? "";
    expect(exported).toContain("# value: {username: ${ERP_USERNAME}, password: ${ERP_PASSWORD}}");
    expect(exported).not.toContain("hunter2");
    const again = await deltahook(["apply", "-f", "-", "--dry-run", "--json"], env, exported);
    expect(JSON.parse(again.out)).toEqual({ dry_run: true, changes: [], unchanged: 3 });

    const entries = await db.database.sql`
      select actor_kind, actor_name, action, resource_kind from deltahook.audit_log order by id`;
    expect(entries.map((entry) => Object.values(entry).join(" "))).toEqual([
      "cli command line create secret",
      "cli command line create endpoint",
      "cli command line create watch",
    ]);
  });
});

describe("through a server", () => {
  let app: WholeApp;
  let door: string[];
  const path = join(folder, "f.yaml");
  const apply = async (file: string, ...words: string[]) => {
    writeFileSync(path, file);
    const { out, err, code } = await quickly(["apply", "-f", path, ...door, ...words]);
    return { out, err: err.replaceAll(path, "f.yaml"), code };
  };

  beforeAll(async () => {
    app = await wholeApp();
    const { port } = app.server.listen({ host: "127.0.0.1", port: 0 });
    door = ["--server", `http://127.0.0.1:${port}`, "--api-key", app.keys.editor];
  });
  afterAll(() => app?.close());

  const FILE = `
version: 1
x-every: &every { every: 1h }
secrets:
  - { name: Token, kind: bearer }
endpoints:
  - { name: Billing, url: "https://b.example/hooks", secret: Token, retry: { attempts: 3 } }
watches:
  - { name: First, request: { url: "https://a.example/1" }, schedule: *every, fields: { a: $.a }, secret: Token, endpoints: [Billing] }
  - { name: Second, request: { url: "https://a.example/2" }, schedule: *every, fields: { a: $.a } }
`;
  const WITH_VALUE = FILE.replace("kind: bearer", "kind: bearer, value: abc");

  test("creates, changes what differs, keeps what it does not name, and prunes when told to", async () => {
    expect(await apply(WITH_VALUE)).toMatchObject({ err: "", code: 0 });
    const before = (await app.call("GET", "/v1/watches")).json.data;
    const [billing] = (await app.call("GET", "/v1/endpoints")).json.data;
    expect(billing).toMatchObject({ name: "Billing", retry: { attempts: 3 } });
    expect(before.map(({ name, endpoint_ids }: Record<string, unknown>) => [name, endpoint_ids])).toEqual([
      ["Second", []],
      ["First", [billing.id]],
    ]);

    const changed = FILE.replace("retry: { attempts: 3 }", "ordered: true").replace(/^.*Second.*\n/m, "");
    expect((await apply(changed)).out).toBe("~ endpoint Billing: retry, ordered\n= 2 unchanged\nDone: 1 changed.");
    const [now] = (await app.call("GET", "/v1/endpoints")).json.data;
    expect(now).toMatchObject({ id: billing.id, retry: null, ordered: true });
    expect((await app.call("GET", "/v1/watches")).json.data).toHaveLength(2);

    const unasked = await deltahook(["apply", "-f", path, "--prune", ...door], {});
    expect(unasked.err).toContain("- watch Second\n");
    expect(unasked.err).toContain("say --yes");
    expect(unasked.code).toBe(2);
    expect((await apply(changed, "--prune", "--yes")).out).toBe("- watch Second\n= 3 unchanged\nDone: 1 deleted.");
    expect((await app.call("GET", "/v1/watches")).json.data).toHaveLength(1);
  });

  test("says every fault with its place, and changes nothing", async () => {
    const { err, out, code } = await apply(FILE.replace("$.a }, secret", "$[ }, secret"));
    expect(err.split("\n")).toEqual([
      "deltahook: f.yaml cannot be applied; nothing was changed.",
      expect.stringMatching(/^ {2}f\.yaml:9:\d+: not YAML: /),
    ]);
    expect([out, code]).toEqual(["", 1]);
    const wrong = FILE.replace("$.a }, secret", '"$[" }, evry: 1, secret');
    expect((await apply(wrong)).err.split("\n").slice(1)).toEqual([
      expect.stringMatching(/^ {2}f\.yaml:9:\d+: \/watches\/0\/fields\/a: not a JSONPath: /),
      expect.stringMatching(/^ {2}f\.yaml:9:\d+: \/watches\/0\/evry: unknown property/),
    ]);
    const asJson = JSON.parse((await apply(FILE.replace("Billing]", "Biling]"), "--json")).err);
    expect(asJson.error).toMatchObject({
      code: "invalid",
      faults: [
        { line: 9, pointer: "/watches/0/endpoints/0", message: expect.stringContaining('did you mean "Billing"?') },
      ],
    });
  });

  test("a file that cannot be read is told in a sentence", async () => {
    const { err, code } = await quickly(["apply", "-f", import.meta.dir, ...door]);
    expect(err).toStartWith(`deltahook: ${import.meta.dir} cannot be read (`);
    expect(err).not.toMatch(/\n\s+at /);
    expect(code).toBe(1);
  });

  test("a failure half-way says where, and the next run goes on from there", async () => {
    // Only the server knows that it may not reach this network.
    const more = FILE.replace("https://b.example/hooks", "https://c.example/hooks").replace(
      "a.example/2",
      "10.0.0.1/2",
    );
    const stopped = await apply(more);
    expect(stopped.out).toBe("~ endpoint Billing: url, retry, ordered");
    expect(stopped.err).toMatch(
      /^deltahook: Stopped at watch Second:\n {2}f\.yaml:10:\d+: \/watches\/1\/request\/url: .*10\.0\.0\.1[\s\S]*\n1 of 2 changes were made; apply the file again/,
    );
    expect(stopped.code).toBe(1);
    expect((await apply(more.replace("10.0.0.1", "a.example"))).out).toBe(
      "+ watch Second\n= 3 unchanged\nDone: 1 created.",
    );
  });

  test("a key that may only read, and a server that is not there, are told in a sentence", async () => {
    const viewer = ["--api-key", app.keys.viewer];
    writeFileSync(path, FILE.replace("a.example/2", "a.example/3"));
    const refused = await quickly(["apply", "-f", path, ...door.slice(0, 2), ...viewer]);
    expect(refused.err).toContain("has the role viewer; this needs editor");
    expect(refused.code).toBe(1);
    const shown = await quickly(["apply", "--dry-run", "-f", path, ...door.slice(0, 2), ...viewer]);
    expect(shown).toMatchObject({ err: "", code: 0 });
    const away = await quickly(["export", "--server", "http://127.0.0.1:9", ...viewer]);
    expect(away.err).toContain("http://127.0.0.1:9 does not answer");
    expect(away.code).toBe(1);
  });

  test("names that a file could not tell apart stop an export", async () => {
    const body = { name: "Billing", url: "https://twin.example/" };
    const twin = (await app.call("POST", "/v1/endpoints", body)).json.id;
    const { err, code } = await quickly(["export", ...door]);
    expect(err).toMatch(/^deltahook: Two endpoints are named "Billing": ep_\w+ and ep_\w+\./);
    expect(err).toContain(twin);
    expect(code).toBe(1);
    expect((await apply(FILE)).err).toContain("the server has several of this name");
    await app.call("DELETE", `/v1/endpoints/${twin}`);
  });

  test("an export, its secrets supplied, makes an empty server the same again", async () => {
    const create = async (resource: string, body: unknown) => (await app.call("POST", `/v1/${resource}`, body)).json;
    const secret = await create("secrets", { name: "2nd token", kind: "bearer", value: "t" });
    const shipping = { name: "Shipping", url: "https://b.example/", secret_id: secret.id, retry: { attempts: 4 } };
    const endpoint = await create("endpoints", shipping);
    // More than one batch takes.
    const watches = Array.from({ length: 501 }, (_, index) => ({
      name: `Order ${index}`,
      request: { url: `https://a.example/orders/${index}`, query: { "${q}": "$${q}" } },
      schedule: { every: "1h" },
      fields: { status: "$.status", total: { path: "$.total", tolerance: { percent: 1 } } },
      conditions: [{ field: "status", op: "becomes", value: 12345678901234567000 }],
      secret_id: secret.id,
      endpoint_ids: index % 2 ? [endpoint.id] : [],
    }));
    await create("watches/batch", { watches: watches.slice(0, 300) });
    await create("watches/batch", { watches: watches.slice(300) });

    const exported = (await quickly(["export", ...door])).out;
    expect(exported).toContain("# value: ${_2ND_TOKEN}\n");
    const emptied = await apply("{version: 1, secrets: [], endpoints: [], watches: []}", "--prune", "--yes");
    expect(emptied.out).toEndWith("Done: 507 deleted.");
    const supplied = exported.replaceAll(/# value: .*/g, "value: x");
    expect((await apply(supplied, "--json")).err).toBe("");
    expect((await quickly(["export", ...door])).out).toBe(exported);
  });

  test("a wrong way to name a server is a wrong command line", async () => {
    const keyless = await quickly(["apply", "-f", path, "--server", "http://a.example"]);
    expect(keyless).toMatchObject({ err: expect.stringContaining("--server needs --api-key"), code: 2 });
    const schemeless = await quickly(["export", "--server", "localhost:8080", "--api-key", "k"]);
    expect(schemeless).toMatchObject({ err: expect.stringContaining("write an http or https address"), code: 2 });
  });
});
