import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };

const HERE = import.meta.dir;
const ROOT = join(HERE, "../..");
/** The system that debootstrap brings is kept here, below what git ignores. */
const CACHE = join(ROOT, "test/.tmp");
const NEEDED = ["buildah", "debootstrap", "unshare", "nsenter", "chroot", "apt-get"];

/** What this machine lacks for these tests, as words; empty when nothing. */
export const missing: string[] = [
  ...(process.platform === "linux" ? [] : ["Linux"]),
  ...(process.getuid?.() === 0 ? [] : ["root"]),
  ...NEEDED.filter((tool) => Bun.which(tool) === null),
];

/** As in the image's configuration (OCI image specification). */
export type ImageConfig = {
  User: string;
  Env: string[];
  Entrypoint: string[];
  Cmd: string[];
  Volumes: Record<string, unknown>;
  ExposedPorts: Record<string, unknown>;
  Labels: Record<string, string>;
  StopSignal: string;
  Healthcheck: { Test: string[] };
};

export type Image = {
  config: ImageConfig;
  /** Starts a container of it. `volume` is a folder; resolves when the server says that it is ready. */
  start(options: { user: string; volume: string; env: Record<string, string> }): Promise<Container>;
  /** What a registry would send: its layers, compressed by gzip. */
  downloadBytes(): number;
  remove(): void;
};

export type Container = {
  url: string;
  /** Of the server, as this machine sees it. */
  pid: number;
  /** As in `docker exec`. */
  exec(words: string[], env?: Record<string, string>): Promise<{ out: string; code: number }>;
  /** As in `docker stop`. @returns the exit code and how long it took */
  stop(): Promise<{ code: number; ms: number }>;
};

/** Builds the Dockerfile on a stand-in for its base image, in a storage of its own. */
export function buildImage(): Image {
  const home = mkdtempSync(join(tmpdir(), "deltahook-image-"));
  chmodSync(home, 0o755);
  const storage = `[storage]\ndriver = "overlay"\ngraphroot = "${home}/graph"\nrunroot = "${home}/run"\n`;
  writeFileSync(join(home, "storage.conf"), storage);
  const env = { ...process.env, CONTAINERS_STORAGE_CONF: join(home, "storage.conf") };
  const run = (...command: string[]): string => {
    const { success, stdout, stderr } = Bun.spawnSync(command, { cwd: ROOT, env });
    if (!success) throw new Error(`${command.slice(0, 2).join(" ")} failed:\n${`${stdout}${stderr}`.slice(-4_000)}`);
    return stdout.toString().trim();
  };

  mkdirSync(CACHE, { recursive: true });
  const base = `docker.io/oven/bun:${manifest.dependencies.bun}-slim`;
  run(join(HERE, "base.sh"), process.execPath, base, CACHE);
  run(
    "buildah",
    "build",
    "--isolation",
    "chroot",
    "--pull-never",
    "--format",
    "docker",
    ...packages(),
    "-t",
    "deltahook",
    ".",
  );
  const inspected = JSON.parse(run("buildah", "inspect", "--type", "image", "localhost/deltahook"));
  const config = inspected.Docker.config as ImageConfig;
  const container = run("buildah", "from", "--pull-never", "localhost/deltahook");
  const root = run("buildah", "mount", container);

  return {
    config,
    start: (options) => startContainer(root, config, options),
    downloadBytes() {
      run("buildah", "push", "--compression-format", "gzip", "localhost/deltahook", `oci:${home}/pushed`);
      const blobs = join(home, "pushed/blobs/sha256");
      return readdirSync(blobs).reduce((sum, blob) => sum + statSync(join(blobs, blob)).size, 0);
    },
    remove() {
      run("buildah", "umount", container);
      run("buildah", "rm", container);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Packages come from where `bun install` keeps them, without a change there, so that the build needs no network. */
function packages(): string[] {
  const cache = Bun.spawnSync([process.execPath, "pm", "cache"], { cwd: ROOT }).stdout.toString().trim();
  return existsSync(cache) ? ["--volume", `${cache}:/root/.bun/install/cache:O`] : [];
}

async function startContainer(
  root: string,
  { Env, Entrypoint, Cmd }: ImageConfig,
  { user, volume, env }: { user: string; volume: string; env: Record<string, string> },
): Promise<Container> {
  const settings = { ...Object.fromEntries(Env.map((one) => one.split(/=(.*)/s) as [string, string])), ...env };
  const child = Bun.spawn([join(HERE, "launch.sh"), root, volume, user, ...Entrypoint, ...Cmd], {
    env: settings,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const url = await readyUrl(child.stdout);
  const pid = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ")[0]);
  return {
    url,
    pid,
    async exec(words, more = {}) {
      const enter = ["nsenter", "--target", String(pid), "--mount", "--pid", "chroot", `--userspec=${user}`, root];
      const inside = Bun.spawn([...enter, ...words], { env: { ...settings, ...more }, stdout: "pipe", stderr: "pipe" });
      const [out, err] = await Promise.all([new Response(inside.stdout).text(), new Response(inside.stderr).text()]);
      return { out: `${out}${err}`.trim(), code: await inside.exited };
    },
    async stop() {
      const startedAt = performance.now();
      process.kill(pid, "SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 20_000);
      const code = await child.exited;
      clearTimeout(late);
      return { code, ms: performance.now() - startedAt };
    },
  };
}

/** Reads on after that, as an engine does, so that the server can always write its log. */
async function readyUrl(stream: ReadableStream<Uint8Array>): Promise<string> {
  const ready = Promise.withResolvers<string>();
  const read = async () => {
    const decoder = new TextDecoder();
    let text = "";
    for await (const part of stream) {
      text += decoder.decode(part, { stream: true });
      const line = text.split("\n").find((one) => one.includes('"message":"ready"'));
      if (line) ready.resolve((JSON.parse(line) as { url: string }).url);
    }
    ready.reject(new Error(`the container ended before it was ready:\n${text}`));
  };
  void read();
  return ready.promise;
}
