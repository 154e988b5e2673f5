import { readFileSync } from "node:fs";
import { formatDuration, parseDuration } from "./durations.ts";
import { AppError } from "./errors.ts";
import { nearest } from "./nearest.ts";

/** Reads one setting's text; throws a `Fault` that says what is wrong and what to write instead. */
type Parse<T> = (text: string) => T;
type Setting<T> = { fallback: T; shown: string; meaning: string; secret?: true; parse: Parse<T> };

class Fault extends Error {}

function setting<T>(fallback: T, shown: string, meaning: string, parse: Parse<T>, secret?: true): Setting<T> {
  return secret ? { fallback, shown, meaning, parse, secret } : { fallback, shown, meaning, parse };
}

const optional = <T>(parse: Parse<T>): Parse<T | null> => parse;

/** Every setting: its default, the default as the README shows it, its meaning, and how it is read. */
export const SETTINGS = {
  HOST: setting<string | null>(null, "`127.0.0.1`; in the container `0.0.0.0`", "address to listen on", optional(text)),
  PORT: setting(8080, "`8080`", "port to listen on; `0` takes a free one", whole(0, 65_535)),
  PUBLIC_URL: setting<string | null>(
    null,
    "from HOST and PORT",
    "used in links; an `https:` address turns on Secure cookies and HSTS",
    optional(origin),
  ),
  DATABASE_URL: setting<string | null>(
    null,
    "unset: embedded Postgres in `DATA_DIR`",
    "any Postgres from 15 on",
    optional(postgresUrl),
    true,
  ),
  DATA_DIR: setting<string | null>(
    null,
    "`./data`; in the container `/data`",
    "the embedded cluster and the generated keys",
    optional(text),
  ),
  MASTER_KEY: setting<string | null>(
    null,
    "generated once into `DATA_DIR`; required with `DATABASE_URL`",
    "at least 32 characters: key material of the vault",
    optional(keyMaterial),
    true,
  ),
  MASTER_KEY_PREVIOUS: setting<string[]>(
    [],
    "none",
    "comma list of earlier master keys, still able to open secrets",
    list(keyMaterial),
    true,
  ),
  JWT_SECRET: setting<string | null>(
    null,
    "generated once into `DATA_DIR`; required with `DATABASE_URL`",
    "signs the API's login tokens",
    optional(keyMaterial),
    true,
  ),
  ROLE: setting<"all" | "web" | "worker">(
    "all",
    "`all`",
    "`all`, `web` (API and dashboard) or `worker` (polls and deliveries)",
    oneOf("all", "web", "worker"),
  ),
  ADMIN_EMAIL: setting<string | null>(
    null,
    "none",
    "with `ADMIN_PASSWORD`: creates the first admin when no user exists",
    optional(text),
  ),
  ADMIN_PASSWORD: setting<string | null>(null, "none", "see `ADMIN_EMAIL`", optional(text), true),
  PLUGINS_DIR: setting<string | null>(
    null,
    "`./plugins`; in the container `/plugins`",
    "drop-in plugins, reloaded when files change",
    optional(text),
  ),
  ALLOWED_NETWORKS: setting<string[]>(
    [],
    "none",
    "comma list of CIDRs or host names that outbound requests may reach although they are not public",
    list(text),
  ),
  CONCURRENCY: setting(256, "`256`", "deliveries in flight per node", whole(1, 10_000)),
  POLL_CONCURRENCY: setting(1024, "`1024`", "polls in flight per node", whole(1, 20_000)),
  HOST_CONCURRENCY: setting(8, "`8`", "polls in flight to one host; `0`: no limit", whole(0, 10_000)),
  HOST_RATE: setting(0, "none", "polls a second to one host; `0`: no limit", decimal(0, 100_000)),
  RETRY_DELAYS: setting<number[]>(
    [5_000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000, 86_400_000],
    "`5s,5m,30m,2h,5h,10h,14h,20h,24h`",
    "default schedule after the first try",
    list(duration(0, 7 * 86_400_000)),
  ),
  DELIVERY_TIMEOUT: setting(
    15_000,
    "`15s`",
    "a delivery's whole request: DNS, connect, headers, body",
    duration(100, 300_000),
  ),
  POLL_TIMEOUT: setting(30_000, "`30s`", "a poll's whole request", duration(100, 300_000)),
  MAX_RESPONSE_BYTES: setting(5 * 1024 * 1024, "`5242880` (5 MiB)", "a poll's reply, decoded", bytes(1024, 1024 ** 3)),
  RETAIN_POLLS: setting(7 * 86_400_000, "`7d`", "how long polls are kept", duration(3_600_000, 3650 * 86_400_000)),
  RETAIN_EVENTS: setting(
    30 * 86_400_000,
    "`30d`",
    "how long events, deliveries and attempts are kept",
    duration(3_600_000, 3650 * 86_400_000),
  ),
  RETAIN_DEAD_LETTERS: setting(
    90 * 86_400_000,
    "`90d`",
    "how long dead letters are kept",
    duration(3_600_000, 3650 * 86_400_000),
  ),
  RETAIN_AUDIT: setting(
    365 * 86_400_000,
    "`365d`",
    "how long the audit log is kept",
    duration(3_600_000, 3650 * 86_400_000),
  ),
  POLL_LOG_BYTES: setting(
    2 * 1024 ** 3,
    "`2147483648` (2 GiB)",
    "cap on the log of unchanged polls, which lasts 24 h at most",
    bytes(1024 * 1024, 1024 ** 4),
  ),
  METRICS_PUBLIC: setting(false, "`false`", "`true`: `/metrics` answers without a key", flag),
  LOG_LEVEL: setting<"debug" | "info" | "warn" | "error">(
    "info",
    "`info`",
    "`debug`, `info`, `warn` or `error`",
    oneOf("debug", "info", "warn", "error"),
  ),
  LOG_FORMAT: setting<"auto" | "pretty" | "json">(
    "auto",
    "`auto`",
    "`pretty`, `json`, or `auto`: pretty on a terminal, JSON lines elsewhere",
    oneOf("auto", "pretty", "json"),
  ),
} as const;

export type SettingName = keyof typeof SETTINGS;
export type Config = { readonly [K in SettingName]: (typeof SETTINGS)[K] extends Setting<infer T> ? T : never };
export type ConfigSource = "default" | "environment" | "file";

/**
 * Reads all settings. For each NAME the first of `DELTAHOOK_NAME`, `DELTAHOOK_NAME_FILE`, `NAME`, `NAME_FILE` counts.
 * Throws one `AppError` that lists every malformed, out-of-range or unknown variable with its remedy.
 */
export function loadConfig(env: Record<string, string | undefined>): {
  config: Config;
  sources: Record<SettingName, ConfigSource>;
} {
  const faults: string[] = [];
  const config: Record<string, unknown> = {};
  const sources: Record<string, ConfigSource> = {};
  for (const [name, definition] of Object.entries(SETTINGS) as [SettingName, Setting<unknown>][]) {
    const found = find(env, name, faults);
    sources[name] = found?.source ?? "default";
    config[name] = definition.fallback;
    if (!found) continue;
    try {
      config[name] = definition.parse(found.text);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      const value = definition.secret ? "" : ` (${JSON.stringify(found.text)})`;
      faults.push(`${found.variable}${value}: ${error.message}`);
    }
  }
  faults.push(...unknownVariables(env), ...contradictions(config as unknown as Config, sources));
  if (faults.length > 0) {
    throw new AppError("invalid", `The settings cannot be used:\n${faults.map((fault) => `  - ${fault}`).join("\n")}`);
  }
  return { config: config as unknown as Config, sources: sources as Record<SettingName, ConfigSource> };
}

function find(env: Record<string, string | undefined>, name: string, faults: string[]) {
  for (const variable of [`DELTAHOOK_${name}`, name]) {
    const value = env[variable];
    if (value !== undefined && value !== "") return { variable, text: value, source: "environment" as const };
    const path = env[`${variable}_FILE`];
    if (path === undefined || path === "") continue;
    try {
      return { variable: `${variable}_FILE`, text: readFileSync(path, "utf8").trim(), source: "file" as const };
    } catch {
      faults.push(`${variable}_FILE: ${path} cannot be read; name a readable file or unset the variable`);
      return null;
    }
  }
  return null;
}

/** A mistyped name must not be passed over in silence; only our own prefix can be judged. */
function unknownVariables(env: Record<string, string | undefined>): string[] {
  const names = Object.keys(SETTINGS);
  return Object.keys(env)
    .filter((variable) => variable.startsWith("DELTAHOOK_") && !variable.startsWith("DELTAHOOK_TEST_"))
    .filter((variable) => !names.includes(variable.slice("DELTAHOOK_".length).replace(/_FILE$/, "")))
    .map((variable) => {
      const near = nearest(variable.slice("DELTAHOOK_".length).replace(/_FILE$/, ""), names);
      return `${variable}: there is no such setting${near ? `; did you mean DELTAHOOK_${near}?` : ""}`;
    });
}

function contradictions(config: Config, sources: Record<string, ConfigSource>): string[] {
  const faults: string[] = [];
  if (config.DATABASE_URL) {
    for (const name of ["MASTER_KEY", "JWT_SECRET"] as const) {
      // One that is there and of no use is a fault already.
      if (!config[name] && sources[name] === "default") {
        faults.push(
          `${name}: required with DATABASE_URL, since several nodes must share it; make one with \`openssl rand -base64 48\``,
        );
      }
    }
  } else if (config.ROLE !== "all") {
    faults.push(`ROLE: ${config.ROLE} needs DATABASE_URL; the embedded Postgres serves one node in the role all`);
  }
  if ((config.ADMIN_EMAIL === null) !== (config.ADMIN_PASSWORD === null)) {
    faults.push("ADMIN_EMAIL and ADMIN_PASSWORD: set both or neither");
  }
  return faults;
}

function text(value: string): string {
  return value;
}

function whole(min: number, max: number): Parse<number> {
  return (value) => {
    const number = /^\d+$/.test(value.trim()) ? Number(value) : Number.NaN;
    if (!(number >= min && number <= max)) throw new Fault(`write a whole number from ${min} to ${max}`);
    return number;
  };
}

function decimal(min: number, max: number): Parse<number> {
  return (value) => {
    const number = /^\d+(\.\d+)?$/.test(value.trim()) ? Number(value) : Number.NaN;
    if (!(number >= min && number <= max)) throw new Fault(`write a number from ${min} to ${max}`);
    return number;
  };
}

function duration(minMs: number, maxMs: number): Parse<number> {
  return (value) => {
    const ms = parseDuration(value);
    if (ms === null) throw new Fault("write a duration such as 500ms, 30s, 5m, 2h or 1d");
    if (ms < minMs || ms > maxMs) {
      throw new Fault(`write a duration from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`);
    }
    return ms;
  };
}

function bytes(min: number, max: number): Parse<number> {
  const units: Record<string, number> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };
  return (value) => {
    const match = /^(\d+)\s*([kmg]?)(?:i?b)?$/i.exec(value.trim());
    const size = match ? Number(match[1]) * (units[(match[2] ?? "").toLowerCase()] ?? 1) : Number.NaN;
    if (!(size >= min && size <= max))
      throw new Fault(`write a number of bytes from ${min} to ${max}, such as 5242880 or 5MiB`);
    return size;
  };
}

function flag(value: string): boolean {
  if (/^(true|1|yes|on)$/i.test(value)) return true;
  if (/^(false|0|no|off)$/i.test(value)) return false;
  throw new Fault("write true or false");
}

function oneOf<T extends string>(...choices: T[]): Parse<T> {
  return (value) => {
    const found = choices.find((choice) => choice === value);
    if (found === undefined) throw new Fault(`write one of ${choices.join(", ")}`);
    return found;
  };
}

function list<T>(parse: Parse<T>): Parse<T[]> {
  return (value) =>
    value
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== "")
      .map(parse);
}

function keyMaterial(value: string): string {
  if (value.length < 32) throw new Fault("write at least 32 characters; make some with `openssl rand -base64 48`");
  return value;
}

function origin(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : null;
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:") || url.search || url.hash || url.username) {
    throw new Fault("write an http or https address such as https://hooks.example.com");
  }
  return url.href.replace(/\/$/, "");
}

function postgresUrl(value: string): string {
  if (!/^postgres(ql)?:\/\//.test(value)) throw new Fault("write postgres://user:password@host:5432/database");
  return value;
}

/** The settings as the README's table. */
export function settingsTable(): string {
  const rows = Object.entries(SETTINGS).map(([name, { shown, meaning }]) => `| \`${name}\` | ${shown} | ${meaning} |`);
  return ["| name | default | meaning |", "| --- | --- | --- |", ...rows].join("\n");
}
