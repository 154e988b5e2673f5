import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionTarget, connectDatabase, type Database } from "../../src/platform/database.ts";
import { silentLog } from "../../src/platform/log.ts";
import { migrate, migrations } from "../../src/platform/migrate.ts";
import { installQueue } from "../../src/platform/queue.ts";

/** The cluster that the tests of this run share: the runner's, or one of this process's own. */
let cluster: Promise<ConnectionTarget & { host: string }> | null = null;

/** A migrated database of one's own, cloned from a template; `drop` closes and removes it. */
export async function testDatabase(): Promise<{ database: Database; target: ConnectionTarget; drop(): Promise<void> }> {
  const target = await emptyDatabase(await template());
  const database = connectDatabase(target, { max: 8, log: silentLog });
  return {
    database,
    target,
    async drop() {
      await database.close();
      await dropDatabase(target);
    },
  };
}

/** A database on the shared cluster, without our schema unless cloned `from` another. */
export async function emptyDatabase(from?: string): Promise<ConnectionTarget & { database: string }> {
  const server = await sharedCluster();
  const name = `t_${randomBytes(8).toString("hex")}`;
  const admin = connectDatabase({ ...server, database: "postgres" }, { max: 1, log: silentLog });
  try {
    await admin.sql.unsafe(`create database ${name}${from ? ` template ${from}` : ""}`);
  } finally {
    await admin.close();
  }
  return { ...server, database: name } as ConnectionTarget & { database: string };
}

/** Ends whoever is still connected and removes the database. */
export async function dropDatabase(target: ConnectionTarget): Promise<void> {
  if (!("database" in target)) return;
  const admin = connectDatabase({ ...target, database: "postgres" }, { max: 1, log: silentLog });
  await admin.sql.unsafe(`drop database if exists ${target.database} with (force)`);
  await admin.close();
}

/** The migrated template, made once per state of sql/ and cluster, whoever comes first. */
async function template(): Promise<string> {
  const server = await sharedCluster();
  const state = createHash("sha256");
  for (const migration of migrations()) state.update(migration.checksum);
  const name = `template_${state.digest("hex").slice(0, 16)}`;
  const admin = connectDatabase({ ...server, database: "postgres" }, { max: 1, log: silentLog });
  try {
    await admin.sql`select pg_advisory_lock(4711)`;
    const [found] = await admin.sql`select 1 from pg_database where datname = ${name}`;
    if (found) return name;
    const draft = `draft_${randomBytes(8).toString("hex")}`;
    await admin.sql.unsafe(`create database ${draft}`);
    const target = { ...server, database: draft } as ConnectionTarget;
    const database = connectDatabase(target, { max: 2, log: silentLog });
    await migrate(database, { log: silentLog, installQueue: () => installQueue(target, silentLog) });
    await database.close();
    await admin.sql.unsafe(`alter database ${draft} rename to ${name}`);
    return name;
  } finally {
    await admin.close();
  }
}

function sharedCluster(): Promise<ConnectionTarget & { host: string }> {
  cluster ??= openCluster();
  return cluster;
}

async function openCluster(): Promise<ConnectionTarget & { host: string }> {
  const given = process.env.DELTAHOOK_TEST_POSTGRES;
  if (given) return JSON.parse(given) as ConnectionTarget & { host: string };
  const { startEmbedded } = await import("../../src/platform/embedded.ts");
  const dataDir = mkdtempSync(join(tmpdir(), "deltahook-test-"));
  const embedded = await startEmbedded({ dataDir, log: silentLog });
  const remove = () => rmSync(dataDir, { recursive: true, force: true });
  const atExit = () => {
    if (embedded.pid) process.kill(embedded.pid, "SIGQUIT");
    remove();
  };
  process.on("exit", atExit);
  closeOwn = async () => {
    process.removeListener("exit", atExit);
    await embedded.stop();
    remove();
  };
  return embedded.connection;
}

let closeOwn = async (): Promise<void> => {};

/** Ends the cluster of this process, if it has one of its own. Under `bun test` there is no `exit`: see after_all.ts. */
export function closeCluster(): Promise<void> {
  return closeOwn();
}
