import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { AppError, messageOf } from "../errors.ts";
import type { Log } from "../log.ts";
import { type Account, canEnter, spawnAs } from "./account.ts";
import type { Binaries } from "./binaries.ts";

/** The role that owns everything in the cluster, and the database it uses. */
export const OWNER = "deltahook";

/** Starting values, written into postgresql.conf, where an operator may tune them. */
const TUNABLE = {
  max_connections: "100",
  shared_buffers: "128MB",
  max_wal_size: "2GB",
  wal_compression: "on",
  random_page_cost: "1.1",
  jit: "off",
  timezone: "UTC",
  log_timezone: "UTC",
  log_checkpoints: "off",
};

/** Where the cluster of a DATA_DIR lies: in it, or where a link in it points to. @returns null when there is none yet. */
export function findCluster(dataDir: string): string | null {
  const place = join(dataDir, "postgres");
  const entry = lstatSync(place, { throwIfNoEntry: false });
  if (!entry) return null;
  if (entry.isSymbolicLink() && !existsSync(place)) {
    const target = readlinkSync(place);
    const remedy = "bring that folder back, or delete the link to start with an empty database";
    throw new AppError("unavailable", `${place} points to ${target}, which is gone: ${remedy}.`);
  }
  const cluster = realpathSync(place);
  return entry.isDirectory() && readdirSync(cluster).length === 0 ? null : cluster;
}

/**
 * Refuses, untouched, what this Postgres cannot serve: another version's cluster, somebody else's, or no cluster at all.
 */
export function checkCluster(cluster: string, account: Account | null, binaries: Binaries): void {
  const versionFile = join(cluster, "PG_VERSION");
  if (!existsSync(versionFile)) {
    throw new AppError("unavailable", `${cluster} is no Postgres cluster (it has no PG_VERSION): move it away.`);
  }
  const version = readFileSync(versionFile, "utf8").trim();
  if (version !== binaries.major) {
    throw new AppError(
      "unavailable",
      `${cluster} was made by Postgres ${version}, and DeltaHook brings Postgres ${binaries.major}. Nothing was touched. Either run a Postgres ${version} server on it and set DATABASE_URL, or dump it with pg_dumpall of Postgres ${version}, move the folder away, start DeltaHook once and load the dump.`,
    );
  }
  const { uid } = statSync(cluster);
  if (account === null && uid !== process.getuid?.()) {
    throw new AppError("unavailable", `${cluster} belongs to uid ${uid}: start DeltaHook as that user or as root.`);
  }
  if (account !== null && uid === 0) give(cluster, account); // a restored backup, say
  if (!canEnter(account, cluster)) {
    const remedy = `make the folders above it enterable (chmod o+x), or move DATA_DIR`;
    throw new AppError(
      "unavailable",
      `Postgres runs as ${account?.name ?? "this user"} and cannot enter ${cluster}: ${remedy}.`,
    );
  }
}

/**
 * Makes the cluster of a DATA_DIR. When the account of Postgres cannot enter DATA_DIR (below /root, say), the cluster
 * goes to `systemDir` and DATA_DIR gets a link to it. It appears under its name only when it is whole.
 */
export async function createCluster(
  dataDir: string,
  systemDir: string,
  account: Account | null,
  binaries: Binaries,
  log: Log,
): Promise<string> {
  const place = join(dataDir, "postgres");
  const cluster = letIn(account, dataDir)
    ? place
    : join(systemDir, `data-${randomBytes(4).toString("hex")}`, "postgres");
  const draft = `${cluster}.new`;
  log.info("creating the database cluster", { cluster });
  if (cluster !== place) {
    log.warn("DATA_DIR is closed to the account of Postgres: the cluster lies elsewhere and DATA_DIR links to it", {
      account: account?.name,
      data_dir: dataDir,
      cluster,
    });
  }
  try {
    rmSync(draft, { recursive: true, force: true });
    mkdirSync(dirname(draft), { recursive: true, mode: 0o755 });
    mkdirSync(draft, { mode: 0o700 });
    if (account) chownSync(draft, account.uid, account.gid);
    const template = findTemplate(systemDir, binaries);
    if (template === null) await initialise(draft, account, binaries);
    else await copyTemplate(template, draft, account);
    renameSync(draft, cluster);
    if (cluster !== place) {
      rmSync(place, { recursive: true, force: true }); // an empty folder at most
      symlinkSync(cluster, place);
    }
    return cluster;
  } catch (cause) {
    rmSync(draft, { recursive: true, force: true });
    if (cause instanceof AppError) throw cause;
    const message = `The database cluster could not be created in ${cluster}: ${messageOf(cause)}. Put DATA_DIR on a local disk that can be written, or set DATABASE_URL.`;
    throw new AppError("unavailable", message, { cause });
  }
}

async function initialise(folder: string, account: Account | null, { initdb, postgres }: Binaries): Promise<void> {
  const settings = Object.entries(TUNABLE).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
  const access = [`--username=${OWNER}`, "--auth-local=trust", "--auth-host=reject"];
  await runAs(account, [initdb, "-D", folder, ...access, ...locale, "--data-checksums", ...settings]);
  // Without a server, so that a cluster with its name always has its database.
  await runAs(account, [postgres, "--single", "-D", folder, "postgres"], `create database ${OWNER}\n`);
}

/**
 * A cluster made beforehand, as the container image has one in `systemDir`: initdb refuses a uid without an entry in
 * /etc/passwd, and a container may run under any.
 */
function findTemplate(systemDir: string, { major }: Binaries): string | null {
  const template = join(systemDir, "template");
  const versionFile = join(template, "PG_VERSION");
  return existsSync(versionFile) && readFileSync(versionFile, "utf8").trim() === major ? template : null;
}

/** Everybody may read the template, and nobody but Postgres its copy, which lies on the disk before it gets its name. */
async function copyTemplate(template: string, draft: string, account: Account | null): Promise<void> {
  await runAs(account, [
    "/bin/sh",
    "-c",
    'cp -R "$1/." "$2" && chmod -R u=rwX,go= "$2" && sync -f "$2"',
    "sh",
    template,
    draft,
  ]);
}

async function runAs(account: Account | null, command: string[], input = ""): Promise<void> {
  const child = Bun.spawn(command, { ...spawnAs(account), stdio: [Buffer.from(input), "ignore", "pipe"] });
  const errors = (await new Response(child.stderr).text()).trim();
  const exitCode = await child.exited;
  if (exitCode !== 0 || /^(ERROR|FATAL|PANIC):/m.test(errors)) throw new Error(errors || `exit code ${exitCode}`);
}

/** Whether the account can enter DATA_DIR; a closed DATA_DIR of our own is opened to pass through, not to be listed. */
function letIn(account: Account | null, dataDir: string): boolean {
  if (canEnter(account, dataDir)) return true;
  const { mode } = statSync(dataDir);
  chmodSync(dataDir, mode | 0o001);
  if (canEnter(account, dataDir)) return true;
  chmodSync(dataDir, mode);
  return false;
}

function give(folder: string, { uid, gid }: Account): void {
  const { success, stderr } = Bun.spawnSync(["chown", "-R", `${uid}:${gid}`, folder]);
  if (!success) throw new AppError("unavailable", `${folder} cannot be given to Postgres: ${stderr.toString().trim()}`);
}
