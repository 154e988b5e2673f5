import { createPublish } from "../../src/delivering/publish.ts";
import { createSubscriptions } from "../../src/delivering/subscriptions.ts";
import { createClock } from "../../src/platform/clock.ts";
import type { ConnectionTarget, Database } from "../../src/platform/database.ts";
import { type Log, silentLog } from "../../src/platform/log.ts";
import type { Outbound } from "../../src/platform/outbound.ts";
import { createNode } from "../../src/platform/pools.ts";
import { createRollups, type Rollups } from "../../src/platform/rollups.ts";
import { createOAuthTokens } from "../../src/vault/oauth.ts";
import { createSecrets, type Secrets } from "../../src/vault/secrets.ts";
import type { KillPoint } from "../../src/watching/record.ts";
import type { ShownPoll, ShownWatch } from "../../src/watching/shown.ts";
import { type WatchInput, watchInput } from "../../src/watching/watch.ts";
import { createWatching, type Watching } from "../../src/watching/watching.ts";
import { loopback, vault } from "../support/engine.ts";

export type Node = {
  watching: Watching;
  secrets: Secrets;
  rollups: Rollups;
  /** Creates one watch from a body as users write it. */
  create(body: object): Promise<ShownWatch>;
  stop(): Promise<void>;
};

export type NodeOptions = {
  /** Without it the tick and the pool of jobs do not run: polls only happen when asked for. */
  work?: boolean;
  concurrency?: number;
  hostConcurrency?: number;
  hostRate?: number;
  timeoutMs?: number;
  maxBytes?: number;
  log?: Log;
  rollups?: Rollups;
  outbound?: Outbound;
  random?: () => number;
  at?: (point: KillPoint) => void;
};

/** A watching node in this process, on a real database and the real queue, its door open to loopback only. */
export function startNode(place: { database: Database; target: ConnectionTarget }, options: NodeOptions = {}): Node {
  const log = options.log ?? silentLog;
  const clock = createClock();
  const nodeId = crypto.randomUUID();
  const rollups = options.rollups ?? createRollups(nodeId);
  const outbound = options.outbound ?? loopback;
  const secrets = createSecrets(place.database, vault);
  const watching = createWatching({
    database: place.database,
    clock,
    log,
    outbound,
    vault,
    secrets,
    tokens: createOAuthTokens({ database: place.database, vault, outbound }),
    rollups,
    publish: createPublish(clock, createSubscriptions()),
    concurrency: options.concurrency ?? 64,
    hostConcurrency: options.hostConcurrency ?? 0,
    hostRate: options.hostRate ?? 0,
    timeoutMs: options.timeoutMs ?? 5_000,
    maxBytes: options.maxBytes ?? 1024 * 1024,
    random: options.random ?? (() => 0),
    ...(options.at ? { at: options.at } : {}),
  });
  const works = options.work !== false;
  const node = works ? createNode({ ...place, clock, log, nodeId, alone: true }) : null;
  if (works) watching.start();
  const pools = node?.startPools([{ name: "poll", tasks: watching.tasks, concurrency: watching.jobs }]);

  return {
    watching,
    secrets,
    rollups,
    async create(body) {
      const [created] = await watching.watches.create([parseWatch(body)]);
      if (!created) throw new Error("nothing was created");
      return created;
    },
    async stop() {
      watching.beginStop();
      await pools?.stop();
      await watching.finish();
      await node?.leave();
    },
  };
}

export function parseWatch(body: object): WatchInput {
  return watchInput.parse({ name: "Test", schedule: { every: "1s" }, ...body });
}

export type Source = {
  url: string;
  /** What has been asked so far. */
  requests: { path: string; headers: Headers; body: string; at: number }[];
  answer: (request: Request) => Response | Promise<Response>;
  stop(): void;
};

/** A real HTTP source on loopback whose answer can be changed at any time. */
export function startSource(answer: Source["answer"]): Source {
  const source: Omit<Source, "url" | "stop"> = { requests: [], answer };
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 60,
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const body = await request.clone().text();
      source.requests.push({ path: pathname + search, headers: request.headers, body, at: Date.now() });
      return source.answer(request);
    },
  });
  return Object.assign(source, { url: `http://127.0.0.1:${server.port}`, stop: () => void server.stop(true) });
}

/** Looks again until it is so, and fails by itself when it never is. */
export async function until<T>(
  what: string,
  look: () => Promise<T | null | false | undefined>,
  withinMs = 15_000,
): Promise<T> {
  const giveUpAt = performance.now() + withinMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (performance.now() > giveUpAt) throw new Error(`not within ${withinMs} ms: ${what}`);
    await Bun.sleep(20);
  }
}

export type StatedEvent = { type: string; data: Record<string, unknown>; text: string };

/** All events of the database in the order in which they were stated. */
export async function events({ sql }: Database): Promise<StatedEvent[]> {
  const rows = await sql<{ type: string; text: string }[]>`
    select type, data::text as text from deltahook.events order by id`;
  return rows.map(({ type, text }) => ({ type, text, data: JSON.parse(text) }));
}

/** The poll log of a watch, the oldest first. */
export async function pollLog({ watching }: Node, id: string): Promise<ShownPoll[]> {
  const { rows, show } = await watching.runs.polls(id, { cursor: null, limit: 200 });
  return rows.map(show).reverse();
}

export function pollNow({ watching }: Node, id: string): Promise<ShownPoll> {
  return watching.runs.pollNow(id, new AbortController().signal);
}
