import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { type Config, loadConfig } from "../platform/config.ts";
import { type ConnectionTarget, connectDatabase, type Database, targetOf } from "../platform/database.ts";
import { findCluster, OWNER } from "../platform/embedded/cluster.ts";
import { readPidFile } from "../platform/embedded/orphan.ts";
import { startEmbedded } from "../platform/embedded.ts";
import { AppError } from "../platform/errors.ts";
import { createLog, type Log } from "../platform/log.ts";
import { migrate } from "../platform/migrate.ts";
import { installQueue } from "../platform/queue.ts";

/** What a command works with. */
export type Opened = { config: Config; dataDir: string; target: ConnectionTarget; database: Database; log: Log };

type Place = { target: ConnectionTarget; close(): Promise<void>; ours: boolean };

const NAME = "deltahook-cli";
const STARTING_MS = 15_000;
const CLOSING_MS = 2_000;
const PORT = 5432; // only part of a private socket's name

/**
 * Runs a command's work on the database of the settings: DATABASE_URL, or the embedded Postgres of DATA_DIR. That one is
 * started for the moment; while a server runs on DATA_DIR, its private socket is used.
 * @param options `create`: makes DATA_DIR's database when there is none; `migrated`: the work needs our tables
 */
export async function withDatabase<T>(
  work: (opened: Opened) => Promise<T>,
  options: { create?: boolean; migrated?: boolean } = {},
): Promise<T> {
  const { config } = loadConfig(process.env);
  const log = createLog({ level: "error", format: "pretty", write: (line) => void process.stderr.write(line) });
  const dataDir = resolve(config.DATA_DIR ?? "data");
  // Whoever interrupts a command must not leave a Postgres behind: it ends with us, by our `exit` event.
  const interrupted = () => process.exit(130);
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, interrupted);

  const place = await openPlace(config, dataDir, options.create ?? false, log);
  try {
    const database = connectDatabase(place.target, { max: 2, log, name: NAME });
    try {
      if (options.migrated ?? true) await requireTables(database, place, log);
      return await work({ config, dataDir, target: place.target, database, log });
    } finally {
      if (place.ours) await othersGone(database);
      await database.close();
    }
  } finally {
    await place.close();
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.removeListener(signal, interrupted);
  }
}

async function openPlace(config: Config, dataDir: string, create: boolean, log: Log): Promise<Place> {
  if (config.DATABASE_URL !== null)
    return { target: targetOf(config.DATABASE_URL), close: async () => {}, ours: false };
  if (!create && (!existsSync(dataDir) || findCluster(dataDir) === null)) {
    throw new AppError(
      "not_found",
      `There is no database in ${dataDir}: set DATA_DIR or DATABASE_URL to where yours is, or make one with \`deltahook serve\`.`,
    );
  }
  try {
    const embedded = await startEmbedded({ dataDir, log });
    return { target: embedded.connection, close: embedded.stop, ours: true };
  } catch (error) {
    // Whoever holds the lock of DATA_DIR has the Postgres running, or will have in a moment.
    if (!(error instanceof AppError) || error.code !== "conflict") throw error;
    return { target: await runningSocket(dataDir, error), close: async () => {}, ours: false };
  }
}

/** The queue's driver closes its connections in the background, and dies of a Postgres that goes away meanwhile. */
async function othersGone({ sql }: Database): Promise<void> {
  const giveUpAt = performance.now() + CLOSING_MS;
  while (performance.now() < giveUpAt) {
    const others = await sql`
      select from pg_stat_activity
      where backend_type = 'client backend' and application_name <> ${NAME} and pid <> pg_backend_pid()`;
    if (others.length === 0) return;
    await Bun.sleep(5);
  }
}

/** The private socket of the Postgres that another process runs on DATA_DIR. */
async function runningSocket(dataDir: string, otherwise: AppError): Promise<ConnectionTarget> {
  const giveUpAt = performance.now() + STARTING_MS;
  while (performance.now() < giveUpAt) {
    const cluster = findCluster(dataDir);
    const status = cluster === null ? null : readPidFile(cluster);
    if (status?.state === "ready") return { host: status.socketDir, port: PORT, user: OWNER, database: OWNER };
    await Bun.sleep(50);
  }
  throw otherwise;
}

/** Only a database that nobody else uses is migrated in passing: nodes of another version may be at work on any other. */
async function requireTables(database: Database, place: Place, log: Log): Promise<void> {
  if (place.ours) {
    await migrate(database, { log, installQueue: () => installQueue(place.target, log) });
    return;
  }
  const [row] = await database.sql<
    { there: boolean }[]
  >`select to_regclass('deltahook.migrations') is not null as there`;
  if (row?.there) return;
  throw new AppError("conflict", "This database has no tables of DeltaHook yet: run `deltahook migrate` first.");
}
