import { createApiKeys } from "../../identity/api_keys.ts";
import { audit } from "../../identity/audit.ts";
import { loadConfig } from "../../platform/config.ts";
import { AppError, messageOf } from "../../platform/errors.ts";
import type { Witness } from "../../platform/witness.ts";
import { usage } from "../failure.ts";
import { localServer } from "../local_server.ts";
import { withDatabase } from "../opened.ts";
import type { Listener } from "./connection.ts";
import { ask, type Server } from "./server.ts";

/** `leave` ends the listener, and the key if it was made for the occasion. It never throws. */
type Access = { server: Server; leave(listener: Listener | null): Promise<void> };

/** Long enough for a day's work; it only matters to a process that was killed. */
const KEY_LASTS_MS = 24 * 3_600_000;
const LEAVING_MS = 2_000;
const NAME = "deltahook listen";

/**
 * The server that was named with its key, or the one of this machine: to that, whoever may read its database needs none,
 * and a key is made for as long as the listening lasts.
 */
export async function enter(named: { server?: string; apiKey?: string }): Promise<Access> {
  if (named.server !== undefined && named.apiKey === undefined) {
    throw usage("--server needs --api-key, or HOOKSHOT_API_KEY in the environment.");
  }
  const address = (named.server ?? localServer(loadConfig(process.env).config)).replace(/\/+$/, "");
  if (!/^https?:\/\/[^/]/.test(address)) throw usage(`--server ${address}: write an http or https address.`);
  if (named.apiKey !== undefined) return accessWith({ address, apiKey: named.apiKey }, async () => {});

  await requireServer(address);
  const { id, key } = await makeKey();
  return accessWith({ address, apiKey: key }, () => dropKey(id));
}

function accessWith(server: Server, forgetKey: () => Promise<void>): Access {
  return {
    server,
    async leave(listener) {
      const signal = AbortSignal.timeout(LEAVING_MS);
      try {
        if (listener) await ask(server, { method: "DELETE", path: `/v1/endpoints/${listener.id}`, signal });
      } catch {
        // Its lease ends by itself.
      }
      await forgetKey().catch((error) => {
        process.stderr.write(
          `The key "${NAME}" could not be revoked (${messageOf(error)}); it expires within a day.\n`,
        );
      });
    },
  };
}

/** No key is made for a server that is not there; else its database would be started for nothing, too. */
async function requireServer(address: string): Promise<void> {
  try {
    await ask({ address, apiKey: "" }, { method: "GET", path: "/healthz" });
  } catch (error) {
    const hint = "Start it with `deltahook serve`, or name another with --server and --api-key.";
    throw new AppError("unavailable", `${messageOf(error)} ${hint}`, { cause: error });
  }
}

function makeKey(): Promise<{ id: string; key: string }> {
  return withDatabase(({ database }) => {
    const expiresAt = new Date(Date.now() + KEY_LASTS_MS).toISOString();
    const body = { name: NAME, role: "editor" as const, expires_at: expiresAt, rate_limit: null };
    return createApiKeys(database).create("cli", body, witness("create"));
  });
}

function dropKey(id: string): Promise<void> {
  return withDatabase(({ database }) => createApiKeys(database).delete("cli", id, witness("delete")));
}

function witness(action: string): Witness {
  return (tx, { id }) =>
    audit(tx, { actor: "cli", action, resource: { kind: "api_key", id }, detail: { name: NAME, role: "editor" } });
}
