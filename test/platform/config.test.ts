import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig, SETTINGS } from "../../src/platform/config.ts";
import { AppError } from "../../src/platform/errors.ts";

const KEY = "k".repeat(32);
let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "deltahook-config-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(text: string): string {
  const path = join(folder, crypto.randomUUID());
  writeFileSync(path, text);
  return path;
}

/** The faults of a refused environment, one line each. */
function faultsOf(env: Record<string, string>): string[] {
  try {
    loadConfig(env);
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    const [title, ...lines] = (error as AppError).message.split("\n");
    expect(title).toBe("The settings cannot be used:");
    return lines.map((line) => line.replace(/^ {2}- /, ""));
  }
  return [];
}

test("an empty environment gives the defaults of the contract", () => {
  const { config, sources } = loadConfig({});
  expect(config).toMatchObject({
    HOST: null,
    PORT: 8080,
    DATABASE_URL: null,
    ROLE: "all",
    ALLOWED_NETWORKS: [],
    CONCURRENCY: 256,
    POLL_CONCURRENCY: 1024,
    HOST_CONCURRENCY: 8,
    HOST_RATE: 0,
    DELIVERY_TIMEOUT: 15_000,
    POLL_TIMEOUT: 30_000,
    MAX_RESPONSE_BYTES: 5_242_880,
    RETAIN_POLLS: 604_800_000,
    RETAIN_EVENTS: 2_592_000_000,
    RETAIN_DEAD_LETTERS: 7_776_000_000,
    POLL_LOG_BYTES: 2_147_483_648,
    METRICS_PUBLIC: false,
    LOG_LEVEL: "info",
    LOG_FORMAT: "auto",
  });
  expect(config.RETRY_DELAYS.map((ms) => ms / 1_000)).toEqual([
    5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400,
  ]);
  expect(Object.keys(config)).toEqual(Object.keys(SETTINGS));
  expect(new Set(Object.values(sources))).toEqual(new Set(["default"]));
});

describe("a value", () => {
  test.each([
    ["PORT", "0", 0],
    ["HOST_RATE", "2.5", 2.5],
    ["PUBLIC_URL", "https://hooks.example.com/", "https://hooks.example.com"],
    ["PUBLIC_URL", "http://localhost:8080/sub/", "http://localhost:8080/sub"],
    ["RETRY_DELAYS", "1s, 2m,3", [1_000, 120_000, 3_000]],
    ["ALLOWED_NETWORKS", "10.0.0.0/8, erp.local,", ["10.0.0.0/8", "erp.local"]],
    ["MAX_RESPONSE_BYTES", "1MiB", 1_048_576],
    ["MAX_RESPONSE_BYTES", "2 mb", 2_097_152],
    ["METRICS_PUBLIC", "yes", true],
    ["METRICS_PUBLIC", "0", false],
    ["MASTER_KEY_PREVIOUS", `${KEY},${KEY}2`, [KEY, `${KEY}2`]],
    ["DELIVERY_TIMEOUT", "20", 20_000],
    ["LOG_LEVEL", "debug", "debug"],
  ] as [keyof typeof SETTINGS, string, unknown][])("%s=%s is read as %j", (name, text, value) => {
    expect(loadConfig({ [name]: text }).config[name]).toEqual(value as never);
  });

  test("that is empty counts as not set", () => {
    const { config, sources } = loadConfig({ PORT: "", MASTER_KEY: "" });
    expect(config).toMatchObject({ PORT: 8080, MASTER_KEY: null });
    expect(sources.PORT).toBe("default");
  });
});

describe("where a value comes from", () => {
  test.each([
    ["the plain name", { PORT: "1" }, 1, "environment"],
    ["our own prefix, which wins", { PORT: "1", DELTAHOOK_PORT: "2" }, 2, "environment"],
    ["a file", { PORT_FILE: () => file("3\n") }, 3, "file"],
    ["a file of our own prefix", { PORT: "1", DELTAHOOK_PORT_FILE: () => file(" 4 ") }, 4, "file"],
    ["a value before a file", { PORT: "5", PORT_FILE: () => file("6") }, 5, "environment"],
  ] as [string, Record<string, string | (() => string)>, number, string][])("%s", (_, given, port, source) => {
    const env = Object.fromEntries(
      Object.entries(given).map(([name, value]) => [name, typeof value === "string" ? value : value()]),
    );
    const { config, sources } = loadConfig(env);
    expect(config.PORT).toBe(port);
    expect(sources.PORT).toBe(source as never);
  });
});

describe("a fault names the variable, the value and the remedy", () => {
  test.each([
    [{ PORT: "70000" }, 'PORT ("70000"): write a whole number from 0 to 65535'],
    [{ PORT: "8080.5" }, 'PORT ("8080.5"): write a whole number from 0 to 65535'],
    [{ PORT: " " }, 'PORT (" "): write a whole number from 0 to 65535'],
    [{ CONCURRENCY: "0" }, 'CONCURRENCY ("0"): write a whole number from 1 to 10000'],
    [{ HOST_RATE: "fast" }, 'HOST_RATE ("fast"): write a number from 0 to 100000'],
    [{ DELIVERY_TIMEOUT: "soon" }, 'DELIVERY_TIMEOUT ("soon"): write a duration such as 500ms, 30s, 5m, 2h or 1d'],
    [{ DELIVERY_TIMEOUT: "1h" }, 'DELIVERY_TIMEOUT ("1h"): write a duration from 100ms to 5m'],
    [{ RETAIN_EVENTS: "1m" }, 'RETAIN_EVENTS ("1m"): write a duration from 1h to 3650d'],
    [{ RETRY_DELAYS: "5s,later" }, 'RETRY_DELAYS ("5s,later"): write a duration such as 500ms, 30s, 5m, 2h or 1d'],
    [
      { MAX_RESPONSE_BYTES: "5 parsecs" },
      'MAX_RESPONSE_BYTES ("5 parsecs"): write a number of bytes from 1024 to 1073741824, such as 5242880 or 5MiB',
    ],
    [{ METRICS_PUBLIC: "maybe" }, 'METRICS_PUBLIC ("maybe"): write true or false'],
    [{ LOG_LEVEL: "loud" }, 'LOG_LEVEL ("loud"): write one of debug, info, warn, error'],
    [{ LOG_FORMAT: "xml" }, 'LOG_FORMAT ("xml"): write one of auto, pretty, json'],
    [{ PUBLIC_URL: "hooks" }, 'PUBLIC_URL ("hooks"): write an http or https address such as https://hooks.example.com'],
    [
      { PUBLIC_URL: "https://me:pw@hooks.example.com" },
      'PUBLIC_URL ("https://me:pw@hooks.example.com"): write an http or https address such as https://hooks.example.com',
    ],
    [{ DELTAHOOK_PORT: "x" }, 'DELTAHOOK_PORT ("x"): write a whole number from 0 to 65535'],
    [{ MASTER_KEY: "short" }, "MASTER_KEY: write at least 32 characters; make some with `openssl rand -base64 48`"],
    [
      { MASTER_KEY_PREVIOUS: `${KEY},short` },
      "MASTER_KEY_PREVIOUS: write at least 32 characters; make some with `openssl rand -base64 48`",
    ],
    [
      { PORT_FILE: "/there/is/no/such/file" },
      "PORT_FILE: /there/is/no/such/file cannot be read; name a readable file or unset the variable",
    ],
    [{ PORT_FILE: "/" }, "PORT_FILE: / cannot be read; name a readable file or unset the variable"],
    [{ DELTAHOOK_PROT: "1" }, "DELTAHOOK_PROT: there is no such setting; did you mean DELTAHOOK_PORT?"],
    [
      { DELTAHOOK_RETRY_DELAY_FILE: "x" },
      "DELTAHOOK_RETRY_DELAY_FILE: there is no such setting; did you mean DELTAHOOK_RETRY_DELAYS?",
    ],
    [{ DELTAHOOK_XYZZY_PLUGH: "1" }, "DELTAHOOK_XYZZY_PLUGH: there is no such setting"],
    [{ ROLE: "web" }, "ROLE: web needs DATABASE_URL; the embedded Postgres serves one node in the role all"],
    [{ ADMIN_EMAIL: "a@example.com" }, "ADMIN_EMAIL and ADMIN_PASSWORD: set both or neither"],
    [{ ADMIN_PASSWORD: "hunter2" }, "ADMIN_EMAIL and ADMIN_PASSWORD: set both or neither"],
    [
      { DATABASE_URL: "postgres://db/x", MASTER_KEY: KEY },
      "JWT_SECRET: required with DATABASE_URL, since several nodes must share it; make one with `openssl rand -base64 48`",
    ],
    [
      { DATABASE_URL: "postgres://db/x", JWT_SECRET: KEY },
      "MASTER_KEY: required with DATABASE_URL, since several nodes must share it; make one with `openssl rand -base64 48`",
    ],
    [
      { DATABASE_URL: "postgres://db/x", MASTER_KEY: "short", JWT_SECRET: KEY },
      "MASTER_KEY: write at least 32 characters; make some with `openssl rand -base64 48`",
    ],
    [
      { DATABASE_URL: "mysql://me:pw@db/x", MASTER_KEY: KEY, JWT_SECRET: KEY },
      "DATABASE_URL: write postgres://user:password@host:5432/database",
    ],
  ] as [Record<string, string>, string][])("%j", (env, fault) => {
    expect(faultsOf(env)).toEqual([fault]);
  });

  test("all of them at once", () => {
    expect(faultsOf({ PORT: "x", LOG_LEVEL: "y", DELTAHOOK_NOPE: "1", ROLE: "worker" })).toHaveLength(4);
  });

  test("and never shows a secret", () => {
    const faults = faultsOf({
      MASTER_KEY: "hunter2",
      JWT_SECRET: "hunter2",
      MASTER_KEY_PREVIOUS: "hunter2",
      DATABASE_URL: "hunter2",
    });
    expect(faults.length).toBeGreaterThanOrEqual(4);
    expect(faults.join("\n")).not.toContain("hunter2");
  });
});

test("other programs' variables, and the tests' own, are nobody's business", () => {
  expect(faultsOf({ PATH: "/bin", PROT: "1", DELTAHOOK_TEST_POSTGRES: "{}" })).toEqual([]);
});
