import { chownSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { type Account, chooseAccount } from "./embedded/account.ts";
import { findBinaries } from "./embedded/binaries.ts";
import { checkCluster, createCluster, findCluster, OWNER } from "./embedded/cluster.ts";
import { type Lock, takeLock } from "./embedded/lock.ts";
import { readPidFile, stopOrphan } from "./embedded/orphan.ts";
import { startPostmaster } from "./embedded/postmaster.ts";
import type { Log } from "./log.ts";

export type EmbeddedPostgres = {
  /** `host` is the folder of a private Unix socket; there is no password and no TCP port. */
  connection: { host: string; port: number; user: string; database: string };
  /** Where the cluster lies: `<dataDir>/postgres`, or where that links to. */
  cluster: string;
  /** Of the postmaster; undefined while it is being started again after a crash. */
  readonly pid: number | undefined;
  /** Stops Postgres, then lets go of DATA_DIR. */
  stop(): Promise<void>;
};

type Options = {
  dataDir: string;
  log: Log;
  /** Where root puts what the account of Postgres cannot reach in its own place. */
  systemDir?: string;
};

const PORT = 5432; // only part of the socket's name
const SOCKET = `.s.PGSQL.${PORT}`;
const SOCKET_PREFIX = "deltahook-";

/**
 * Starts the Postgres that comes with DeltaHook on `<dataDir>/postgres`, making the cluster when there is none, and
 * keeps it running until `stop()`. Needs no port, no password and no other account; as root it runs Postgres as one.
 * @throws AppError when DATA_DIR is in use, holds another Postgres's cluster, or Postgres cannot run here.
 */
export async function startEmbedded(options: Options): Promise<EmbeddedPostgres> {
  const { log, systemDir = "/var/lib/deltahook" } = options;
  const dataDir = openDataDir(resolve(options.dataDir));
  const locks = [takeLock(join(dataDir, "postgres.lock"), dataDir)];
  let socketDir: string | null = null;
  const letGo = () => {
    if (socketDir) removeTemporary(socketDir);
    for (const lock of locks) lock.release();
  };
  try {
    const existing = findCluster(dataDir);
    const account = chooseAccount(existing);
    const binaries = findBinaries(account, systemDir, log);
    if (existing) {
      locks.push(...lockElsewhere(existing, dataDir));
      checkCluster(existing, account, binaries);
      await clearAfterCrash(existing, log);
    }
    const cluster = existing ?? (await createCluster(dataDir, systemDir, account, binaries, log));
    socketDir = chooseSocketDir(cluster, account);
    const postmaster = await startPostmaster({ ...binaries, cluster, socketDir, port: PORT, account, log });
    let stopped: Promise<void> | undefined;
    log.info("Postgres is ready", { pid: postmaster.pid, cluster, account: account?.name });
    return {
      connection: { host: socketDir, port: PORT, user: OWNER, database: OWNER },
      cluster,
      get pid() {
        return postmaster.pid;
      },
      stop: () => (stopped ??= postmaster.stop().then(letGo)),
    };
  } catch (error) {
    letGo();
    throw error;
  }
}

/** Only DATA_DIR itself is made private: closed folders above it would shut out the account of Postgres. */
function openDataDir(dataDir: string): string {
  mkdirSync(dirname(dataDir), { recursive: true });
  if (!existsSync(dataDir)) mkdirSync(dataDir, { mode: 0o700 });
  return realpathSync(dataDir);
}

/** A copied DATA_DIR may link to the same cluster as the first: its own lock would not keep the two apart. */
function lockElsewhere(cluster: string, dataDir: string): Lock[] {
  return cluster === join(dataDir, "postgres") ? [] : [takeLock(`${cluster}.lock`, dataDir)];
}

async function clearAfterCrash(cluster: string, log: Log): Promise<void> {
  const socketDir = readPidFile(cluster)?.socketDir;
  await stopOrphan(cluster, log);
  if (socketDir) removeTemporary(socketDir);
}

/** The cluster itself, which is private already; a short folder elsewhere when a socket's path would be too long. */
function chooseSocketDir(cluster: string, account: Account | null): string {
  if (fitsSocket(cluster)) return cluster;
  const parent = fitsSocket(join(tmpdir(), `${SOCKET_PREFIX}XXXXXX`)) ? tmpdir() : "/tmp";
  const folder = mkdtempSync(join(parent, SOCKET_PREFIX));
  if (account) chownSync(folder, account.uid, account.gid);
  return folder;
}

/** sun_path holds 108 bytes with its final zero on Linux, 104 on macOS; the comma separates folders in Postgres. */
function fitsSocket(folder: string): boolean {
  const limit = process.platform === "linux" ? 107 : 103;
  return Buffer.byteLength(join(folder, SOCKET)) <= limit && !/[,"]/.test(folder);
}

/** Removes a folder made by `chooseSocketDir`: nothing but the socket and its lock, and never a cluster. */
function removeTemporary(socketDir: string): void {
  if (!basename(socketDir).startsWith(SOCKET_PREFIX) || existsSync(join(socketDir, "PG_VERSION"))) return;
  for (const name of [SOCKET, `${SOCKET}.lock`]) rmSync(join(socketDir, name), { force: true });
  if (existsSync(socketDir)) rmdirSync(socketDir);
}
