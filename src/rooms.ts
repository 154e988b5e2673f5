import { createAuthorise } from "./delivering/authorise.ts";
import { createDelivering, type Delivering } from "./delivering/delivering.ts";
import { createResources, type Resources } from "./delivering/resources.ts";
import { parseAllowedNetworks } from "./platform/addresses.ts";
import type { Clock } from "./platform/clock.ts";
import type { Config } from "./platform/config.ts";
import type { Database } from "./platform/database.ts";
import type { Keys } from "./platform/keys.ts";
import type { Log } from "./platform/log.ts";
import { PLAY, SAMPLE, withInside } from "./platform/outbound/inside.ts";
import { createOutbound, type Outbound } from "./platform/outbound.ts";
import type { Rollups } from "./platform/rollups.ts";
import type { Plugins } from "./plugins/plugins.ts";
import { createOAuthTokens } from "./vault/oauth.ts";
import { createSecrets, type Secrets } from "./vault/secrets.ts";
import { createVault } from "./vault/vault.ts";
import { createWatching, type Watching } from "./watching/watching.ts";

/** The rooms that the API is made of. They do nothing by themselves until they are started. */
export type Rooms = {
  delivering: Delivering;
  resources: Resources;
  watching: Watching;
  secrets: Secrets;
  /** The door to endpoints. */
  receivers: Outbound;
};

export type RoomsDeps = {
  config: Config;
  keys: Pick<Keys, "masterKey">;
  database: Database;
  clock: Clock;
  log: Log;
  rollups: Rollups;
  plugins: Plugins;
  /** This node's part of a cap that all nodes share; by default the whole. */
  share?: (cap: number) => number;
};

/** Puts the rooms together by the settings, for the server and for commands that do what its API does. */
export function createRooms(deps: RoomsDeps): Rooms {
  const { config, database, clock, log, rollups, plugins, share = (cap) => cap } = deps;
  const vault = createVault({ masterKey: deps.keys.masterKey, previousKeys: config.MASTER_KEY_PREVIOUS });
  const outbound = createOutbound({ allowedNetworks: parseAllowedNetworks(config.ALLOWED_NETWORKS) });
  const secrets = createSecrets(database, vault, outbound.checkUrl);
  const tokens = createOAuthTokens({ database, vault, outbound });
  const sources = withInside(outbound, SAMPLE, clock.now);
  const receivers = withInside(outbound, PLAY, clock.now);

  const delivering = createDelivering({
    database,
    clock,
    log,
    outbound: receivers,
    vault,
    authorise: createAuthorise(secrets, tokens),
    transform: plugins.transform,
    rollups,
    concurrency: config.CONCURRENCY,
    defaults: { retry: { delays: config.RETRY_DELAYS }, timeoutMs: config.DELIVERY_TIMEOUT },
    share,
  });
  const resources = createResources({
    plugins,
    database,
    clock,
    log,
    vault,
    rollups,
    delivering,
    retainEventsMs: config.RETAIN_EVENTS,
  });
  const watching = createWatching({
    database,
    clock,
    log,
    outbound: sources,
    vault,
    secrets,
    tokens,
    rollups,
    publish: delivering.publish,
    plugins,
    concurrency: config.POLL_CONCURRENCY,
    hostConcurrency: config.HOST_CONCURRENCY,
    hostRate: config.HOST_RATE,
    share,
    timeoutMs: config.POLL_TIMEOUT,
    maxBytes: config.MAX_RESPONSE_BYTES,
  });
  return { delivering, resources, watching, secrets, receivers };
}
