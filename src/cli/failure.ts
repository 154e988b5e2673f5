import { CommanderError } from "commander";
import { isAway } from "../platform/database.ts";
import { AppError, messageOf } from "../platform/errors.ts";

export const FAILED = 1;
export const MISUSED = 2;

/** The command line itself is wrong. */
export function usage(message: string): CommanderError {
  return new CommanderError(MISUSED, "deltahook.usage", message);
}

/** 0 when only help or the version was asked for, 2 for a wrong command line, 1 for all else. */
export function exitCodeOf(error: unknown): number {
  if (!(error instanceof CommanderError)) return FAILED;
  return error.exitCode === 0 ? 0 : MISUSED;
}

/** Says on stderr what failed. A failure that the user can mend is a sentence; a fault of ours is shown whole. */
export function tell(error: unknown, json: boolean): void {
  // Commander has written the help by now.
  if (error instanceof CommanderError && error.code !== "deltahook.usage") return;
  const message = sentenceOf(error);
  if (message === null) return void process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  const text = json ? JSON.stringify({ error: { message, ...faultsOf(error) } }) : `deltahook: ${message}`;
  process.stderr.write(`${text}\n`);
}

function sentenceOf(error: unknown): string | null {
  if (error instanceof AppError || error instanceof CommanderError) return withFaults(error);
  if (isClientFailure(error)) return error.message;
  if (isAway(error) && isOfConnection(error))
    return `Postgres cannot be reached (${messageOf(error)}). Is it running, and is DATABASE_URL right?`;
  if (isRefusedByPostgres(error))
    return `Postgres refuses: ${error.message}. Check DATABASE_URL and the rights of its user.`;
  return null;
}

/** The message, then each fault that it does not say already. */
function withFaults(error: Error): string {
  if (!(error instanceof AppError)) return error.message;
  const more = error.faults.filter(({ message }) => !error.message.includes(message));
  return [error.message, ...more.map(({ pointer, message }) => `  ${pointer}: ${message}`)].join("\n");
}

function faultsOf(error: unknown): object {
  if (!(error instanceof AppError)) return {};
  return { code: error.code, ...(error.faults.length > 0 ? { faults: error.faults } : {}) };
}

function isClientFailure(error: unknown): error is Error {
  return error instanceof Error && error.name === "HookshotError";
}

/** A socket that is not there says ENOENT, as does any file. */
function isOfConnection(error: unknown): boolean {
  const { code, syscall } = error as { code?: unknown; syscall?: unknown };
  return code !== "ENOENT" || syscall === "connect";
}

/** Class 28: no such user or password; 3D000: no such database; 42501: no right to do this. */
function isRefusedByPostgres(error: unknown): error is Error {
  const code = (error as { code?: unknown } | null)?.code;
  return error instanceof Error && typeof code === "string" && /^(28...|3D000|42501)$/.test(code);
}
