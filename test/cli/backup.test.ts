import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { packTar, unpackTar } from "modern-tar";
import { LEFT_OUT, SAVED } from "../../src/cli/backup/tables.ts";
import {
  type ConnectionTarget,
  connectDatabase,
  connectionString,
  type Database,
} from "../../src/platform/database.ts";
import { silentLog } from "../../src/platform/log.ts";
import { migrate, migrations } from "../../src/platform/migrate.ts";
import { installQueue } from "../../src/platform/queue.ts";
import { dropDatabase, emptyDatabase, testDatabase } from "../support/database.ts";
import { addEndpoint, startEngine } from "../support/engine.ts";
import { startReceiver } from "../support/receiver.ts";
import { eventually, temporaryDataDir } from "../support/server.ts";
import { contentOf, seedAll } from "./backup_seed.ts";

const MAIN = join(import.meta.dir, "../../src/cli/main.ts");
const KEY = "the master key of these backups 0123";
const STACK = /\n\s+at /;

const { path: folder, remove } = temporaryDataDir();
const whole = join(folder, "whole.tar.gz");
const cleanups: (() => unknown)[] = [];
let seeded: Awaited<ReturnType<typeof testDatabase>>;
/** Migrated, and as empty as a database is before its first server: quicker to restore into than one without tables. */
let blank: Awaited<ReturnType<typeof emptyDatabase>>;

beforeAll(async () => {
  seeded = await testDatabase();
  await seedAll(seeded.database);
  blank = await emptyDatabase();
  const database = connectDatabase(blank, { max: 2, log: silentLog });
  await migrate(database, { log: silentLog, installQueue: () => installQueue(blank, silentLog) });
  await database.close();
  expect(await deltahook(["backup", whole], seeded.target)).toMatchObject({ code: 0, err: "" });
});
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});
afterAll(async () => {
  await seeded.drop();
  await dropDatabase(blank);
  remove();
});

function start(
  words: string[],
  target: ConnectionTarget,
  env: Record<string, string> = {},
  input: Uint8Array | "pipe" = new Uint8Array(),
) {
  return Bun.spawn([process.execPath, MAIN, ...words], {
    env: {
      PATH: process.env.PATH ?? "",
      DATABASE_URL: connectionString(target),
      MASTER_KEY: KEY,
      JWT_SECRET: KEY,
      ...env,
    },
    cwd: folder,
    stdin: input,
    stdout: "pipe",
    stderr: "pipe",
  });
}

async function deltahook(...all: Parameters<typeof start>) {
  const child = start(...all);
  const [bytes, err] = await Promise.all([new Response(child.stdout).bytes(), new Response(child.stderr).text()]);
  return { bytes, out: new TextDecoder().decode(bytes).trim(), err: err.trim(), code: await child.exited };
}

/** A database without tables, or a clone of `from`; connections to it are not those of a server. */
async function target(from?: string): Promise<{ at: ConnectionTarget; database: Database }> {
  const at = await emptyDatabase(from);
  const database = connectDatabase(at, { max: 4, log: silentLog, name: "test" });
  cleanups.push(async () => {
    await database.close();
    await dropDatabase(at);
  });
  return { at, database };
}

async function isUntouched({ sql }: Database): Promise<boolean> {
  const [row] = await sql<{ users: string | null }[]>`select to_regclass('deltahook.users') as users`;
  return row?.users === null;
}

async function contents(database: Database): Promise<Record<string, { rows: number; digest: string }>> {
  const found: Record<string, { rows: number; digest: string }> = {};
  for (const table of SAVED) found[table] = await contentOf(database, table);
  return found;
}

describe("what is in a backup", () => {
  test("is decided for each table: saved, or left out with a reason", async () => {
    const rows = await seeded.database.sql<{ name: string }[]>`
      select relname as name from pg_class
      where relnamespace = 'deltahook'::regnamespace and relkind in ('r', 'p') and not relispartition`;
    const decided = [...SAVED, ...Object.keys(LEFT_OUT)];
    expect(decided.toSorted()).toEqual(rows.map(({ name }) => name).toSorted());
  });

  test("comes back row for row, byte for byte, from a file that only its owner may read and that holds no key", async () => {
    const before = await contents(seeded.database);
    expect(Object.entries(before).filter(([, { rows }]) => rows === 0)).toEqual([]);
    expect(statSync(whole).mode & 0o777).toBe(0o600);
    expect(gunzipSync(readFileSync(whole)).includes(KEY)).toBe(false);

    const to = await target();
    const { out, code } = await deltahook(["restore", whole, "--json"], to.at);
    expect(code).toBe(0);
    const report = JSON.parse(out) as { tables: Record<string, number>; owed: number };
    expect(report.owed).toBe(0);
    expect(report.tables).toEqual(Object.fromEntries(Object.entries(before).map(([name, { rows }]) => [name, rows])));
    expect(await contents(to.database)).toEqual(before);
    // The identity goes on behind those that came.
    await to.database
      .sql`insert into deltahook.watch_state (watch_id, key, value) select id, 'f:new', '1' from deltahook.watches`;
    const places = await to.database.sql<{ key: string }[]>`select key from deltahook.watch_state order by place`;
    expect(places.at(-1)?.key).toBe("f:new");
  });

  test("any tar lists, and `restore --check` proves without a database", async () => {
    const listed = Bun.spawnSync(["tar", "tzf", whole]).stdout.toString().trim().split("\n");
    expect(listed[0]).toBe("manifest.json");
    expect(listed).toContain("data/events/000001.copy");
    expect(listed.at(-1)).toBe("parts.json");
    const checked = await deltahook(["restore", "--check", whole], { url: "postgres://nobody@127.0.0.1:9/none" });
    expect(checked.out).toStartWith("Whole and undamaged: the backup of 20");
    expect(checked.out).toContain("  deliveries: 2,001");
  });

  test("goes to stdout and comes from stdin as well, with all words on stderr", async () => {
    const saved = await deltahook(["backup", "-"], seeded.target);
    expect(saved.err).toMatch(
      /^Saved [\d,]+ rows \(.* [kM]B\)\.\nThe master key is not in it: keep a copy of the setting MASTER_KEY/,
    );
    const to = await target();
    const restored = await deltahook(["restore", "-"], to.at, {}, saved.bytes);
    expect(restored.out).toMatch(/^Restored [\d,]+ rows of the backup of /);
    expect(await contentOf(to.database, "events")).toEqual(await contentOf(seeded.database, "events"));
  });

  test("is not written over a file that is there, unless told so, and a failed one leaves nothing", async () => {
    const again = await deltahook(["backup", whole], seeded.target);
    expect(again).toMatchObject({ code: 1, out: "" });
    expect(again.err).toContain("--force");
    expect((await deltahook(["backup", whole, "--force"], seeded.target)).code).toBe(0);
    const nowhere = await deltahook(["backup", join(folder, "no/such/folder.tar.gz")], seeded.target);
    expect(nowhere.err).toContain("cannot be written");
    expect(nowhere.err).not.toMatch(STACK);
  });
});

describe("while it is taken", () => {
  test("events go on, and it holds each one with its deliveries or not at all", async () => {
    const from = await testDatabase();
    cleanups.push(from.drop);
    const receiver = startReceiver();
    await addEndpoint(from.database, { url: receiver.url, maxInFlight: 256 });
    const engine = startEngine(from);
    let publishing = true;
    let published = 0;
    const publisher = (async () => {
      while (publishing) {
        const batch = Array.from({ length: 100 }, () => ({
          event: { type: "order.paid", data: "{}", origin: "api" as const },
          requestHash: Buffer.alloc(0),
        }));
        published += (await engine.delivering.ingest.submitAll(batch)).length;
      }
    })();
    await receiver.arrived(500);
    const file = join(folder, "live.tar.gz");
    expect((await deltahook(["backup", file], from.target)).code).toBe(0);
    publishing = false;
    await publisher;
    await receiver.arrived(published);
    await engine.stop();
    receiver.stop();

    const to = await target(blank.database);
    expect((await deltahook(["restore", file], to.at)).code).toBe(0);
    const [found] = await to.database.sql<{ events: number; deliveries: number; owed: number; jobs: number }[]>`
      select (select count(*) from deltahook.events) as events, (select count(*) from deltahook.deliveries) as deliveries,
        (select count(*) from deltahook.deliveries where state = 'pending') as owed,
        (select count(*) from deltahook.deliveries where job is not null) as jobs`;
    expect(found?.events).toBeGreaterThanOrEqual(500);
    expect(found?.deliveries).toBe(found?.events ?? -1);
    expect(found?.jobs).toBe(0);
  });

  test("one whose reader stands still keeps nobody from writing, nor from making partitions", async () => {
    const from = await testDatabase();
    cleanups.push(from.drop);
    const { sql } = from.database;
    // Random, so that gzip takes nothing off: far more than all buffers between the two.
    await sql`
      insert into deltahook.events (id, type, data, origin)
      select deltahook.uuid7(), 'large', to_json((select string_agg(gen_random_uuid()::text, '') from generate_series(1, 5000))), 'api'
      from generate_series(1, 250)`;
    const child = start(["backup", "-"], from.target);
    cleanups.push(() => child.kill("SIGKILL"));
    const holding = () => sql<{ mode: string }[]>`
      select mode from pg_locks lock
      join pg_class class on class.oid = lock.relation and class.relname like 'events_p%'
      join pg_stat_activity activity on activity.pid = lock.pid and activity.query like 'copy %'
      where mode = 'AccessShareLock'`;
    await eventually(holding, (locks) => locks.length > 0);
    child.kill("SIGSTOP");
    await sql`set lock_timeout = '5s'`;
    await sql`select deltahook.ensure_partitions(now() + interval '30 days')`;
    await sql`insert into deltahook.events (id, type, data, origin) values (deltahook.uuid7(), 'meanwhile', '{}', 'api')`;
    expect((await holding()).length).toBeGreaterThan(0); // it still stood there
    child.kill("SIGCONT");
    const text = await new Response(child.stdout).bytes();
    expect(await child.exited).toBe(0);
    const entries = await unpackTar(gunzipSync(text));
    const rows = entries
      .filter(({ header }) => header.name.startsWith("data/events/"))
      .map(({ data }) => Buffer.from(data ?? []).toString());
    expect(rows.join("").split("\n").length - 1).toBe(250);
  });
});

describe("what was owed", () => {
  let owing: Awaited<ReturnType<typeof testDatabase>>;
  let receiver: ReturnType<typeof startReceiver>;
  let endpoint: string;
  let ids: string[];
  const file = join(folder, "owing.tar.gz");

  beforeAll(async () => {
    owing = await testDatabase();
    receiver = startReceiver();
    ({ id: endpoint } = await addEndpoint(owing.database, { url: receiver.url }));
    const idle = startEngine(owing, { work: false });
    const published = await idle.delivering.ingest.submitAll(
      Array.from({ length: 20 }, (_, n) => ({
        event: { type: "order.paid", data: `{"n":${n}}`, origin: "api" as const },
        requestHash: Buffer.alloc(0),
      })),
    );
    await idle.stop();
    ids = published.map(({ eventId }) => `evt_${eventId.replaceAll("-", "").replace("evt_", "")}`).toSorted();
    await owing.database.sql.unsafe(`
      insert into deltahook.watches (name, definition, host) values ('Order', '{}', 'erp.example.com');
      insert into deltahook.watch_schedule (watch_id, next_poll_at, interval_ms) select id, now(), 1000 from deltahook.watches`);
    // From SQL: nobody has fanned it out yet.
    await owing.database.sql`select deltahook.send('order.paid', '{}', ${receiver.url})`;
    expect((await deltahook(["backup", file], owing.target)).code).toBe(0);
  });
  afterAll(async () => {
    receiver.stop();
    await owing.drop();
  });

  test("is sent by the restored server, under the same webhook-ids", async () => {
    const to = await target(blank.database);
    const { out } = await deltahook(["restore", file], to.at);
    expect(out).toContain("21 deliveries are owed");
    expect(out).toContain("must not run any more");
    const engine = startEngine({ database: to.database, target: to.at });
    cleanups.push(engine.stop);
    await receiver.arrived(20);
    expect([...receiver.ids()].toSorted()).toEqual(ids);
  });

  test("stays where it is in a paused copy, until a person resumes it", async () => {
    const to = await target(blank.database);
    const { out } = await deltahook(["restore", file, "--paused"], to.at);
    expect(out).toContain("nothing is polled or sent");
    const { sql } = to.database;
    const polled = await sql`
      select from deltahook.watches join deltahook.watch_schedule on watch_id = id
      where paused_at is null or next_poll_at is not null`;
    expect(polled.length).toBe(0);
    const before = receiver.received.length;
    const engine = startEngine({ database: to.database, target: to.at });
    cleanups.push(engine.stop);
    // The server looks at each delivery, and sets it aside.
    const parked = () =>
      sql<{ all: boolean }[]>`select bool_and(parked) as all from deltahook.deliveries where state = 'pending'`;
    await eventually(parked, ([row]) => row?.all === true);
    expect(receiver.received.length).toBe(before);
    const [left] = await sql<{ tasks: number }[]>`select count(*) as tasks from deltahook.events where awaits_fan_out`;
    expect(left?.tasks).toBe(0);
    await sql`update deltahook.endpoint_health set paused_reason = null, paused_since = null where endpoint_id = ${endpoint}`;
    await eventually(
      async () => receiver.received.length,
      (count) => count === before + 20,
    );
  });
});

describe("is refused, in a sentence that says how to go on, and nothing is changed:", () => {
  let to: Awaited<ReturnType<typeof target>>;
  const here: (() => unknown)[] = [];
  beforeAll(async () => {
    to = await target();
    here.push(...cleanups.splice(0));
  });
  afterAll(async () => {
    for (const cleanup of here) await cleanup();
  });

  async function rewritten(change: (name: string, data: Buffer) => Buffer | null): Promise<Uint8Array> {
    const entries = await unpackTar(gunzipSync(readFileSync(whole)));
    const kept = entries.flatMap(({ header, data }) => {
      const bytes = change(header.name, Buffer.from(data ?? []));
      return bytes === null ? [] : [{ header: { ...header, size: bytes.length }, body: new Uint8Array(bytes) }];
    });
    return gzipSync(await packTar(kept));
  }

  const manifest =
    (change: (value: { version: number; migrations: string[] }) => object) => (name: string, data: Buffer) =>
      name === "manifest.json" ? Buffer.from(JSON.stringify(change(JSON.parse(data.toString())))) : data;
  const flipped = (bytes: Buffer) => {
    bytes.writeUInt8(bytes.readUInt8(bytes.length >> 1) ^ 0xff, bytes.length >> 1);
    return bytes;
  };
  const files: [string, () => Promise<Uint8Array> | Uint8Array, string][] = [
    ["a text", () => Buffer.from("hello"), "no backup of DeltaHook"],
    ["an empty file", () => Buffer.alloc(0), "no backup of DeltaHook"],
    ["a zipped text", () => gzipSync("hello"), "no backup of DeltaHook"],
    [
      "somebody else's tar",
      async () => gzipSync(await packTar([{ header: { name: "a", size: 1 }, body: "b" }])),
      "no backup of DeltaHook",
    ],
    ["a file cut short", () => readFileSync(whole).subarray(0, statSync(whole).size - 2_000), "damaged"],
    ["a file with a wrong byte", () => flipped(readFileSync(whole)), "damaged"],
    [
      "rows changed by hand",
      () => rewritten((name, data) => (name.includes("/users/") ? flipped(data) : data)),
      "damaged",
    ],
    ["a part taken out", () => rewritten((name, data) => (name.includes("/polls/") ? null : data)), "damaged"],
    ["an end taken off", () => rewritten((name, data) => (name === "parts.json" ? null : data)), "cut short"],
    ["a newer format", () => rewritten(manifest((value) => ({ ...value, version: 2 }))), "newer than this one"],
    [
      "a newer DeltaHook's tables",
      () => rewritten(manifest((value) => ({ ...value, migrations: [...value.migrations, "9999_later.sql"] }))),
      "newer than this one",
    ],
  ];
  test.each(files)("%s", async (_, make, says) => {
    const file = join(folder, "bad.tar.gz");
    writeFileSync(file, await make());
    const { err, out, code } = await deltahook(["restore", file], to.at);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain(says);
    expect(err).not.toMatch(STACK);
    expect(await isUntouched(to.database)).toBe(true);
  });

  test("a file that is not there", async () => {
    const { err, code } = await deltahook(["restore", join(folder, "none.tar.gz")], to.at);
    expect(err).toContain("cannot be read");
    expect(err).not.toMatch(STACK);
    expect(code).toBe(1);
  });

  test("another master key, unless it is done without", async () => {
    const other = { MASTER_KEY: "some other master key 0123456789 0123456789" };
    const { err, code } = await deltahook(["restore", whole], to.at, other);
    expect(err).toContain("the master key here is another one");
    expect(code).toBe(1);
    expect(await isUntouched(to.database)).toBe(true);
    const [before, without] = [await target(blank.database), await target(blank.database)];
    const known = { ...other, MASTER_KEY_PREVIOUS: KEY };
    expect((await deltahook(["restore", whole], before.at, known)).code).toBe(0);
    expect((await deltahook(["restore", whole, "--without-key"], without.at, other)).code).toBe(0);
  });

  test("a database with rows, or with a server on it", async () => {
    const used = await deltahook(["restore", whole], seeded.target);
    expect(used.err).toContain("A server works on this database"); // this test's own connections pass for one
    const at = await target(blank.database);
    await at.database.sql`insert into deltahook.nodes (pool_id, node_id, pool, version) values ('p', 'n', 'poll', '1')`;
    expect((await deltahook(["restore", whole], at.at)).err).toContain("A server works on this database");
    await at.database.sql`update deltahook.nodes set beat_at = now() - interval '1 minute'`;
    await at.database.sql`insert into deltahook.users (email, role) values ('a@example.com', 'admin')`;
    const { err, code } = await deltahook(["restore", whole, "--json"], at.at);
    expect(JSON.parse(err)).toMatchObject({ error: { code: "conflict" } });
    expect(err).toContain("rows in users");
    expect(code).toBe(1);
    await at.database.sql`delete from deltahook.users`;
    expect((await deltahook(["restore", whole], at.at)).code).toBe(0);
    expect(await contentOf(at.database, "nodes")).toMatchObject({ rows: 0 });
  });
});

test("what docs/backup.md tells people to run is taken as it stands there", async () => {
  const page = readFileSync(join(import.meta.dir, "../../docs/backup.md"), "utf8");
  const [block = ""] = [...page.matchAll(/```sh\n(# drill[\s\S]*?)```/g)].map((match) => match[1] ?? "");
  const shim = `deltahook() { "${process.execPath}" "${MAIN}" "$@"; }\n`;
  const to = await target(blank.database);
  const scratch = await target(blank.database);
  await deltahook(["restore", whole], to.at); // our own connections to the seeded one pass for a server
  const run = Bun.spawnSync(["sh", "-ec", shim + block.replaceAll("npm run -s deltahook -- ", "deltahook ")], {
    cwd: folder,
    env: {
      PATH: process.env.PATH ?? "",
      DATABASE_URL: connectionString(to.at),
      SCRATCH_URL: connectionString(scratch.at),
      MASTER_KEY: KEY,
      JWT_SECRET: KEY,
    },
  });
  expect({ code: run.exitCode, err: run.stderr.toString() }).toEqual({ code: 0, err: "" });
  expect(await contentOf(scratch.database, "events")).toEqual(await contentOf(seeded.database, "events"));
  const told = [...page.matchAll(/deltahook -- (backup|restore)([^\n`|]*)/g)].flatMap(([, command = "", words = ""]) =>
    [...words.matchAll(/--[a-z-]+/g)].map(([option]) => [command, option] as const),
  );
  const help = {
    backup: (await deltahook(["help", "backup"], to.at)).out,
    restore: (await deltahook(["help", "restore"], to.at)).out,
  };
  for (const [command, option] of told) expect(help[command as "backup" | "restore"]).toContain(option);
});

test("a restore that is killed leaves an empty database, on which it can be done again", async () => {
  const to = await target(blank.database);
  const bytes = readFileSync(whole);
  const child = start(["restore", "-"], to.at, {}, "pipe");
  if (typeof child.stdin === "number" || child.stdin === undefined) throw new Error("no pipe");
  child.stdin.write(bytes.subarray(0, bytes.length - 1_000));
  child.stdin.flush();
  const loading = () => to.database.sql<{ rows: number }[]>`
    select sum(tuples_processed)::int as rows from pg_stat_activity activity
    join pg_locks lock on lock.pid = activity.pid and lock.mode = 'RowExclusiveLock'
    join pg_class class on class.oid = lock.relation and class.relname = 'users'
    left join pg_stat_progress_copy progress on progress.pid = activity.pid
    where activity.datname = current_database() and application_name = 'deltahook-cli' having count(*) > 0`;
  await eventually(loading, (rows) => rows.length > 0);
  child.kill("SIGKILL");
  await child.exited;
  expect((await contents(to.database)).users?.rows).toBe(0);
  expect((await deltahook(["restore", whole], to.at)).code).toBe(0);
  expect(await contents(to.database)).toEqual(await contents(seeded.database));
});

test("a backup of an earlier DeltaHook is loaded into its tables and migrated; later tables are refused for it", async () => {
  const list = migrations();
  const old = await target();
  await migrate(old.database, {
    log: silentLog,
    installQueue: () => installQueue(old.at, silentLog),
    list: list.slice(0, 7),
  });
  await old.database.sql`insert into deltahook.users (email, role) values ('old@example.com', 'admin')`;
  const file = join(folder, "old.tar.gz");
  expect((await deltahook(["backup", file, "--force"], old.at)).code).toBe(0);
  const to = await target();
  expect((await deltahook(["restore", file], to.at)).code).toBe(0);
  expect(await contentOf(to.database, "migrations")).toMatchObject({ rows: list.length });
  expect(await contentOf(to.database, "users")).toMatchObject({ rows: 1 });
  await to.database.sql`delete from deltahook.users`;
  expect((await deltahook(["restore", file], to.at)).err).toContain("later DeltaHook than the backup's");
});
