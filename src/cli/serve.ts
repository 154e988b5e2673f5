import { type RunningServer, startServer } from "../main.ts";
import { loadConfig } from "../platform/config.ts";
import { messageOf } from "../platform/errors.ts";
import { createLog, type Log } from "../platform/log.ts";

/** Runs until SIGTERM, SIGINT or SIGHUP; the process exits 0 after a clean stop. */
export async function serve(): Promise<never> {
  const { config } = loadConfig(process.env);
  const format = config.LOG_FORMAT === "auto" ? (process.stdout.isTTY ? "pretty" : "json") : config.LOG_FORMAT;
  const log = createLog({ level: config.LOG_LEVEL, format });
  let server: RunningServer | null = null;
  let stopping = false;
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    process.on(signal, () => {
      // Before it serves there is nothing to drain; a Postgres that was started ends with the process.
      if (server === null) process.exit(0);
      if (stopping) return;
      stopping = true;
      log.info("stopping", { signal });
      void server.stop().then(
        () => process.exit(0),
        (error) => fail(log, error),
      );
    });
  }
  server = await startServer(config, log);
  announce(server.url, server.setupLink, format);
  return new Promise<never>(() => {});
}

/** What a person has to know, in words; a machine that reads JSON lines gets the same as a line. */
function announce(url: string, setupLink: string | null, format: "pretty" | "json"): void {
  if (format === "json") {
    process.stdout.write(
      `${JSON.stringify({ time: new Date().toISOString(), level: "info", message: "ready", url, setup_link: setupLink })}\n`,
    );
    return;
  }
  process.stdout.write(`\n  DeltaHook is ready at ${url}\n`);
  if (setupLink) process.stdout.write(`  Create the first account (this link works once): ${setupLink}\n`);
  process.stdout.write("\n");
}

function fail(log: Log, error: unknown): never {
  log.error("the stop was not clean", { problem: messageOf(error) });
  process.exit(1);
}
