import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbedded } from "../../src/platform/embedded.ts";
import { silentLog } from "../../src/platform/log.ts";

const PLATFORM = join(import.meta.dir, "../../src/platform");
const STRANGER = 54_321; // a uid without an entry in /etc/passwd

let home: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "template-"));
  chmodSync(home, 0o755);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

/** A cluster that everybody may read, as the Dockerfile makes one. */
async function makeTemplate(): Promise<void> {
  const seed = await startEmbedded({ dataDir: join(home, "seed"), log: silentLog, systemDir: join(home, "none") });
  await seed.stop();
  mkdirSync(join(home, "system"));
  cpSync(seed.cluster, join(home, "system/template"), { recursive: true });
  Bun.spawnSync(["chmod", "-R", "a+rX", join(home, "system/template")]);
}

/** Starts and stops Postgres as that uid. @returns what it said of itself, or of its failure */
function startAs(uid: number): string {
  const dataDir = join(home, `data-${uid}`);
  mkdirSync(dataDir);
  Bun.spawnSync(["chown", `${uid}:${uid}`, dataDir]);
  const script = `
    const { startEmbedded } = await import("${PLATFORM}/embedded.ts");
    const { silentLog } = await import("${PLATFORM}/log.ts");
    const options = { dataDir: "${dataDir}", log: silentLog, systemDir: "${home}/system" };
    const server = await startEmbedded(options).catch((error) => error);
    console.log(server instanceof Error ? server.message : "started");
    if (!(server instanceof Error)) await server.stop();`;
  const env = { PATH: process.env.PATH ?? "", HOME: "/tmp" };
  return Bun.spawnSync([process.execPath, "-e", script], { uid, gid: uid, cwd: "/", env }).stdout.toString().trim();
}

describe.skipIf(process.getuid?.() !== 0)("as root, which may lend any uid,", () => {
  test("a uid without an account starts from a template, private to itself, and not without one", async () => {
    expect(startAs(STRANGER)).toContain("could not be created");
    await makeTemplate();
    expect(startAs(STRANGER + 1)).toBe("started");
    const cluster = statSync(join(home, `data-${STRANGER + 1}/postgres`));
    expect([cluster.uid, cluster.mode & 0o777]).toEqual([STRANGER + 1, 0o700]);
  });

  test("a template of another Postgres is passed over", async () => {
    mkdirSync(join(home, "system/template"), { recursive: true });
    writeFileSync(join(home, "system/template/PG_VERSION"), "17\n");
    const server = await startEmbedded({
      dataDir: join(home, "data"),
      log: silentLog,
      systemDir: join(home, "system"),
    });
    expect(statSync(join(server.cluster, "base")).isDirectory()).toBe(true);
    await server.stop();
  });
});
