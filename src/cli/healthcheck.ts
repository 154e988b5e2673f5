import { loadConfig } from "../platform/config.ts";
import { AppError, messageOf } from "../platform/errors.ts";
import { answer } from "./answer.ts";
import { FAILED } from "./failure.ts";
import { localServer } from "./local_server.ts";

/** Below the 5 s that container runtimes and the Dockerfile grant. */
const TIMEOUT_MS = 4_000;

/** Asks /readyz of the server on this machine; ready is exit code 0. */
export async function healthcheck(options: { json?: boolean }): Promise<void> {
  const { config } = loadConfig(process.env);
  const url = `${localServer(config)}/readyz`;
  const { status, text } = await ask(url);
  const ready = status === 200;
  const body = parse(text);
  answer(
    options.json,
    body ?? { ready, status },
    ready ? "ready" : (body?.detail ?? `not ready: ${url} answers ${status}`),
  );
  if (!ready) process.exitCode = FAILED;
}

async function ask(url: string): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: "manual" });
    return { status: response.status, text: await response.text() };
  } catch (error) {
    const reason = (error as { code?: string }).code ?? messageOf(error);
    throw new AppError("unavailable", `No server answers at ${url} (${reason}).`, { cause: error });
  }
}

function parse(text: string): { detail?: string } | null {
  try {
    return JSON.parse(text);
  } catch {
    return null; // some other server has the port
  }
}
