import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { AppError } from "../errors.ts";
import type { Log } from "../log.ts";

const FAST_MS = 10_000;
const IMMEDIATE_MS = 5_000;

/**
 * Stops a Postgres that outlived its DeltaHook (after SIGKILL of ours). Call it holding the cluster's lock: then any
 * postmaster on the cluster is an orphan.
 */
export async function stopOrphan(cluster: string, log: Log): Promise<void> {
  const left = readPidFile(cluster);
  if (!left) return;
  if (!isPostmaster(left.pid, cluster)) {
    // The id may belong to a stranger by now (ids repeat in containers), and Postgres would take that for a postmaster.
    // A dead id is left to Postgres, which then looks for surviving backends itself.
    if (isAlive(left.pid)) rmSync(join(cluster, "postmaster.pid"));
    return;
  }
  log.warn("stopping the Postgres that an earlier run left behind", { pid: left.pid });
  const gone =
    (await end(left.pid, "SIGINT", FAST_MS, cluster)) || (await end(left.pid, "SIGQUIT", IMMEDIATE_MS, cluster));
  if (!gone) {
    throw new AppError(
      "unavailable",
      `Postgres (pid ${left.pid}) of an earlier run does not stop: end it, then start again.`,
    );
  }
}

/** What a postmaster says of itself in `postmaster.pid`; its eighth line is its state. */
export function readPidFile(cluster: string): { pid: number; socketDir: string; state: string } | null {
  let text: string;
  try {
    text = readFileSync(join(cluster, "postmaster.pid"), "utf8");
  } catch {
    return null; // none, or just removed
  }
  const lines = text.split("\n");
  return { pid: Number(lines[0]), socketDir: lines[4] ?? "", state: lines[7]?.trim() ?? "" };
}

async function end(pid: number, signal: NodeJS.Signals, waitMs: number, cluster: string): Promise<boolean> {
  if (isAlive(pid)) process.kill(pid, signal);
  const until = performance.now() + waitMs;
  while (isPostmaster(pid, cluster)) {
    if (performance.now() > until) return false;
    await Bun.sleep(20);
  }
  return true;
}

/** Whether this process is a postmaster on this cluster; a zombie has no command line and is none. */
function isPostmaster(pid: number, cluster: string): boolean {
  return commandLine(pid).includes(`postgres -D ${cluster} `);
}

function commandLine(pid: number): string {
  if (process.platform !== "linux")
    return Bun.spawnSync(["ps", "-ww", "-o", "command=", "-p", String(pid)]).stdout.toString();
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return ""; // gone
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
