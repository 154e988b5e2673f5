import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connectionString } from "../../src/platform/database.ts";
import { VERSION } from "../../src/platform/version.ts";
import { dropDatabase, emptyDatabase, testDatabase } from "../support/database.ts";
import { startReceiver } from "../support/receiver.ts";
import { ADMIN, login, startServerProcess, temporaryDataDir } from "../support/server.ts";

const MAIN = join(import.meta.dir, "../../src/cli/main.ts");
const KEY = "k".repeat(40);
const STACK = /\n\s+at /;

async function deltahook(words: string[], env: Record<string, string> = {}, input = "") {
  const child = Bun.spawn([process.execPath, MAIN, ...words], {
    env: { PATH: process.env.PATH ?? "", ...env },
    stdin: Buffer.from(input),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { out: out.trim(), err: err.trim(), code: await child.exited };
}

describe("a wrong command line is told with a remedy, and exit code 2:", () => {
  const table: [string[], string][] = [
    [["sreve"], "Did you mean serve?"],
    [["users", "lst"], "Did you mean list?"],
    [["migrate", "--jsn"], "Did you mean --json?"],
    [["serve", "now"], "too many arguments"],
    [["users", "add"], "missing required argument 'email'"],
    [["users", "add", "a@example.com"], "--generate-password"],
    [["users", "add", "a@example.com", "--role", "owner"], "viewer, editor, admin"],
    [["users", "add", "a@example.com", "--password-stdin", "--generate-password"], "exclude each other"],
    [["keys", "create"], "`deltahook keys create --help`"],
    [["keys", "create", ""], "name: write at least one character"],
    [["keys", "create", "x", "--expires-in", "soon"], "90d"],
    [["send", "order.paid", "{a: 1}"], "not JSON"],
    [["send", "order.paid", "{}", "--header", "a:b"], "only with --url"],
    [["send", "order.paid", "{}", "--header", "ab", "--url", "http://a"], "name:value"],
    [["send", "order.paid", "{}", "--wait", "soon"], "30s"],
    [["send", "order.paid", "{}", "--server", "http://a"], "--api-key"],
    [[], "Usage: deltahook"],
    [["users"], "Usage: deltahook users"],
  ];
  test.each(table)("%j", async (words, says) => {
    const { out, err, code } = await deltahook(words);
    expect(err).toContain(says);
    expect(err).not.toMatch(STACK);
    expect(out).toBe("");
    expect(code).toBe(2);
  });
});

test("with --json a wrong command line is told as JSON", async () => {
  const { err, code } = await deltahook(["users", "lst", "--json"]);
  expect(JSON.parse(err).error.message).toContain("unknown command 'lst'");
  expect(code).toBe(2);
});

describe("help", () => {
  test.each([[["--help"]], [["help"]], [["help", "send"]], [["users", "add", "--help"]]])("%j", async (words) => {
    const { out, code } = await deltahook(words);
    expect(out).toStartWith("Usage: deltahook");
    expect(code).toBe(0);
  });

  test("--version prints the package's version", async () => {
    expect(await deltahook(["--version"])).toMatchObject({ out: VERSION, code: 0 });
  });
});

test("a reader that has read enough is no fault", async () => {
  const child = Bun.spawn(["sh", "-c", '"$0" "$1" config | true; "$0" "$1" --help | head -1', process.execPath, MAIN], {
    env: { PATH: process.env.PATH ?? "" },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  expect({ out, err }).toEqual({ out: "Usage: deltahook [options] [command]\n", err: "" });
});

describe("config", () => {
  const env = {
    DATABASE_URL: "postgres://user:hunter2@db.example.com:5432/hooks?password=hunter2",
    DELTAHOOK_MASTER_KEY: KEY,
    JWT_SECRET: KEY,
    PORT: "9999",
    RETRY_DELAYS: "1s, 90s",
  };

  test("shows values as they take effect, with their variable, and no secret", async () => {
    const { out, code } = await deltahook(["config"], env);
    expect(code).toBe(0);
    expect(out).toMatch(/^PORT +9999 +environment PORT$/m);
    expect(out).toMatch(/^MASTER_KEY +\*\*\* +environment DELTAHOOK_MASTER_KEY$/m);
    expect(out).toMatch(/^DATABASE_URL +postgres:\/\/\*\*\*@db\.example\.com:5432\/hooks +environment/m);
    expect(out).toMatch(/^RETRY_DELAYS +1s,90s +environment/m);
    expect(out).toMatch(/^DELIVERY_TIMEOUT +15s +default$/m);
    for (const secret of ["hunter2", KEY]) expect(out).not.toContain(secret);
  });

  test("as JSON, a value from a file names that", async () => {
    const { path, remove } = temporaryDataDir();
    writeFileSync(join(path, "port"), "7777\n");
    const { out } = await deltahook(["config", "--json"], { PORT_FILE: join(path, "port") });
    expect(JSON.parse(out)).toMatchObject({
      PORT: { value: "7777", source: "file PORT_FILE" },
      DATABASE_URL: { value: null, source: "default" },
    });
    remove();
  });

  test("settings that cannot be used are listed, exit code 1", async () => {
    const { err, code } = await deltahook(["config"], { PORT: "high", DELTAHOOK_PROT: "1" });
    expect(err).toContain("PORT");
    expect(err).toContain("did you mean DELTAHOOK_PORT?");
    expect(err).not.toMatch(STACK);
    expect(code).toBe(1);
  });
});

describe("on a database of one's own", () => {
  let db: Awaited<ReturnType<typeof testDatabase>>;
  let env: Record<string, string>;
  const run = (words: string[], input = "") => deltahook(words, env, input);

  beforeAll(async () => {
    db = await testDatabase();
    env = { DATABASE_URL: connectionString(db.target), MASTER_KEY: KEY, JWT_SECRET: KEY };
  });
  afterAll(() => db?.drop());

  test("users add, list and reset-password manage people, and the audit log tells it", async () => {
    const added = await run(
      ["users", "add", "Ada@example.com", "--role", "admin", "--password-stdin"],
      `${ADMIN.password}\n`,
    );
    expect(added).toMatchObject({ out: "Added ada@example.com as admin.", code: 0 });
    expect((await run(["users", "list"])).out).toMatch(/^ada@example\.com +admin +usr_/m);
    const again = await run(["users", "add", "ada@example.com", "--generate-password"]);
    expect(again.err).toContain("Another user has the address");
    expect(again.code).toBe(1);

    const reset = await run(["users", "reset-password", "ada@example.com", "--generate-password", "--json"]);
    const { password, email } = JSON.parse(reset.out);
    expect(email).toBe("ada@example.com");
    expect(password.length).toBeGreaterThan(20);
    const actions = await db.database
      .sql`select action, actor_kind, detail::text as detail from deltahook.audit_log order by id`;
    expect(actions.map(({ action, actor_kind }) => [action, actor_kind])).toEqual([
      ["create", "cli"],
      ["reset_password", "cli"],
    ]);
    expect(JSON.stringify(actions)).not.toContain(password);
  });

  test("a weak password and an unknown person are refused in a sentence", async () => {
    const weak = await run(["users", "add", "b@example.com", "--password-stdin"], "password\n");
    expect(weak).toMatchObject({ code: 1, out: "" });
    expect(weak.err).toContain("one of the most common passwords");
    const unknown = await run(["users", "reset-password", "nobody@example.com", "--generate-password", "--json"]);
    expect(unknown.code).toBe(1);
    expect(JSON.parse(unknown.err).error.code).toBe("not_found");
  });

  test("keys create prints the key alone, for $(…)", async () => {
    const { out, code } = await run(["keys", "create", "deploy", "--expires-in", "90d"]);
    expect(out).toMatch(/^dhk_[\w-]{40,}$/);
    expect(code).toBe(0);
    const made = JSON.parse((await run(["keys", "create", "ci", "--role", "viewer", "--json"])).out);
    expect(made).toMatchObject({ name: "ci", role: "viewer", expires_at: null });
  });

  test("send writes an event, and the idempotency key holds", async () => {
    const first = await run(["send", "order.paid", "-", "--idempotency-key", "k1"], '{"order": 42}');
    expect(first.out).toMatch(/^evt_[0-9a-f]{32}$/);
    expect((await run(["send", "order.paid", '{"order":42}', "--idempotency-key", "k1"])).out).toBe(first.out);
    const other = await run(["send", "order.paid", '{"order":43}', "--idempotency-key", "k1"]);
    expect(other.err).toContain("used within the last 24 hours for another event");
    expect(other.code).toBe(1);
  });

  test("vault rotate says what it brought under the current key, and fails while a key is missing", async () => {
    const { sql } = db.database;
    const { createVault } = await import("../../src/vault/vault.ts");
    const old = createVault({ masterKey: "o".repeat(40) });
    const [{ id } = { id: "" }] = await sql<{ id: string }[]>`select deltahook.uuid7() as id`;
    const sealed = await old.seal("secret:bearer", id, "hunter2");
    await sql`insert into deltahook.secrets (id, name, kind, sealed) values (${id}, 'erp', 'bearer', ${sealed})`;

    const without = await run(["vault", "rotate"]);
    expect(without.out).toContain("add it to MASTER_KEY_PREVIOUS");
    expect(without.code).toBe(1);

    env.MASTER_KEY_PREVIOUS = "o".repeat(40);
    const done = await run(["vault", "rotate", "--json"]);
    expect(JSON.parse(done.out)).toMatchObject({ resealed: 1, unopened: [], finished: true });
    expect(done.err).toContain("secrets: 1 rows read; 1 values resealed");
    const entries = await sql`select 1 from deltahook.audit_log where actor_kind = 'cli' and action = 'rotate'`;
    expect(entries.length).toBe(2);
    expect(done.code).toBe(0);
  });
});

describe("migrate", () => {
  test("makes an empty database usable, and the second time has nothing to do", async () => {
    const target = await emptyDatabase();
    const env = { DATABASE_URL: connectionString(target), MASTER_KEY: KEY, JWT_SECRET: KEY };
    const early = await deltahook(["users", "list"], env);
    expect(early.err).toContain("run `deltahook migrate` first");
    expect(early.code).toBe(1);
    const first = JSON.parse((await deltahook(["migrate", "--json"], env)).out);
    expect(first.applied[0]).toBe("0001_foundation.sql");
    expect(await deltahook(["migrate"], env)).toMatchObject({ out: "The database is up to date.", code: 0 });
    await dropDatabase(target);
  });

  test("a Postgres that is away or refuses is told in a sentence", async () => {
    const keys = { MASTER_KEY: KEY, JWT_SECRET: KEY };
    const away = await deltahook(["migrate"], { ...keys, DATABASE_URL: "postgres://a:b@127.0.0.1:9/c" });
    expect(away.err).toContain("Postgres cannot be reached");
    expect(away.err).not.toMatch(STACK);
    expect(away.code).toBe(1);
  });
});

describe("on the embedded Postgres", () => {
  test("commands start it for their moment, join a server that runs on it, and ask whether that is ready", async () => {
    const { path, remove } = temporaryDataDir();
    chmodSync(path, 0o755); // else, run as root, the account of Postgres could not enter and would lie elsewhere
    const receiver = startReceiver();
    const env = { DATA_DIR: join(path, "data"), ALLOWED_NETWORKS: "127.0.0.0/8" };
    const nothing = await deltahook(["users", "list"], env);
    expect(nothing.err).toContain("There is no database in");
    expect(existsSync(env.DATA_DIR)).toBe(false);

    const added = await deltahook(
      ["users", "add", ADMIN.email, "--role", "admin", "--password-stdin"],
      env,
      ADMIN.password,
    );
    expect(added.code).toBe(0);
    expect(existsSync(join(env.DATA_DIR, "postgres/postmaster.pid"))).toBe(false);

    const server = await startServerProcess(env);
    try {
      await login(server);
      const sent = await deltahook(["send", "order.paid", '{"order":42}', "--url", receiver.url, "--wait", "20s"], env);
      expect(sent.out).toContain("delivered after 1 try, answered 200");
      expect(sent.code).toBe(0);
      const where = { ...env, PORT: new URL(server.url).port };
      expect(await deltahook(["healthcheck"], where)).toMatchObject({ out: "ready", code: 0 });
    } finally {
      await server.end("SIGTERM");
    }
    const where = { ...env, PORT: new URL(server.url).port };
    const gone = await deltahook(["healthcheck"], where);
    expect(gone.err).toContain("No server answers at");
    expect(gone.code).toBe(1);
    expect((await deltahook(["users", "list"], env)).out).toContain(ADMIN.email);
    receiver.stop();
    remove();
  });

  test("an interrupted command leaves no Postgres behind", async () => {
    const { path, remove } = temporaryDataDir();
    const env = { PATH: process.env.PATH ?? "", DATA_DIR: path };
    const child = Bun.spawn([process.execPath, MAIN, "migrate"], { env, stdout: "ignore", stderr: "ignore" });
    const pidFile = join(path, "postgres/postmaster.pid");
    while (!existsSync(pidFile) && child.exitCode === null) await Bun.sleep(5);
    child.kill("SIGINT");
    await child.exited;
    const giveUpAt = performance.now() + 10_000;
    while (existsSync(pidFile) && performance.now() < giveUpAt) await Bun.sleep(20);
    expect(existsSync(pidFile)).toBe(false);
    remove();
  });
});
