import { resolve } from "node:path";
import { startRetention } from "./delivering/retention.ts";
import { deliveringRoutes } from "./http/api/delivering.ts";
import { hostRoutes } from "./http/api/hosts.ts";
import { jsonpathRoutes } from "./http/api/jsonpath.ts";
import { pluginRoutes } from "./http/api/plugins.ts";
import { watchRoutes } from "./http/api/watches.ts";
import { createApp } from "./http/app.ts";
import { dashboardRoutes } from "./http/pages/dashboard.ts";
import { createIdentity, sweepIdentity } from "./identity/identity.ts";
import { createSetupLink, ensureAdmin } from "./identity/setup.ts";
import { createClock } from "./platform/clock.ts";
import type { Config } from "./platform/config.ts";
import { type ConnectionTarget, connectDatabase, type Database, isAway, targetOf } from "./platform/database.ts";
import { startEmbedded } from "./platform/embedded.ts";
import { messageOf } from "./platform/errors.ts";
import { loadKeys } from "./platform/keys.ts";
import type { Log } from "./platform/log.ts";
import { migrate } from "./platform/migrate.ts";
import { createNode, type Pools } from "./platform/pools.ts";
import { installQueue } from "./platform/queue.ts";
import { repeat } from "./platform/repeat.ts";
import { createRollups } from "./platform/rollups.ts";
import { startPlugins } from "./plugins/plugins.ts";
import { createRooms } from "./rooms.ts";

export type RunningServer = {
  url: string;
  /** The one-time link by which the first account is made; null when there is one already. */
  setupLink: string | null;
  stop(): Promise<void>;
};

/** What a stop has to undo, in the order of its making. */
type Undo = { name: string; step(): Promise<unknown> }[];

/** At this age of a stop open requests are ended; with writing down what came of them, the whole takes under 8 s. */
const DRAIN_MS = 5_000;
const HOUR_MS = 3_600_000;

/**
 * Starts everything from the ground up, and stops it in reverse. When a step fails, those before it are undone.
 * @throws AppError with what is wrong and what to do about it.
 */
export async function startServer(config: Config, log: Log): Promise<RunningServer> {
  const undo: Undo = [];
  const stop = async () => {
    for (const { name, step } of undo.splice(0).reverse()) {
      await step().catch((error) => log.warn(`${name} did not stop cleanly`, { problem: messageOf(error) }));
    }
  };
  try {
    return { ...(await start(config, log, undo)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(config: Config, log: Log, undo: Undo): Promise<Omit<RunningServer, "stop">> {
  const dataDir = resolve(config.DATA_DIR ?? "data");
  const target = await openPostgres(config, dataDir, log, undo);
  const database = connectDatabase(target, { max: 10, log });
  undo.push({ name: "database pool", step: database.close });
  await whenThere(database, log);
  await migrate(database, { log, installQueue: () => installQueue(target, log) });

  const keys = loadKeys(config, dataDir, log);
  const clock = createClock();
  await clock.synchronise(database.sql);
  const nodeId = crypto.randomUUID();
  const rollups = createRollups(nodeId);
  const node = createNode({ database, target, clock, log, nodeId, alone: config.DATABASE_URL === null });
  undo.push({ name: "node", step: node.leave });
  const plugins = await startPlugins({ folder: resolve(config.PLUGINS_DIR ?? "plugins"), log });
  undo.push({ name: "plugins", step: plugins.stop });

  const rooms = createRooms({ config, keys, database, clock, log, rollups, plugins, share: node.share });
  const { delivering, resources, watching, secrets, receivers } = rooms;
  undo.push({ name: "writing down", step: () => Promise.all([delivering.finish(), watching.finish()]) });

  const work = config.ROLE === "web" ? null : startWork();
  const flushing = repeat({
    name: "counters",
    everyMs: 5_000,
    log,
    work: async () => void (await rollups.flush(database.sql)),
  });
  const sweeping = repeat({
    name: "expired sessions and old audit entries",
    everyMs: HOUR_MS,
    log,
    work: async () => void (await sweepIdentity(database, { auditMs: config.RETAIN_AUDIT })),
  });
  undo.push({ name: "maintenance", step: () => Promise.all([flushing.stop(), sweeping.stop()]) });
  undo.push({ name: "counters", step: () => rollups.flush(database.sql) });

  const host = config.HOST ?? "127.0.0.1";
  const identity = createIdentity({
    database,
    jwtSecret: keys.jwtSecret,
    https: config.PUBLIC_URL?.startsWith("https:") ?? false,
  });
  const readiness = async () => [
    { name: "database", problem: await databaseProblem(database) },
    { name: "workers", problem: work === null || work.running() ? null : "the worker pools are starting again" },
  ];
  const { server } = createApp({
    role: config.ROLE,
    database,
    identity,
    secrets,
    rollups,
    readiness,
    routes: [
      ...watchRoutes({ database, ...watching }),
      ...hostRoutes({ hosts: watching.hosts }),
      ...jsonpathRoutes(),
      ...deliveringRoutes({ database, resources, checkUrl: receivers.checkUrl }),
      ...pluginRoutes({ plugins }),
      ...dashboardRoutes({
        database,
        identity,
        resources,
        watching,
        secrets,
        plugins,
        config,
        checkUrl: receivers.checkUrl,
      }),
    ],
    publicUrl: config.PUBLIC_URL ?? `http://${shownHost(host)}:${config.PORT}`,
    metricsPublic: config.METRICS_PUBLIC,
    log,
  });
  // Together, since fetching has to stop at once and open requests may take a while.
  undo.push({ name: "requests", step: () => Promise.all([server.stop(), work?.stop()]) });
  const { port } = server.listen({ host, port: config.PORT });
  const url = config.PUBLIC_URL ?? `http://${shownHost(host)}:${port}`;
  return { url, setupLink: config.ROLE === "worker" ? null : await firstAccount(config, database, url, log) };

  /** Polls and deliveries each have a pool of their own, so that neither starves the other. */
  function startWork(): Pools {
    delivering.start();
    watching.start();
    const operations = resources.startOperations();
    const retention = startRetention({ database, clock, log, terms: termsOf(config) });
    const pools = node.startPools([
      {
        name: "deliver",
        tasks: { deliver: delivering.deliverer.deliver, fan_out: resources.fanOut },
        concurrency: delivering.jobs,
      },
      { name: "poll", tasks: watching.tasks, concurrency: watching.jobs },
    ]);
    let stopped: Promise<void> | null = null;
    const stop = async () => {
      delivering.beginStop();
      watching.beginStop();
      const ending = setTimeout(() => {
        delivering.abort();
        watching.abort();
      }, DRAIN_MS);
      await Promise.all([pools.stop(), operations.stop(), retention.stop()]);
      clearTimeout(ending);
    };
    const once = () => {
      stopped ??= stop();
      return stopped;
    };
    undo.push({ name: "work", step: once });
    return { running: pools.running, stop: once };
  }
}

function termsOf(config: Config) {
  return {
    pollsMs: config.RETAIN_POLLS,
    eventsMs: config.RETAIN_EVENTS,
    deadLettersMs: config.RETAIN_DEAD_LETTERS,
    pollLogBytes: config.POLL_LOG_BYTES,
  };
}

async function openPostgres(config: Config, dataDir: string, log: Log, undo: Undo): Promise<ConnectionTarget> {
  if (config.DATABASE_URL !== null) return targetOf(config.DATABASE_URL);
  const embedded = await startEmbedded({ dataDir, log });
  undo.push({ name: "embedded Postgres", step: embedded.stop });
  return embedded.connection;
}

/** In a compose file Postgres often starts at the same moment: a minute is granted. */
async function whenThere(database: Database, log: Log): Promise<void> {
  const giveUpAt = performance.now() + 60_000;
  for (;;) {
    try {
      await database.sql`select 1`;
      return;
    } catch (error) {
      if (!isAway(error) || performance.now() > giveUpAt) throw error;
      log.warn("waiting for Postgres", { problem: messageOf(error) });
      await Bun.sleep(1_000);
    }
  }
}

async function databaseProblem(database: Database): Promise<string | null> {
  const answered = await Promise.race([database.sql`select 1`.catch(() => null), Bun.sleep(2_000).then(() => null)]);
  return answered ? null : "Postgres does not answer";
}

async function firstAccount(config: Config, database: Database, url: string, log: Log): Promise<string | null> {
  if (config.ADMIN_EMAIL !== null && config.ADMIN_PASSWORD !== null) {
    const made = await ensureAdmin(database, { email: config.ADMIN_EMAIL, password: config.ADMIN_PASSWORD });
    if (made) log.info("the first admin was created", { email: made.email });
  }
  const token = await createSetupLink(database);
  return token === null ? null : `${url}/setup?token=${token}`;
}

function shownHost(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "localhost";
  return host.includes(":") ? `[${host}]` : host;
}
