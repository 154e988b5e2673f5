/**
 * The test command: type check, lint, floors, then every test file. Files run one after another, since they share two
 * cores and a real Postgres, but for those that mostly wait: they run beside the quick ones. The first step that fails
 * ends the run with exit code 1.
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

/**
 * Files that mostly wait (for a node to be given up, a deadline, a Postgres, another program or an image to be there), and
 * the folders whose tests run meanwhile, since they measure no time and load little. All others run alone.
 */
const PAIRS: { waiting: string[]; beside: string[] }[] = [
  {
    waiting: [
      "platform/embedded",
      "platform/nodes",
      "platform/queue",
      "delivering/two_nodes",
      "trust/limits",
      "watching/kill_points",
      "e2e/real_programs",
      "container/",
    ],
    beside: ["test", "platform", "vault", "identity", "views", "http", "cli", "client", "docs"],
  },
  { waiting: ["e2e/crash"], beside: ["trust"] },
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
  try {
    let rest = files;
    for (const pair of PAIRS) {
      const waiting = rest.filter((file) => pair.waiting.some((part) => file.includes(part)));
      const beside = rest.filter((file) => !waiting.includes(file) && pair.beside.includes(folderOf(file)));
      rest = rest.filter((file) => !waiting.includes(file) && !beside.includes(file));
      const waited = runFiles(waiting, postgres.connection, "kept");
      add(await runFiles(beside, postgres.connection, "shown"));
      const { said, ...found } = await waited;
      process.stderr.write(said);
      add(found);
    }
    add(await runFiles(rest, postgres.connection, "shown"));
  } finally {
    await postgres.close();
  }
  return counts.failed === 0;
}

function add({ passed, failed, skipped }: Counts): void {
  counts = { passed: counts.passed + passed, failed: counts.failed + failed, skipped: counts.skipped + skipped };
}

/** One `bun test` over these files. What it says is shown as it comes, or kept for the end. */
async function runFiles(
  files: readonly string[],
  connection: string,
  output: "shown" | "kept",
): Promise<Counts & { said: string }> {
  if (files.length === 0) return { passed: 0, failed: 0, skipped: 0, said: "" };
  const child = Bun.spawn([process.execPath, "test", `--timeout=${TEST_TIMEOUT_MS}`, ...flags, ...files], {
    cwd: ROOT,
    env: {
      ...process.env,
      BUN_CONFIG_MAX_HTTP_REQUESTS: "16384",
      DELTAHOOK_TEST_POSTGRES: connection,
      ...(process.stderr.isTTY ? { FORCE_COLOR: "1" } : {}),
    },
    stdio: ["ignore", output === "shown" ? "inherit" : "ignore", "pipe"],
  });
  const end = () => child.kill();
  process.on("SIGTERM", end);
  const heard = { said: "" };
  const hearing = hear(child.stderr, heard, output);
  const exitCode = await child.exited;
  process.removeListener("SIGTERM", end);
  // A program that a test left behind may keep the stream open for ever.
  await Promise.race([hearing, Bun.sleep(LAST_WORDS_MS)]);
  const found = parseSummary(Bun.stripANSI(heard.said));
  // An error outside of any test, or a runner that dies, fails the run although no test says so.
  if (exitCode !== 0 && found.failed === 0) found.failed = 1;
  return { ...found, said: heard.said };
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
  const place = ORDER.indexOf(folderOf(file));
  return place === -1 ? ORDER.length : place;
}

/** `http` for `test/http/server.test.ts`, `test` for what lies in test/ itself. */
function folderOf(file: string): string {
  const parts = file.replace(/^\.\//, "").split("/");
  return (parts.length > 2 ? parts[1] : parts[0]) ?? "";
}

/** Keeps what `bun test` says, its summary at the end, and passes it on as it comes if it is to be shown. */
async function hear(
  stream: ReadableStream<Uint8Array>,
  heard: { said: string },
  output: "shown" | "kept",
): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    if (output === "shown") process.stderr.write(chunk);
    heard.said += decoder.decode(chunk, { stream: true });
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
