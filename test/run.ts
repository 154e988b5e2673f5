/**
 * The test command: type check, lint, floors, then every test file, one file after another since they share two cores
 * and real Postgres servers. The first step that fails ends the run with exit code 1.
 *
 * `npm test -- outbound --bail` runs the files with `outbound` in their path, and hands `--bail` to `bun test`.
 * `--checks-only` leaves the tests out.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Glob } from "bun";
import { startEmbedded } from "../src/platform/embedded.ts";
import { silentLog } from "../src/platform/log.ts";
import { floorFaults } from "./floors.ts";

const ROOT = join(import.meta.dir, "..");
const TEST_TIMEOUT_MS = 60_000;
const LAST_WORDS_MS = 1_000;
/** From the ground up, so that what fails first is nearest to the cause; browser and whole-program tests come last. */
const ORDER = [
  "test",
  "platform",
  "vault",
  "identity",
  "plugins",
  "delivering",
  "watching",
  "views",
  "http",
  "trust",
  "cli",
];

type Counts = { passed: number; failed: number; skipped: number };

const args = process.argv.slice(2);
const checksOnly = args.includes("--checks-only");
const patterns = args.filter((arg) => !arg.startsWith("-"));
const flags = args.filter((arg) => arg.startsWith("-") && arg !== "--checks-only");

const checked =
  (await step("type check", () => tool("node_modules/typescript/bin/tsc", "--noEmit", "--project", "."))) &&
  (await step("lint", () => tool("node_modules/@biomejs/biome/bin/biome", "check"))) &&
  (await step("floors", checkFloors));

if (checksOnly) process.exit(checked ? 0 : 1);

let counts: Counts = { passed: 0, failed: 0, skipped: 0 };
const tested = checked && (await step("tests", runTests));
const { passed, failed, skipped } = counts;
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
process.exit(tested ? 0 : 1);

async function step(name: string, run: () => boolean | Promise<boolean>): Promise<boolean> {
  console.log(`── ${name}`);
  const startedAt = performance.now();
  const ok = await run();
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(ok ? `── ${name}: ok, ${seconds} s\n` : `── ${name} FAILED after ${seconds} s`);
  return ok;
}

/** Runs a package's script under this Bun, for machines that have no Node. */
async function tool(script: string, ...toolArgs: string[]): Promise<boolean> {
  const child = Bun.spawn([process.execPath, script, ...toolArgs], {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
  });
  return (await child.exited) === 0;
}

function checkFloors(): boolean {
  const faults = floorFaults(ROOT);
  for (const fault of faults) console.error(fault);
  return faults.length === 0;
}

async function runTests(): Promise<boolean> {
  const files = testFiles();
  if (files.length === 0) {
    console.error(`No test file has ${patterns.join(" or ") || ".test.ts"} in its path below test/.`);
    return false;
  }
  const postgres = await openPostgres();
  const child = Bun.spawn([process.execPath, "test", `--timeout=${TEST_TIMEOUT_MS}`, ...flags, ...files], {
    cwd: ROOT,
    env: {
      ...process.env,
      BUN_CONFIG_MAX_HTTP_REQUESTS: "16384",
      DELTAHOOK_TEST_POSTGRES: postgres.connection,
      ...(process.stderr.isTTY ? { FORCE_COLOR: "1" } : {}),
    },
    stdio: ["ignore", "inherit", "pipe"],
  });
  process.on("SIGTERM", () => child.kill());
  const shown = { end: "" };
  const showing = show(child.stderr, shown);
  const exitCode = await child.exited;
  await postgres.close();
  // A program that a test left behind may keep the stream open for ever.
  await Promise.race([showing, Bun.sleep(LAST_WORDS_MS)]);
  counts = parseSummary(Bun.stripANSI(shown.end));
  // An error outside of any test, or a runner that dies, fails the run although no test says so.
  if (exitCode !== 0 && counts.failed === 0) counts.failed = 1;
  return counts.failed === 0;
}

/** The cluster that all files share, each with databases of its own: the caller's, or an embedded one for this run. */
async function openPostgres(): Promise<{ connection: string; close(): Promise<void> }> {
  const given = process.env.DELTAHOOK_TEST_POSTGRES;
  if (given) return { connection: given, close: async () => {} };
  const dataDir = mkdtempSync(join(tmpdir(), "deltahook-tests-"));
  const embedded = await startEmbedded({ dataDir, log: silentLog });
  return {
    connection: JSON.stringify(embedded.connection),
    async close() {
      await embedded.stop();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

function testFiles(): string[] {
  const all = [...new Glob("test/**/*.test.{ts,tsx}").scanSync({ cwd: ROOT })];
  return all
    .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern.replace(/^\.\//, ""))))
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b))
    .map((file) => `./${file}`);
}

function rank(file: string): number {
  const folder = file.split("/").at(-2) === "test" ? "test" : (file.split("/")[1] ?? "");
  const place = ORDER.indexOf(folder);
  return place === -1 ? ORDER.length : place;
}

/** Passes what `bun test` says on to the terminal as it comes, and keeps the end, which holds the summary. */
async function show(stream: ReadableStream<Uint8Array>, shown: { end: string }): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    process.stderr.write(chunk);
    shown.end = (shown.end + decoder.decode(chunk, { stream: true })).slice(-4096);
  }
}

/** Reads the closing lines of `bun test`: ` 12 pass`, ` 1 skip`, ` 1 todo`, ` 0 fail`. */
function parseSummary(summary: string): Counts {
  const count = (word: string): number => {
    const lines = [...summary.matchAll(new RegExp(`^\\s*(\\d+) ${word}s?$`, "gm"))];
    return Number(lines.at(-1)?.[1] ?? 0);
  };
  return { passed: count("pass"), failed: count("fail"), skipped: count("skip") + count("todo") };
}
