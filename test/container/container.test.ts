import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import manifest from "../../package.json" with { type: "json" };
import { startReceiver } from "../support/receiver.ts";
import { ADMIN, eventually, login } from "../support/server.ts";
import { buildImage, type Image, missing } from "./image.ts";

const BUILD_MS = 600_000;
const ROOT = join(import.meta.dir, "../..");
const here = missing.length === 0 ? "the image" : `the image (skipped: this machine lacks ${missing.join(", ")})`;

test("the Dockerfile names the Bun and the version of package.json", () => {
  const text = readFileSync(join(ROOT, "Dockerfile"), "utf8");
  expect(/^ARG BUN_VERSION=(\S+)$/m.exec(text)?.[1]).toBe(manifest.dependencies.bun);
  expect(/image\.version="([^"]+)"/.exec(text)?.[1]).toBe(manifest.version);
});

describe.skipIf(missing.length > 0)(here, () => {
  let image: Image;
  let volume: string;

  beforeAll(() => {
    image = buildImage();
    volume = mkdtempSync(join(tmpdir(), "deltahook-volume-"));
    chmodSync(volume, 0o1777); // as an engine copies it from the image's /data
  }, BUILD_MS);

  afterAll(() => {
    image?.remove();
    if (volume) rmSync(volume, { recursive: true, force: true });
  });

  test("runs as an ordinary user, keeps its data in volumes, and says how to check and stop it", () => {
    const { User, Volumes, ExposedPorts, StopSignal, Healthcheck, Labels } = image.config;
    expect(User).toBe("bun");
    expect(Object.keys(Volumes).sort()).toEqual(["/data", "/plugins"]);
    expect(Object.keys(ExposedPorts)).toEqual(["8080/tcp"]);
    expect(StopSignal).toBe("SIGTERM");
    expect(Healthcheck.Test).toEqual(["CMD", "deltahook", "healthcheck"]);
    expect(Labels["org.opencontainers.image.version"]).toBe(manifest.version);
  });

  test("is as large to download as the README says, and no more than 150 MB", () => {
    const told = /image of (\d+) MB/.exec(readFileSync(join(ROOT, "README.md"), "utf8"))?.[1];
    const megabytes = image.downloadBytes() / 1_000_000;
    expect(megabytes).toBeLessThanOrEqual(150);
    expect(Math.abs(megabytes - Number(told)), `${megabytes.toFixed(1)} MB`).toBeLessThan(10);
  }, 120_000);

  test("serves within 15 s under any uid on a read-only root, delivers, stops in time, and starts again with everything", async () => {
    const receiver = startReceiver();
    const slow = startReceiver(() => new Promise(() => {}));
    const env = {
      PORT: "0",
      LOG_FORMAT: "json",
      ALLOWED_NETWORKS: "127.0.0.0/8",
      ADMIN_EMAIL: ADMIN.email,
      ADMIN_PASSWORD: ADMIN.password,
    };
    const options = { user: "12345:54321", volume, env };
    const startedAt = performance.now();
    const first = await image.start(options);
    expect(performance.now() - startedAt).toBeLessThan(15_000);
    expect(readFileSync(`/proc/${first.pid}/status`, "utf8")).toMatch(/^NSpid:\s+\d+\s+1$/m);
    expect(readFileSync(`/proc/${first.pid}/cmdline`, "utf8")).toStartWith("bun\0");

    const port = { PORT: new URL(first.url).port };
    const health = image.config.Healthcheck.Test.slice(1);
    expect(await first.exec(health, port)).toEqual({ out: "ready", code: 0 });
    expect(await first.exec(["touch", "/app/file"])).toMatchObject({ code: 1 });
    expect((await first.exec(["deltahook", "users", "list"])).out).toContain(ADMIN.email);

    const admin = await login(first);
    const send = (url: string) =>
      admin.call<{ id: string }>("POST", "/v1/events", { type: "order.paid", data: 1, url });
    const { body: sent } = await send(receiver.url);
    await receiver.arrived(1);
    const { body: hanging } = await send(slow.url);
    await eventually(
      async () => slow.received.length,
      (count) => count === 1,
    );
    const stopped = await first.stop();
    expect(stopped.code).toBe(0);
    expect(stopped.ms).toBeLessThan(10_000);

    const names = readdirSync(volume);
    expect(names).toContain("postgres");
    for (const name of names) expect(statSync(join(volume, name))).toMatchObject({ uid: 12345, gid: 54321 });
    expect(names.map((name) => statSync(join(volume, name)).mode & 0o077)).toEqual(names.map(() => 0));

    const second = await image.start(options);
    const again = await login(second);
    const delivery = await again.call<{ data: { status: string }[] }>("GET", `/v1/events/${sent.id}/deliveries`);
    expect(delivery.body.data).toMatchObject([{ status: "delivered" }]);
    await eventually(
      async () => slow.received.filter(({ id }) => id === hanging.id).length,
      (count) => count === 2,
    );
    expect((await second.stop()).code).toBe(0);
    receiver.stop();
    slow.stop();
  }, 120_000);
});
