// Finds Bun and hands over to it, under plain Node: only `node:` imports belong here.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";

/** The first of these programs that is a Bun of exactly this version. */
export function findBun(places, version) {
  return places.find((bun) => spawnSync(bun, ["--version"], { encoding: "utf8" }).stdout?.trim() === version);
}

/** Where npm leaves the binary itself when the `bun` package's install script, which moves it, was not allowed to run. */
export function nativeBuns(modules) {
  const oven = join(modules, "@oven");
  if (!existsSync(oven)) return [];
  return readdirSync(oven).map((name) => join(oven, name, "bin", "bun"));
}

/** Runs Bun in our place: same terminal, our signals are its signals, its end is our end. */
export function run(bun, args) {
  // Bun sends 256 requests at a time and queues the others, so that 256 hanging hosts would stop all: read at its start only.
  const env = { BUN_CONFIG_MAX_HTTP_REQUESTS: "16384", ...process.env };
  const child = spawn(bun, args, { stdio: "inherit", env });
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) {
    // A terminal sends Ctrl-C and its own closing to parent and child alike; twice would mean "hurry up" to the server.
    const fromTerminal = signal !== "SIGTERM" && process.stdin.isTTY;
    process.on(signal, () => fromTerminal || child.kill(signal));
  }
  child.on("error", (error) => {
    console.error(`deltahook: ${bun} could not be started: ${error.message}`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
    process.exitCode = 128 + constants.signals[signal]; // for a signal that does not end us (init in a container)
  });
}
