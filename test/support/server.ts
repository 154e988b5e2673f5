import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));
export const ADMIN = { email: "admin@example.com", password: "correct horse battery staple" };

export type ServerProcess = {
  url: string;
  pid: number;
  process: Bun.Subprocess;
  /** Everything that it has written so far. */
  output(): string;
  /** Sends a signal and waits for the end. @returns the exit code, or the signal's name */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<number | string>;
};

/** A whole server as a user starts it, in a process of its own, on a free port. Resolves when it says that it is ready. */
export async function startServerProcess(env: Record<string, string>): Promise<ServerProcess> {
  const child = Bun.spawn([process.execPath, CLI, "serve"], {
    env: {
      PATH: process.env.PATH ?? "",
      BUN_CONFIG_MAX_HTTP_REQUESTS: "16384",
      HOME: process.env.HOME ?? "/",
      PORT: "0",
      ALLOWED_NETWORKS: "127.0.0.0/8",
      ADMIN_EMAIL: ADMIN.email,
      ADMIN_PASSWORD: ADMIN.password,
      LOG_FORMAT: "json",
      ...env,
    },
    stdout: "pipe",
    stderr: "pipe",
  });
  const lines: string[] = [];
  const ready = Promise.withResolvers<string>();
  const read = async (stream: ReadableStream<Uint8Array>) => {
    const decoder = new TextDecoder();
    let rest = "";
    for await (const part of stream) {
      rest += decoder.decode(part, { stream: true });
      const parts = rest.split("\n");
      rest = parts.pop() ?? "";
      for (const line of parts) {
        lines.push(line);
        if (line.includes('"message":"ready"')) ready.resolve((JSON.parse(line) as { url: string }).url);
      }
    }
    if (rest) lines.push(rest);
  };
  void read(child.stdout);
  void read(child.stderr);
  void child.exited.then((code) => {
    // The last words may still be in the pipe.
    setTimeout(
      () => ready.reject(new Error(`the server ended with ${code} before it was ready:\n${lines.join("\n")}`)),
      200,
    );
  });
  ready.promise.catch(() => {});
  const url = await ready.promise;
  return {
    url,
    pid: child.pid,
    process: child,
    output: () => lines.join("\n"),
    async end(signal) {
      child.kill(signal);
      await child.exited;
      return child.signalCode ?? child.exitCode ?? -1;
    },
  };
}

/** A folder of one's own for DATA_DIR. */
export function temporaryDataDir(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "deltahook-e2e-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export type Client = {
  call<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }>;
};

/** Logs in as the admin and calls the API as a program would. */
export async function login(server: { url: string }, who = ADMIN): Promise<Client> {
  const answer = await fetch(`${server.url}/v1/auth/login`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(who),
  });
  if (!answer.ok) throw new Error(`login: ${answer.status} ${await answer.text()}`);
  const { token } = (await answer.json()) as { token: string };
  return {
    async call<T>(method: string, path: string, body?: unknown) {
      const response = await fetch(server.url + path, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, body: (text === "" ? null : JSON.parse(text)) as T };
    },
  };
}

/** Asks again and again until the answer is what is waited for. @throws with the last answer after `timeoutMs` */
export async function eventually<T>(
  ask: () => Promise<T>,
  holds: (value: T) => boolean,
  timeoutMs = 30_000,
): Promise<T> {
  const giveUpAt = performance.now() + timeoutMs;
  for (;;) {
    const value = await ask();
    if (holds(value)) return value;
    if (performance.now() > giveUpAt) throw new Error(`still not so after ${timeoutMs} ms: ${JSON.stringify(value)}`);
    await Bun.sleep(100);
  }
}
