import { readFileSync, statSync } from "node:fs";
import { AppError } from "../errors.ts";

/** The user that Postgres runs as. */
export type Account = { name: string; uid: number; gid: number };

/** Nothing of our own environment: it holds secrets, and PG* variables would steer Postgres. */
const ENVIRONMENT = { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C" };

/**
 * Postgres refuses to run as root, so root lends it another account: the owner of the cluster if there is one, else
 * `postgres`, else `nobody`, else any other (initdb insists on an entry in /etc/passwd).
 * @returns null for an ordinary user, who runs Postgres as itself.
 */
export function chooseAccount(cluster: string | null): Account | null {
  if (process.getuid?.() !== 0) return null;
  const owner = cluster === null ? null : statSync(cluster);
  const accounts = readAccounts();
  if (owner && owner.uid !== 0) {
    return (
      accounts.find(({ uid }) => uid === owner.uid) ?? { name: `uid ${owner.uid}`, uid: owner.uid, gid: owner.gid }
    );
  }
  const account =
    ["postgres", "nobody"].map((name) => accounts.find((one) => one.name === name)).find(Boolean) ?? accounts[0];
  if (account) return account;
  throw new AppError(
    "unavailable",
    "Postgres does not run as root and this machine has no other user: add one (useradd --system postgres), start DeltaHook as an ordinary user, or set DATABASE_URL.",
  );
}

function readAccounts(): Account[] {
  return readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"))
    .map(([name = "", , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
    .filter(({ name, uid, gid }) => name !== "" && uid > 0 && gid >= 0);
}

/** How a program is spawned as that account: in a folder, and with an environment, that every account can use. */
export function spawnAs(account: Account | null) {
  return { cwd: "/", env: ENVIRONMENT, ...(account && { uid: account.uid, gid: account.gid }) };
}

/** Whether the account can enter this folder, by trying, since modes are not the only thing that decides. */
export function canEnter(account: Account | null, folder: string): boolean {
  return Bun.spawnSync(["/bin/sh", "-c", 'cd -- "$1"', "sh", folder], spawnAs(account)).success;
}
