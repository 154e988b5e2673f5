import { createDelivering } from "../../src/delivering/delivering.ts";
import { createResources } from "../../src/delivering/resources.ts";
import { deliveringRoutes } from "../../src/http/api/delivering.ts";
import { hostRoutes } from "../../src/http/api/hosts.ts";
import { jsonpathRoutes } from "../../src/http/api/jsonpath.ts";
import { watchRoutes } from "../../src/http/api/watches.ts";
import type { Route } from "../../src/http/route.ts";
import { createClock } from "../../src/platform/clock.ts";
import type { ConnectionTarget, Database } from "../../src/platform/database.ts";
import { silentLog } from "../../src/platform/log.ts";
import { createNode } from "../../src/platform/pools.ts";
import { createRollups } from "../../src/platform/rollups.ts";
import { createOAuthTokens } from "../../src/vault/oauth.ts";
import { createSecrets } from "../../src/vault/secrets.ts";
import { createWatching } from "../../src/watching/watching.ts";
import { loopback, vault } from "../support/engine.ts";

/** The routes of the rooms that watch and deliver, as the server has them, on engines that are not started. */
export function roomRoutes(at: { database: Database; target: ConnectionTarget }): Route[] {
  const { database } = at;
  const secrets = createSecrets(database, vault);
  const tokens = createOAuthTokens({ database, vault, outbound: loopback });
  const rollups = createRollups("test-node");
  const clock = createClock();
  const node = createNode({ ...at, clock, log: silentLog, nodeId: crypto.randomUUID(), alone: true });
  const shared = { database, clock, log: silentLog, outbound: loopback, vault, rollups, share: node.share };
  const delivering = createDelivering({
    ...shared,
    authorise: async (_id, request) => ({
      ...request,
      secretHeaders: [],
      onlyHosts: null,
      redact: (text) => text,
      refused: async () => false,
    }),
    concurrency: 8,
    defaults: { retry: { delays: [100] }, timeoutMs: 1_000 },
  });
  const resources = createResources({ ...shared, delivering, retainEventsMs: 86_400_000 });
  const watching = createWatching({
    ...shared,
    secrets,
    tokens,
    publish: delivering.publish,
    concurrency: 8,
    hostConcurrency: 8,
    hostRate: 0,
    timeoutMs: 1_000,
    maxBytes: 1_048_576,
  });
  return [
    ...watchRoutes({ database, ...watching }),
    ...hostRoutes({ hosts: watching.hosts }),
    ...jsonpathRoutes(),
    ...deliveringRoutes({ database, resources, checkUrl: loopback.checkUrl }),
  ];
}
