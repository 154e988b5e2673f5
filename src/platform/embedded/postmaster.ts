import { AppError, messageOf } from "../errors.ts";
import type { Log, LogLevel } from "../log.ts";
import { type Account, spawnAs } from "./account.ts";
import { readPidFile } from "./orphan.ts";

const FIRST_DELAY_MS = 100;
const LAST_DELAY_MS = 5_000;
const STEADY_MS = 60_000; // a server that ran this long was healthy: the next delay is the first again
const FAST_MS = 10_000;
const LONG_START_MS = 10_000;

/** What must hold whatever postgresql.conf says. */
const FIXED = {
  listen_addresses: "",
  unix_socket_permissions: "0700",
  fsync: "on",
  full_page_writes: "on",
  synchronous_commit: "on",
  logging_collector: "off",
  log_destination: "stderr",
  log_line_prefix: "",
  lc_messages: "C",
  // Statements and details quote rows, and rows are not for the log.
  log_min_error_statement: "panic",
  log_error_verbosity: "terse",
};

export type Launch = {
  postgres: string;
  cluster: string;
  socketDir: string;
  port: number;
  account: Account | null;
  log: Log;
};

/** A running server, kept running. */
export type Postmaster = {
  /** Undefined while it is being started again. */
  readonly pid: number | undefined;
  /** Fast shutdown (SIGINT), immediate (SIGQUIT) after 10 s. Resolves when Postgres is gone. */
  stop(): Promise<void>;
};

type Server = { process: Bun.Subprocess; lastWords: string[] };

/**
 * Starts Postgres and resolves when it takes connections, however long its recovery takes. From then on a server that
 * ends by itself is started again, after 100 ms growing to 5 s.
 */
export async function startPostmaster(launch: Launch): Promise<Postmaster> {
  let server: Server | null = startServer(launch);
  const endWithUs = () => server?.process.kill("SIGINT");
  process.once("exit", endWithUs);
  if (!(await untilReady(server, launch))) {
    process.removeListener("exit", endWithUs);
    const said = server.lastWords.join("; ") || `exit code ${server.process.exitCode}`;
    throw new AppError("unavailable", `Postgres does not start on ${launch.cluster}: ${said}`);
  }
  const stopping = Promise.withResolvers<"stopping">();
  let stopped = false;

  const keepRunning = async (): Promise<void> => {
    let delayMs = FIRST_DELAY_MS;
    while (server) {
      const startedAt = performance.now();
      await server.process.exited;
      if (stopped) return;
      if (performance.now() - startedAt > STEADY_MS) delayMs = FIRST_DELAY_MS;
      launch.log.error("Postgres ended unexpectedly and is started again", { ...describeEnd(server), in_ms: delayMs });
      server = null;
      while (!server) {
        await Promise.race([Bun.sleep(delayMs), stopping.promise]);
        if (stopped) return;
        delayMs = Math.min(delayMs * 2, LAST_DELAY_MS);
        server = tryStart(launch);
      }
      void untilReady(server, launch).then((ready) => ready && launch.log.info("Postgres is back"));
    }
  };
  const supervision = keepRunning();

  return {
    get pid() {
      return server?.process.pid;
    },
    async stop() {
      stopped = true;
      stopping.resolve("stopping");
      process.removeListener("exit", endWithUs);
      if (server) await end(server.process, launch.log);
      await supervision;
    },
  };
}

function startServer({ postgres, cluster, socketDir, port, account, log }: Launch): Server {
  const settings = { ...FIXED, unix_socket_directories: socketDir, port: String(port) };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const process = Bun.spawn([postgres, "-D", cluster, ...flags], {
    ...spawnAs(account),
    detached: true, // the terminal's Ctrl-C is for us: deliveries drain first, Postgres stops last
    stdio: ["ignore", "ignore", "pipe"],
  });
  const server: Server = { process, lastWords: [] };
  void passOn(process.stderr, server, log);
  return server;
}

function tryStart(launch: Launch): Server | null {
  try {
    return startServer(launch);
  } catch (error) {
    launch.log.error("Postgres could not be started", { error: messageOf(error) });
    return null;
  }
}

/** @returns false when the server ended before it took connections. */
async function untilReady({ process }: Server, { cluster, log }: Launch): Promise<boolean> {
  let tellAt = performance.now() + LONG_START_MS;
  while (process.exitCode === null && process.signalCode === null) {
    const status = readPidFile(cluster);
    if (status?.pid === process.pid && status.state === "ready") return true;
    if (performance.now() > tellAt) {
      log.info("Postgres is still starting, most likely recovering what a crash left", { pid: process.pid });
      tellAt += LONG_START_MS;
    }
    await Bun.sleep(5);
  }
  return false;
}

async function end(process: Bun.Subprocess, log: Log): Promise<void> {
  process.kill("SIGINT");
  const timer = setTimeout(() => {
    log.warn("Postgres does not stop in time and is stopped at once; its next start recovers");
    process.kill("SIGQUIT");
  }, FAST_MS);
  await process.exited;
  clearTimeout(timer);
}

function describeEnd({ process, lastWords }: Server) {
  return { exit_code: process.exitCode, signal: process.signalCode, said: lastWords.join("; ") };
}

async function passOn(stream: ReadableStream<Uint8Array>, server: Server, log: Log): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines.filter((text) => text !== "")) {
      const { level, message } = readLogLine(line);
      if (level === "warn" || level === "error") server.lastWords = [...server.lastWords, message].slice(-3);
      log[level](`postgres: ${message}`);
    }
  }
}

/** An ERROR ends one statement, and whoever sent it is told; it is no trouble of the server. */
const LEVELS: Record<string, LogLevel> = { WARNING: "warn", ERROR: "debug", FATAL: "warn", PANIC: "error" };
/** Postgres tells these at its level LOG, beside routine. */
const TROUBLE =
  /terminated by signal|server process .* exited|could not|invalid value|unrecognized|not properly shut down|interrupted|corrupt|reinitializing/;

/** One line of Postgres's own log (no prefix, English) → its level and text in ours. */
export function readLogLine(line: string): { level: LogLevel; message: string } {
  const [, severity, text] = /^([A-Z]+\d?): {2}(.*)$/.exec(line) ?? [];
  if (severity === undefined || text === undefined)
    return { level: /^\s/.test(line) ? "debug" : "warn", message: line.trim() };
  if (severity === "LOG" && TROUBLE.test(text)) return { level: "warn", message: text };
  return { level: LEVELS[severity] ?? "debug", message: text };
}
