// Starts DeltaHook from a fresh clone: finds or installs the pinned Bun, installs the packages of bun.lock, then hands
// over to Bun. Runs under plain Node >= 20, or any Bun, with nothing installed: only `node:` imports belong here.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findBun, nativeBuns, run } from "./runtime.mjs";

/** A failure to tell in one sentence, with its remedy. */
class Fault extends Error {}

const OLDEST_NODE = 20;
const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const modules = join(root, "node_modules");
const bootstrap = join(modules, ".bootstrap"); // Bun, while `bun install` has not yet brought it
const stamp = join(modules, ".installed"); // what node_modules was installed from
const version = JSON.parse(readFileSync(join(root, "package.json"), "utf8")).dependencies.bun;

try {
  requireNode();
  run(ensureInstalled(), entry(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof Fault)) throw error;
  console.error(`deltahook: ${error.message}`);
  process.exitCode = 1;
}

/** The script and arguments that a command line stands for; everything that is not ours is a word of the CLI. */
function entry([command, ...args]) {
  if (command === "test") return [join(root, "test/run.ts"), ...args];
  if (command === "check") return [join(root, "test/run.ts"), "--checks-only", ...args];
  if (command === "build") return [join(root, "src/client/build.ts"), ...args];
  if (command === "bench") return [join(root, "test/bench/run.ts"), ...args];
  return [join(root, "src/cli/main.ts"), ...(command === undefined ? [] : [command, ...args])];
}

function requireNode() {
  if (process.versions.bun || Number.parseInt(process.versions.node, 10) >= OLDEST_NODE) return;
  throw new Fault(`Node ${process.versions.node} is too old: install Node ${OLDEST_NODE} or newer, or Bun ${version}.`);
}

/** Brings node_modules to what bun.lock says. @returns the path of the pinned Bun. */
function ensureInstalled() {
  const wanted = fingerprint();
  const bun = findPinned();
  if (bun && readIfThere(stamp) === wanted) return bun;

  makeWritable(modules);
  rmSync(stamp, { force: true });
  installPackages(bun ?? (process.versions.bun ? process.execPath : installBun()));
  writeFileSync(stamp, wanted);

  const installed = findPinned();
  if (!installed) throw new Fault(`Bun ${version} does not run on this machine (${process.platform} ${process.arch}).`);
  if (!installed.startsWith(bootstrap)) rmSync(bootstrap, { recursive: true, force: true });
  return installed;
}

function fingerprint() {
  const hash = createHash("sha256").update(`${process.platform} ${process.arch}\n`);
  for (const name of ["package.json", "bun.lock"]) hash.update(readFileSync(join(root, name)));
  return hash.digest("hex");
}

/** The first Bun of exactly the pinned version: the one running this, the project's, the machine's, our own. */
function findPinned() {
  const running = process.versions.bun ? [process.execPath] : [];
  const places = [...running, join(modules, ".bin", "bun"), ...nativeBuns(modules), "bun"];
  return findBun([...places, ...nativeBuns(join(bootstrap, "node_modules"))], version);
}

function installBun() {
  console.error(`Installing Bun ${version} …`);
  const flags = "--no-save --no-package-lock --ignore-scripts --include=optional --no-audit --no-fund --loglevel=error";
  const npm = spawnSync("npm", ["install", ...flags.split(" "), "--prefix", bootstrap, `bun@${version}`], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (npm.error?.code === "ENOENT") {
    throw new Fault(`npm is not on the PATH: install Node with npm, or Bun ${version}, and run this again.`);
  }
  if (npm.status !== 0) {
    throw new Fault(`npm could not install Bun ${version}: check the network (or npm's registry and proxy settings).`);
  }
  const bun = findPinned();
  if (!bun) throw new Fault(`There is no Bun ${version} for this machine (${process.platform} ${process.arch}).`);
  return bun;
}

function installPackages(bun) {
  console.error("Installing packages …");
  const install = spawnSync(bun, ["install", "--frozen-lockfile"], { cwd: root, stdio: ["ignore", 2, 2] });
  if (install.status === 0) return;
  throw new Fault("bun install failed: check the network and the disk; if bun.lock is out of date, run `bun install`.");
}

function makeWritable(folder) {
  try {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, ".writable"), "");
    rmSync(join(folder, ".writable"));
  } catch (error) {
    throw new Fault(
      `${folder} cannot be written (${error.code}): run this as the owner of the clone, or change its owner.`,
    );
  }
}

function readIfThere(file) {
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}
