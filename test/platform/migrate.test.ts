import { afterEach, expect, test } from "bun:test";
import { type ConnectionTarget, connectDatabase, type Database } from "../../src/platform/database.ts";
import { AppError } from "../../src/platform/errors.ts";
import { silentLog } from "../../src/platform/log.ts";
import { type Migration, migrate, migrations } from "../../src/platform/migrate.ts";
import { installQueue } from "../../src/platform/queue.ts";
import { dropDatabase, emptyDatabase } from "../support/database.ts";

const opened: { database: Database; target: ConnectionTarget }[] = [];

afterEach(async () => {
  for (const { database, target } of opened.splice(0)) {
    await database.close();
    await dropDatabase(target);
  }
});

async function fresh() {
  const target = await emptyDatabase();
  const database = connectDatabase(target, { max: 4, log: silentLog });
  opened.push({ database, target });
  return { database, target };
}

function run(at: { database: Database; target: ConnectionTarget }, list?: Migration[]): Promise<string[]> {
  const options = { log: silentLog, installQueue: () => installQueue(at.target, silentLog) };
  return migrate(at.database, list ? { ...options, list } : options);
}

function bare(at: { database: Database }, list: Migration[]): Promise<string[]> {
  return migrate(at.database, { log: silentLog, list, installQueue: async () => {} });
}

function step(name: string, text: string): Migration {
  return { name, text, checksum: Bun.hash(text).toString(16) };
}

async function refusal(migrating: Promise<unknown>): Promise<AppError> {
  const error = await migrating.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(AppError);
  return error as AppError;
}

test("every file is applied in order, and a second run finds nothing to do", async () => {
  const at = await fresh();
  const names = migrations().map(({ name }) => name);
  expect(names).toEqual([...names].sort());
  expect(await run(at)).toEqual(names);
  expect(await run(at)).toEqual([]);
  const applied = await at.database.sql<{ name: string }[]>`select name from deltahook.migrations order by name`;
  expect(applied.map((row) => row.name)).toEqual(names);
});

test("two nodes that start together apply each file once", async () => {
  const at = await fresh();
  const other = connectDatabase(at.target, { max: 4, log: silentLog });
  try {
    const applied = await Promise.all([run(at), run({ ...at, database: other })]);
    expect(applied.flat().sort()).toEqual(migrations().map(({ name }) => name));
    expect(applied.map((names) => names.length).sort()).toEqual([0, migrations().length]);
  } finally {
    await other.close();
  }
});

test("an edited file is refused, and nothing after it is applied", async () => {
  const at = await fresh();
  const first = step("0001_a.sql", "create table deltahook.a ()");
  await bare(at, [first]);
  const error = await refusal(
    bare(at, [{ ...first, checksum: "edited" }, step("0002_b.sql", "create table deltahook.b ()")]),
  );
  expect(error.code).toBe("conflict");
  expect(error.message).toContain("0001_a.sql differs from the file in sql/. Restore the file");
  const [row] = await at.database.sql`select to_regclass('deltahook.b') as b`;
  expect(row?.b).toBeNull();
});

test("a database of a newer version is refused", async () => {
  const at = await fresh();
  const first = step("0001_a.sql", "create table deltahook.a ()");
  await bare(at, [first, step("0009_later.sql", "select 1")]);
  const error = await refusal(bare(at, [first]));
  expect(error.code).toBe("conflict");
  expect(error.message).toContain("migrated by a newer DeltaHook (0009_later.sql)");
});

test("a file that fails leaves no trace, those before it stay, and a mended one goes on from there", async () => {
  const at = await fresh();
  const first = step("0001_a.sql", "create table deltahook.a ()");
  const broken = step("0002_b.sql", "create table deltahook.b (); select 1/0");
  expect(bare(at, [first, broken])).rejects.toThrow("division by zero");
  await bare(at, [first]);
  const [row] = await at.database.sql`select to_regclass('deltahook.a') as a, to_regclass('deltahook.b') as b`;
  expect(row).toMatchObject({ b: null });
  expect(row?.a).not.toBeNull();
  expect(await bare(at, [first, step("0002_b.sql", "create table deltahook.b ()")])).toEqual(["0002_b.sql"]);
});

test("an old server is refused with the remedy", async () => {
  const at = await fresh();
  // The one thing that no test cluster here is: what `current_setting` answers is what an old server would say.
  await at.database.sql.unsafe(`
    create schema old;
    create function old.current_setting(name text) returns text language sql as
      $$ select case name when 'server_version_num' then '140011' else '14.11' end $$;
    alter database ${"database" in at.target ? at.target.database : ""} set search_path = old, pg_catalog, public`);
  const old = connectDatabase(at.target, { max: 1, log: silentLog });
  try {
    const error = await refusal(bare({ database: old }, []));
    expect(error.code).toBe("unavailable");
    expect(error.message).toBe(
      "Postgres 14.11 is too old: DeltaHook needs 15 or newer. Upgrade the server or point DATABASE_URL at another.",
    );
    const [row] = await old.sql`select to_regnamespace('deltahook') as ours`;
    expect(row?.ours).toBeNull();
  } finally {
    await old.close();
  }
});
