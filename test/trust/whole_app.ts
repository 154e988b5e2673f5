import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthorise } from "../../src/delivering/authorise.ts";
import { createDelivering } from "../../src/delivering/delivering.ts";
import { createResources } from "../../src/delivering/resources.ts";
import { deliveringRoutes } from "../../src/http/api/delivering.ts";
import { hostRoutes } from "../../src/http/api/hosts.ts";
import { jsonpathRoutes } from "../../src/http/api/jsonpath.ts";
import { pluginRoutes } from "../../src/http/api/plugins.ts";
import { watchRoutes } from "../../src/http/api/watches.ts";
import { createApp } from "../../src/http/app.ts";
import { dashboardRoutes } from "../../src/http/pages/dashboard.ts";
import type { Route } from "../../src/http/route.ts";
import type { HttpServer } from "../../src/http/server.ts";
import { createIdentity, type Identity } from "../../src/identity/identity.ts";
import type { Role } from "../../src/identity/principal.ts";
import { parseAllowedNetworks } from "../../src/platform/addresses.ts";
import { createClock } from "../../src/platform/clock.ts";
import { loadConfig } from "../../src/platform/config.ts";
import type { Database } from "../../src/platform/database.ts";
import { createLog } from "../../src/platform/log.ts";
import { PLAY, SAMPLE, withInside } from "../../src/platform/outbound/inside.ts";
import { createOutbound } from "../../src/platform/outbound.ts";
import { createNode } from "../../src/platform/pools.ts";
import { createRollups } from "../../src/platform/rollups.ts";
import { startPlugins } from "../../src/plugins/plugins.ts";
import { createOAuthTokens } from "../../src/vault/oauth.ts";
import { createSecrets } from "../../src/vault/secrets.ts";
import { createVault } from "../../src/vault/vault.ts";
import { createWatching } from "../../src/watching/watching.ts";
import { answered, type Called } from "../http/support.ts";
import { testDatabase } from "../support/database.ts";

export const PUBLIC_URL = "http://127.0.0.1:8080";

export type WholeApp = {
  database: Database;
  identity: Identity;
  server: HttpServer;
  routes: Route[];
  /** An API key of each role. */
  keys: Record<Role, string>;
  /** What was logged so far. */
  logged(): string;
  /** Sends a request, as an admin unless it says otherwise; `body` as JSON unless it is a string. */
  call(method: string, path: string, body?: unknown, options?: CallOptions): Promise<Called>;
  close(): Promise<void>;
};

export type CallOptions = { as?: Role | "nobody"; headers?: Record<string, string> };

export type WholeAppOptions = {
  /** What ALLOWED_NETWORKS opens; nothing by default. */
  allowed?: string[];
  /** Names that the door resolves by itself; all others are unknown to it. */
  names?: Record<string, string[]>;
  /** Whether deliveries and polls run. */
  work?: boolean;
  /** Files of the plugin folder: name → text. */
  plugins?: Record<string, string>;
  masterKey?: string;
  jwtSecret?: string;
};

/** Everything that the server puts together, with pages and plugins, on a database of its own and without a listener. */
export async function wholeApp(options: WholeAppOptions = {}): Promise<WholeApp> {
  const { database, target, drop } = await testDatabase();
  const lines: string[] = [];
  const log = createLog({ level: "debug", format: "json", write: (line) => lines.push(line) });
  const folder = mkdtempSync(join(tmpdir(), "deltahook-trust-"));
  for (const [name, text] of Object.entries(options.plugins ?? {})) writeFileSync(join(folder, name), text);
  const plugins = await startPlugins({ folder, log });

  const vault = createVault({ masterKey: options.masterKey ?? "m".repeat(48) });
  const names = options.names ?? {};
  const outbound = createOutbound({
    allowedNetworks: parseAllowedNetworks(options.allowed ?? []),
    resolve: async (host) => names[host] ?? unknownName(),
  });
  const secrets = createSecrets(database, vault, outbound.checkUrl);
  const tokens = createOAuthTokens({ database, vault, outbound });
  const clock = createClock();
  await clock.synchronise(database.sql);
  const rollups = createRollups("test-node");
  const node = createNode({ database, target, clock, log, nodeId: crypto.randomUUID(), alone: true });
  const receivers = withInside(outbound, PLAY, clock.now);
  const shared = { database, clock, log, vault, rollups, share: node.share };
  const delivering = createDelivering({
    ...shared,
    outbound: receivers,
    authorise: createAuthorise(secrets, tokens),
    transform: plugins.transform,
    concurrency: 64,
    defaults: { retry: { delays: [100] }, timeoutMs: 2_000 },
  });
  const resources = createResources({ ...shared, delivering, plugins, retainEventsMs: 86_400_000 });
  const watching = createWatching({
    ...shared,
    outbound: withInside(outbound, SAMPLE, clock.now),
    secrets,
    tokens,
    plugins,
    publish: delivering.publish,
    concurrency: 64,
    hostConcurrency: 64,
    hostRate: 0,
    timeoutMs: 2_000,
    maxBytes: 1_048_576,
  });
  const work = options.work ? startWork() : null;

  const identity = createIdentity({ database, jwtSecret: options.jwtSecret ?? "j".repeat(48), https: false });
  const { checkUrl } = receivers;
  const { config } = loadConfig({});
  const { server, routes } = createApp({
    role: "all",
    database,
    identity,
    secrets,
    rollups,
    readiness: async () => [{ name: "database", problem: null }],
    routes: [
      ...watchRoutes({ database, ...watching }),
      ...hostRoutes({ hosts: watching.hosts }),
      ...jsonpathRoutes(),
      ...deliveringRoutes({ database, resources, checkUrl }),
      ...pluginRoutes({ plugins }),
      ...dashboardRoutes({ database, identity, resources, watching, secrets, plugins, config, checkUrl }),
    ],
    publicUrl: PUBLIC_URL,
    metricsPublic: false,
    log,
  });
  const key = async (role: Role) =>
    (await identity.apiKeys.create("cli", { name: role, role, expires_at: null, rate_limit: null })).key;
  const keys = { viewer: await key("viewer"), editor: await key("editor"), admin: await key("admin") };

  function startWork() {
    delivering.start();
    watching.start();
    const operations = resources.startOperations();
    const pools = node.startPools([
      {
        name: "deliver",
        tasks: { deliver: delivering.deliverer.deliver, fan_out: resources.fanOut },
        concurrency: 64,
      },
      { name: "poll", tasks: watching.tasks, concurrency: watching.jobs },
    ]);
    return () => Promise.all([pools.stop(), operations.stop()]);
  }

  return {
    database,
    identity,
    server,
    routes,
    keys,
    logged: () => lines.join(""),
    call: (method, path, body, { as = "admin", headers = {} } = {}) =>
      answered(
        server.handle(
          new Request(`${PUBLIC_URL}${path}`, {
            method,
            headers: {
              ...(as === "nobody" ? {} : { authorization: `Bearer ${keys[as]}` }),
              ...(body === undefined ? {} : { "content-type": "application/json" }),
              ...headers,
            },
            ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
          }),
        ),
      ),
    async close() {
      await server.stop();
      delivering.beginStop();
      watching.beginStop();
      delivering.abort();
      watching.abort();
      await work?.();
      await Promise.all([delivering.finish(), watching.finish()]);
      await plugins.stop();
      await node.leave();
      await drop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function unknownName(): never {
  throw Object.assign(new Error("not found"), { code: "ENOTFOUND" });
}
