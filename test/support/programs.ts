import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Real programs that nobody here wrote, started on loopback for one test and stopped after it. */
export type Program = { port: number; output(): string; stop(): Promise<void> };

const RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server";
export const hasRabbitMq = existsSync(RABBITMQ);
export const hasPrometheus = Bun.which("prometheus") !== null;
export const hasWebhook = Bun.which("webhook") !== null;

/** RabbitMQ with its management API (basic auth guest:guest) on `port`. */
export async function startRabbitMq(): Promise<Program> {
  const folder = mkdtempSync(join(tmpdir(), "deltahook-rabbitmq-"));
  const [amqp, management, distribution, epmd] = await freePorts(4);
  writeFileSync(
    join(folder, "rabbitmq.conf"),
    `listeners.tcp.1 = 127.0.0.1:${amqp}\nmanagement.tcp.port = ${management}\nmanagement.tcp.ip = 127.0.0.1\ncollect_statistics_interval = 1000\n`,
  );
  writeFileSync(join(folder, "plugins"), "[rabbitmq_management].\n");
  const env = {
    PATH: process.env.PATH ?? "",
    HOME: folder,
    RABBITMQ_CONFIG_FILE: join(folder, "rabbitmq.conf"),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, "plugins"),
    RABBITMQ_MNESIA_BASE: join(folder, "mnesia"),
    RABBITMQ_LOG_BASE: join(folder, "log"),
    RABBITMQ_PID_FILE: join(folder, "pid"),
    RABBITMQ_NODENAME: `test${management}@localhost`,
    RABBITMQ_DIST_PORT: String(distribution),
    ERL_EPMD_PORT: String(epmd),
    ERL_EPMD_ADDRESS: "127.0.0.1",
    ERL_CRASH_DUMP_SECONDS: "0",
  };
  const program = launch([RABBITMQ], env, folder);
  const ready = () =>
    answers(`http://127.0.0.1:${management}/api/overview`, { authorization: `Basic ${btoa("guest:guest")}` });
  await until(ready, program, "RabbitMQ", 60_000);
  return {
    port: management as number,
    output: program.output,
    async stop() {
      await program.stop();
      // Erlang's port mapper is a daemon of its own; nobody else uses this one.
      await Bun.spawn(["epmd", "-port", String(epmd), "-kill"], { env, stdout: "ignore", stderr: "ignore" }).exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Prometheus, scraping one target every second. */
export async function startPrometheus(target: string): Promise<Program> {
  const folder = mkdtempSync(join(tmpdir(), "deltahook-prometheus-"));
  const [port] = await freePorts(1);
  writeFileSync(
    join(folder, "prometheus.yml"),
    `global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n  - job_name: shop\n    static_configs:\n      - targets: ["${target}"]\n`,
  );
  const program = launch(
    [
      "prometheus",
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { PATH: process.env.PATH ?? "", HOME: folder },
    folder,
  );
  await until(() => answers(`http://127.0.0.1:${port}/-/ready`, {}), program, "Prometheus", 30_000);
  return {
    port: port as number,
    output: program.output,
    stop: () => program.stop().then(() => rmSync(folder, { recursive: true, force: true })),
  };
}

/** Debian's `webhook`: each POST to /hooks/order prints its body's type into the program's output. */
export async function startWebhook(): Promise<Program> {
  const folder = mkdtempSync(join(tmpdir(), "deltahook-webhook-"));
  mkdirSync(folder, { recursive: true });
  const [port] = await freePorts(1);
  writeFileSync(
    join(folder, "hooks.json"),
    JSON.stringify([
      {
        id: "order",
        "execute-command": "/bin/echo",
        "include-command-output-in-response": true,
        "pass-arguments-to-command": [
          { source: "string", name: "arrived" },
          { source: "payload", name: "type" },
          { source: "header", name: "webhook-id" },
        ],
        "trigger-rule": {
          match: { type: "regex", regex: "^v1,", parameter: { source: "header", name: "webhook-signature" } },
        },
      },
    ]),
  );
  const program = launch(
    ["webhook", "-hooks", join(folder, "hooks.json"), "-ip", "127.0.0.1", "-port", String(port), "-verbose"],
    { PATH: process.env.PATH ?? "", HOME: folder },
    folder,
  );
  await until(() => answers(`http://127.0.0.1:${port}/`, {}), program, "webhook", 20_000);
  return {
    port: port as number,
    output: program.output,
    stop: () => program.stop().then(() => rmSync(folder, { recursive: true, force: true })),
  };
}

function launch(command: string[], env: Record<string, string>, cwd: string) {
  const child = Bun.spawn(command, { env, cwd, stdout: "pipe", stderr: "pipe" });
  let text = "";
  const read = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    for await (const part of stream) text += decoder.decode(part, { stream: true });
  };
  void read(child.stdout);
  void read(child.stderr);
  return {
    output: () => text,
    ended: () => child.exitCode !== null,
    async stop() {
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
      await child.exited;
      clearTimeout(late);
    },
  };
}

async function answers(url: string, headers: Record<string, string>): Promise<boolean> {
  return fetch(url, { headers }).then(
    (response) => response.ok,
    () => false,
  );
}

async function until(
  ready: () => Promise<boolean>,
  program: { ended(): boolean; output(): string },
  name: string,
  timeoutMs: number,
) {
  const giveUpAt = performance.now() + timeoutMs;
  while (!(await ready())) {
    if (program.ended() || performance.now() > giveUpAt) throw new Error(`${name} did not start:\n${program.output()}`);
    await Bun.sleep(200);
  }
}

/** Ports that nobody listens on now, below the range from which the kernel gives out others meanwhile. */
async function freePorts(count: number): Promise<number[]> {
  const found: number[] = [];
  while (found.length < count) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    if (!found.includes(port) && (await isFree(port))) found.push(port);
  }
  return found;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once("error", () => resolve(false));
    probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
  });
}
