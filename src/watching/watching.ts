import type { Publish } from "../delivering/publish.ts";
import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import type { Log } from "../platform/log.ts";
import type { Outbound } from "../platform/outbound.ts";
import type { QueueTask } from "../platform/queue.ts";
import type { Repeater } from "../platform/repeat.ts";
import type { Rollups } from "../platform/rollups.ts";
import type { OAuthTokens } from "../vault/oauth.ts";
import { createReadySecrets } from "../vault/ready.ts";
import type { Secrets } from "../vault/secrets.ts";
import type { Vault } from "../vault/vault.ts";
import { createAsk } from "./ask.ts";
import { createChunks } from "./chunk.ts";
import { createFlights } from "./flights.ts";
import { createGovernor } from "./governor.ts";
import { noPlugins, type WatchPlugins } from "./hooks.ts";
import { createHosts, createPatience, followHosts, type Hosts } from "./hosts.ts";
import { createLane } from "./lanes.ts";
import { createLines } from "./lines.ts";
import { createPoll } from "./poll.ts";
import { createPreview, type Preview } from "./preview.ts";
import { createRecorder, type KillPoint } from "./record.ts";
import { createRuns, type Runs } from "./runs.ts";
import { createSender } from "./send.ts";
import { startTick } from "./tick.ts";
import type { WatchInput } from "./watch.ts";
import { createWatchCache } from "./watch_cache.ts";
import { createWatches, type Watches } from "./watches.ts";

export type WatchingDeps = {
  database: Database;
  clock: Clock;
  log: Log;
  outbound: Outbound;
  vault: Vault;
  secrets: Secrets;
  tokens: OAuthTokens;
  rollups: Pick<Rollups, "count" | "observe">;
  publish: Publish;
  /** Without them, polls of watches that have some fail. */
  plugins?: WatchPlugins;
  /** Polls in flight on this node. */
  concurrency: number;
  /** Polls in flight to one host, and polls a second to one host; 0: no limit. */
  hostConcurrency: number;
  hostRate: number;
  timeoutMs: number;
  maxBytes: number;
  /** This node's part of a cap that all nodes share; by default the whole. */
  share?: (cap: number) => number;
  random?: () => number;
  /** For tests that end the process at a certain point. */
  at?: (point: KillPoint) => void;
};

export type Watching = {
  tasks: { poll: QueueTask; poll_slow: QueueTask };
  /** How many of those jobs the pool should run at once: as many as polls may be in flight, since each can be a straggler. */
  jobs: number;
  /** On worker nodes: claims what is due. */
  start(): void;
  /** Claims no more. */
  beginStop(): void;
  /** Ends the requests under way; their watches are given back. */
  abort(): void;
  /** Resolves when all that was found is written. */
  finish(): Promise<void>;
  watches: Watches;
  runs: Runs;
  /** `of`: the id of the saved watch that this is a change of. */
  preview(input: WatchInput, signal: AbortSignal, of?: string): Promise<Preview>;
  hosts: Hosts;
};

/** Beyond a poll's timeout: waiting in the queue and for places. */
const LEASE_MARGIN_MS = 20_000;
/** Of the polls in flight, at most this share is slow ones. */
const SLOW_SHARE = 0.25;
/** How long the last writes may wait for a database that is away. */
const LAST_WRITES_MS = 1_500;

/** Puts the room together: the tick and the tasks of its jobs, and what people do with watches and hosts. */
export function createWatching(deps: WatchingDeps): Watching {
  const { database, clock, log, vault, publish, concurrency, timeoutMs, maxBytes } = deps;
  const { sql } = database;
  const leaseMs = timeoutMs + LEASE_MARGIN_MS;
  const limits = { concurrency: deps.hostConcurrency, rate: deps.hostRate };
  const at = deps.at ?? (() => {});
  const writing = new AbortController();

  const governor = createGovernor({ now: clock.now, ...limits, share: deps.share ?? ((cap) => cap) });
  const slowPlaces = Math.max(1, Math.floor(concurrency * SLOW_SHARE));
  const lanes = { fast: createLane(concurrency), slow: createLane(slowPlaces) };
  const flights = createFlights(lanes);
  const credentials = createReadySecrets(deps.secrets, deps.tokens);
  const plugins = deps.plugins ?? noPlugins;
  const sender = createSender({ ...deps, credentials, plugins });
  const ask = createAsk({ sender, plugins, timeoutMs, maxBytes });
  const lines = createLines(sql, writing.signal);
  const recorder = createRecorder({ database, log, publish, signal: writing.signal, at });
  const patience = createPatience({ sql, governor, log });
  const random = deps.random ?? Math.random;
  const poll = createPoll({ ...deps, sql, governor, patience, flights, ask, recorder, lines, random, at });
  const cache = createWatchCache();
  const chunks = createChunks({ sql, clock, log, cache, flights, lines, lanes, poll, at });

  const repeaters: Repeater[] = [];
  const hosts = createHosts(sql, limits);
  const watches = createWatches({ ...deps, plugins, hosts, wake: () => repeaters[0]?.wake() });

  return {
    tasks: chunks.tasks,
    jobs: concurrency,
    start() {
      const slowRoom = () => slowPlaces - lanes.slow.inUse() - lanes.slow.waiting();
      repeaters.push(startTick({ sql, log, leaseMs, backlogMs: chunks.backlogMs, slowRoom }));
      repeaters.push(followHosts({ sql, governor, log }));
    },
    beginStop() {
      for (const repeater of repeaters) void repeater.stop();
    },
    abort: () => flights.abortAll(),
    async finish() {
      await Promise.all(repeaters.map((repeater) => repeater.stop()));
      setTimeout(() => writing.abort(), LAST_WRITES_MS).unref();
      await Promise.allSettled([recorder.drain(), lines.flushed()]);
      flights.stop();
    },
    watches,
    runs: createRuns({ database, clock, publish, chunks, leaseMs }),
    preview: createPreview({ sql, clock, vault, ask, check: (input) => watches.check([input]) }),
    hosts,
  };
}
