import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

/**
 * Each test has a clone of its own, whose `npm` and pinned `bun` are scripts that write down what they were asked, so
 * that no test needs a network. The stand-in Bun runs programs with the real one.
 */
const CLI = join(import.meta.dir, "../../src/cli");
const PINNED = "99.0.1";
const node = Bun.which("node");

const FAKE_BUN = `#!/bin/sh
case "$1" in
  --version) echo ${PINNED}; exit 0 ;;
  install) echo "bun $*" >> "$ASKED"; exit 0 ;;
esac
exec "${process.execPath}" "$@"
`;

// Like npm with install scripts off: the binary stays in the platform's package, the \`bun\` package holds a placeholder.
const FAKE_NPM = `#!/bin/sh
echo "npm $*" >> "$ASKED"
to="$PWD/node_modules/.bootstrap/node_modules/@oven/bun-linux-x64/bin"
mkdir -p "$to" && cp "$FAKE_BUN" "$to/bun"
`;

const PROGRAM = `
const [word, value] = process.argv.slice(2);
if (word === "wait") {
  process.on("SIGTERM", () => { console.log("draining"); process.exit(7); });
  setInterval(() => {}, 1000);
}
console.log(JSON.stringify([process.argv[1].slice(process.argv[1].indexOf("clone/") + 6), ...process.argv.slice(2)]));
if (word === "exit") process.exit(Number(value));
if (word === "die") process.kill(process.pid, value);
`;

let home: string;
let clone: string;
let path: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "bootstrap-"));
  clone = join(home, "clone");
  path = join(home, "path");
  write(
    "package.json",
    JSON.stringify({ scripts: { start: "node src/cli/bootstrap.mjs serve" }, dependencies: { bun: PINNED } }),
  );
  write("bun.lock", "first");
  for (const program of ["src/cli/main.ts", "test/run.ts", "test/bench/run.ts"]) write(program, PROGRAM);
  for (const name of ["bootstrap.mjs", "runtime.mjs"]) cpSync(join(CLI, name), join(clone, "src/cli", name));
  mkdirSync(path);
  for (const tool of ["sh", "mkdir", "cp"]) symlinkSync(Bun.which(tool) ?? tool, join(path, tool));
  command(join(home, "fake-bun"), FAKE_BUN);
  command(join(path, "npm"), FAKE_NPM);
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

function write(file: string, text: string): void {
  mkdirSync(dirname(join(clone, file)), { recursive: true });
  writeFileSync(join(clone, file), text);
}

function command(file: string, text: string): void {
  writeFileSync(file, text);
  chmodSync(file, 0o755);
}

function start(runtime: string, ...words: string[]) {
  return Bun.spawn([runtime, join(clone, "src/cli/bootstrap.mjs"), ...words], {
    cwd: clone,
    env: { PATH: path, ASKED: join(home, "asked"), FAKE_BUN: join(home, "fake-bun") },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

async function run(runtime: string, ...words: string[]) {
  const child = start(runtime, ...words);
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  return { out: out.trim(), err, code: child.exitCode, signal: child.signalCode };
}

/** What npm and Bun were asked to install since the last look. */
function asked(): string[] {
  const file = join(home, "asked");
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").trim().split("\n");
  rmSync(file);
  return lines;
}

describe.skipIf(node === null)("under Node", () => {
  const runNode = (...words: string[]) => run(node ?? "", ...words);

  test("a fresh clone gets Bun without install scripts, then its packages, then runs", async () => {
    const { out, code } = await runNode("serve");
    const [npm, bun, ...rest] = asked();
    expect(npm).toContain("--ignore-scripts");
    expect(npm).toEndWith(`bun@${PINNED}`);
    expect([bun, ...rest]).toEqual(["bun install --frozen-lockfile"]);
    expect(JSON.parse(out)).toEqual(["src/cli/main.ts", "serve"]);
    expect(code).toBe(0);
  });

  test("the second time installs nothing", async () => {
    await runNode("serve");
    asked();
    expect((await runNode("serve")).code).toBe(0);
    expect(asked()).toEqual([]);
  });

  test("a changed bun.lock is installed again", async () => {
    await runNode("serve");
    asked();
    write("bun.lock", "second");
    await runNode("serve");
    expect(asked()).toEqual(["bun install --frozen-lockfile"]);
  });

  test("a Bun of the pinned version on the PATH is used", async () => {
    cpSync(join(home, "fake-bun"), join(path, "bun"));
    expect((await runNode("serve")).code).toBe(0);
    expect(asked()).toEqual(["bun install --frozen-lockfile"]);
  });

  test("a Bun of another version on the PATH is not used", async () => {
    command(join(path, "bun"), "#!/bin/sh\necho 1.0.0\n");
    expect((await runNode("serve")).code).toBe(0);
    expect(asked()[0]).toStartWith("npm install");
  });

  const words: [line: string[], runs: string[]][] = [
    [
      ["test", "outbound"],
      ["test/run.ts", "outbound"],
    ],
    [["check"], ["test/run.ts", "--checks-only"]],
    [["bench"], ["test/bench/run.ts"]],
    [
      ["users", "add", "a b"],
      ["src/cli/main.ts", "users", "add", "a b"],
    ],
    [[], ["src/cli/main.ts"]],
  ];
  test.each(words)("%j runs %j", async (line, runs) => {
    expect(JSON.parse((await runNode(...line)).out)).toEqual(runs);
  });

  test("the exit code is passed on", async () => {
    expect((await runNode("exit", "3")).code).toBe(3);
  });

  test("the signal that ended the program ends the bootstrap", async () => {
    expect((await runNode("die", "SIGKILL")).signal).toBe("SIGKILL");
  });

  test("SIGTERM reaches the program, which is waited for", async () => {
    const child = start(node ?? "", "wait");
    const reader = child.stdout.getReader();
    await reader.read();
    child.kill("SIGTERM");
    const said = new TextDecoder().decode((await reader.read()).value);
    await child.exited;
    expect(said).toContain("draining");
    expect(child.exitCode).toBe(7);
  });

  test("without npm it says what to install", async () => {
    rmSync(join(path, "npm"));
    const { err, code } = await runNode("serve");
    expect(code).toBe(1);
    expect(err).toContain("npm is not on the PATH: install Node with npm, or Bun");
  });

  test("when npm fails it says what to check", async () => {
    command(join(path, "npm"), "#!/bin/sh\nexit 1\n");
    const { err, code } = await runNode("serve");
    expect(code).toBe(1);
    expect(err).toContain("check the network");
  });

  test("when packages cannot be installed the next start tries again", async () => {
    command(join(home, "fake-bun"), FAKE_BUN.replace("exit 0 ;;\nesac", "exit 1 ;;\nesac"));
    const { err, code } = await runNode("serve");
    expect(code).toBe(1);
    expect(err).toContain("bun install failed");
    asked();
    await runNode("serve");
    expect(asked()).toEqual(["bun install --frozen-lockfile"]);
  });

  test("with only Bun on the machine, `bun run start` starts", async () => {
    const scripts = { start: "node src/cli/bootstrap.mjs serve" };
    write("package.json", JSON.stringify({ scripts, dependencies: { bun: Bun.version } }));
    command(join(path, "bun"), FAKE_BUN.replace(PINNED, Bun.version));
    expect((await runNode("serve")).code).toBe(0); // installs
    rmSync(join(path, "bun"));
    symlinkSync(process.execPath, join(path, "bun"));

    const child = Bun.spawn([process.execPath, "run", "--silent", "start"], {
      cwd: clone,
      env: { PATH: path },
      stdio: ["ignore", "pipe", "inherit"],
    });
    expect(JSON.parse(await new Response(child.stdout).text())).toEqual(["src/cli/main.ts", "serve"]);
    expect(await child.exited).toBe(0);
  });
});
