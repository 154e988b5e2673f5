import type { Config } from "../platform/config.ts";
import { AppError } from "../platform/errors.ts";

const EVERYWHERE: Record<string, string> = { "0.0.0.0": "127.0.0.1", "::": "::1" };

/**
 * Where the server of this machine answers, by HOST and PORT.
 * @throws AppError when PORT leaves that to the server
 */
export function localServer({ HOST, PORT }: Config): string {
  if (PORT === 0) throw new AppError("invalid", "PORT is 0, a free port that only the server knows: set PORT to it.");
  const host = EVERYWHERE[HOST ?? ""] ?? HOST ?? "127.0.0.1";
  return `http://${host.includes(":") ? `[${host}]` : host}:${PORT}`;
}
