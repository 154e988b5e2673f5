import { expect, test } from "bun:test";
import { chmodSync, chownSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connectDatabase } from "../../src/platform/database.ts";
import { chooseAccount, spawnAs } from "../../src/platform/embedded/account.ts";
import { silentLog } from "../../src/platform/log.ts";
import { migrate } from "../../src/platform/migrate.ts";
import { installQueue } from "../../src/platform/queue.ts";
import { createVault } from "../../src/vault/vault.ts";
import { startReceiver } from "../support/receiver.ts";
import { startServerProcess, temporaryDataDir } from "../support/server.ts";

const MAIN = join(import.meta.dir, "../../src/cli/main.ts");
const POSTGRES_15 = "/usr/lib/postgresql/15/bin";
const KEY = "the master key of a database that moves";

async function deltahook(words: string[], env: Record<string, string>) {
  const child = Bun.spawn([process.execPath, MAIN, ...words], {
    env: { PATH: process.env.PATH ?? "", ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  return { out: out.trim(), err: err.trim(), code: await child.exited };
}

/** A Postgres 15 of one's own on a private socket, owing one delivery to `url`. */
async function startPostgres15(folder: string, url: string): Promise<{ databaseUrl: string; stop(): Promise<void> }> {
  const account = chooseAccount(null);
  const home = join(folder, "pg15");
  mkdirSync(home);
  if (account) chownSync(home, account.uid, account.gid);
  const made = Bun.spawnSync(
    [`${POSTGRES_15}/initdb`, "-D", `${home}/data`, "-U", "mover", "-A", "trust", "-N"],
    spawnAs(account),
  );
  if (!made.success) throw new Error(made.stderr.toString());
  const server = Bun.spawn(
    [`${POSTGRES_15}/postgres`, "-D", `${home}/data`, "-k", home, "-c", "listen_addresses=", "-c", "fsync=off"],
    { ...spawnAs(account), stdout: "ignore", stderr: "ignore" },
  );
  const target = { host: home, port: 5432, user: "mover", database: "postgres" };
  const database = connectDatabase(target, { max: 2, log: silentLog });
  for (let tries = 0; ; tries++) {
    const there = await database.sql`select 1`.catch(() => null);
    if (there) break;
    if (tries === 100) throw new Error("Postgres 15 did not start");
    await Bun.sleep(100);
  }
  await migrate(database, { log: silentLog, installQueue: () => installQueue(target, silentLog) });
  const id = "01900000-0000-7000-8000-000000000001";
  const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
  const sealed = await createVault({ masterKey: KEY }).seal("signing", id, secret);
  await database.sql.unsafe(`
    insert into deltahook.endpoints (id, name, url, event_types, max_in_flight, signing)
    values ('${id}', 'Moved', '${url}', '{*}', 8, '[{"sealed":"${sealed}","expires_at":null}]');
    insert into deltahook.endpoint_health (endpoint_id) values ('${id}');
    insert into deltahook.events (id, type, data, origin) values (deltahook.uuid7(), 'order.paid', '{"total": 1.0}', 'api');
    insert into deltahook.deliveries (id, event_id, endpoint_id, due_at, job)
    select deltahook.uuid7(), id, '${id}', now(), gen_random_uuid() from deltahook.events`);
  await database.close();
  return {
    databaseUrl: `postgres://mover@/postgres?host=${encodeURIComponent(home)}&port=5432`,
    async stop() {
      server.kill("SIGINT");
      await server.exited;
    },
  };
}

test.skipIf(!existsSync(POSTGRES_15))(
  "a Postgres 15 moves into an embedded one, which delivers what was owed, and is backed up while it runs",
  async () => {
    const { path, remove } = temporaryDataDir();
    chmodSync(path, 0o755); // else, run as root, the account of Postgres could not enter
    const receiver = startReceiver();
    const old = await startPostgres15(path, receiver.url);
    const file = join(path, "moved.tar.gz");
    const from = { DATABASE_URL: old.databaseUrl, MASTER_KEY: KEY, JWT_SECRET: KEY };
    expect(await deltahook(["backup", file], from)).toMatchObject({ code: 0, err: "" });
    await old.stop();

    const env = { DATA_DIR: join(path, "data") };
    const keyless = await deltahook(["restore", file], env);
    expect(keyless.err).toContain(`put the old one into ${env.DATA_DIR}/master.key`);
    expect(existsSync(env.DATA_DIR)).toBe(false);
    mkdirSync(env.DATA_DIR, { mode: 0o700 });
    writeFileSync(join(env.DATA_DIR, "master.key"), `${KEY}\n`, { mode: 0o600 });
    const restored = await deltahook(["restore", file], env);
    expect(restored).toMatchObject({ code: 0, err: "" });
    expect(restored.out).toContain("1 delivery is owed");

    const server = await startServerProcess(env);
    try {
      await receiver.arrived(1);
      expect(receiver.received[0]?.body).toContain('"data":{"total": 1.0}');
      const live = await deltahook(["restore", file], env);
      expect(live.err).toContain("A server works on this database");
      const again = join(path, "again.tar.gz");
      const saved = await deltahook(["backup", again], env);
      expect(saved.out).toContain(`keep a copy of ${env.DATA_DIR}/master.key apart`);
      const checked = await deltahook(["restore", "--check", again, "--json"], env);
      expect(JSON.parse(checked.out)).toMatchObject({ tables: { events: 1, deliveries: 1, attempts: 1, users: 1 } });
    } finally {
      await server.end("SIGTERM");
      receiver.stop();
      remove();
    }
  },
);
