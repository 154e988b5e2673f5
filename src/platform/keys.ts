import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "./config.ts";
import type { Log } from "./log.ts";

export type Keys = { masterKey: string; jwtSecret: string };

/**
 * The keys that settings give, or those that were generated once into DATA_DIR (readable by this user alone).
 * @param dataDir only used for keys that no setting gives
 */
export function loadKeys(config: Config, dataDir: string, log: Log): Keys {
  return {
    masterKey: config.MASTER_KEY ?? generatedOnce(dataDir, "master.key", log),
    jwtSecret: config.JWT_SECRET ?? generatedOnce(dataDir, "jwt.key", log),
  };
}

/** The master key as `loadKeys` gives it, or null where there is none yet: none is made. */
export function findMasterKey(config: Config, dataDir: string): string | null {
  return config.MASTER_KEY ?? readKey(masterKeyPath(dataDir));
}

/** Where the master key lies that no setting gives. */
export function masterKeyPath(dataDir: string): string {
  return join(dataDir, "master.key");
}

function readKey(path: string): string | null {
  return existsSync(path) ? readFileSync(path, "utf8").trim() : null;
}

function generatedOnce(dataDir: string, name: string, log: Log): string {
  const path = join(dataDir, name);
  const kept = readKey(path);
  if (kept !== null) return kept;
  mkdirSync(dataDir, { recursive: true });
  const key = randomBytes(48).toString("base64");
  // Written aside and renamed: a key cut short by a crash would seal secrets that nothing opens again.
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, `${key}\n`, { mode: 0o600, flush: true });
  chmodSync(draft, 0o600);
  renameSync(draft, path);
  log.info("a key was generated; keep a copy of it with your backups", { path });
  return key;
}
