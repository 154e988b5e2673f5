import { startServer } from "../main.ts";
import { loadConfig } from "../platform/config.ts";
import { AppError, messageOf } from "../platform/errors.ts";
import { createLog, type Log } from "../platform/log.ts";

const [command = "serve"] = process.argv.slice(2);

try {
  if (command !== "serve") {
    throw new AppError("invalid", `There is no command "${command}". The command is: serve.`);
  }
  await serve();
} catch (error) {
  // A fault of ours is shown whole; one of the user's needs its sentence only.
  process.stderr.write(`${error instanceof AppError || !(error instanceof Error) ? messageOf(error) : error.stack}\n`);
  process.exit(1);
}

/** Runs until SIGTERM, SIGINT or SIGHUP; exits 0 after a clean stop. */
async function serve(): Promise<void> {
  const { config } = loadConfig(process.env);
  const format = config.LOG_FORMAT === "auto" ? (process.stdout.isTTY ? "pretty" : "json") : config.LOG_FORMAT;
  const log = createLog({ level: config.LOG_LEVEL, format });
  const server = await startServer(config, log);
  announce(server.url, server.setupLink, format);
  let stopping = false;
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      log.info("stopping", { signal });
      void server.stop().then(
        () => process.exit(0),
        (error) => fail(log, error),
      );
    });
  }
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
