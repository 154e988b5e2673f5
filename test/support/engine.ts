import type { Authorise } from "../../src/delivering/authorise.ts";
import { createDelivering, type Delivering } from "../../src/delivering/delivering.ts";
import { newSigningSecret } from "../../src/delivering/signature.ts";
import type { Transform } from "../../src/delivering/transform.ts";
import { parseAllowedNetworks } from "../../src/platform/addresses.ts";
import { createClock } from "../../src/platform/clock.ts";
import type { ConnectionTarget, Database } from "../../src/platform/database.ts";
import { type Log, silentLog } from "../../src/platform/log.ts";
import { createOutbound } from "../../src/platform/outbound.ts";
import { createNode } from "../../src/platform/pools.ts";
import { createRollups } from "../../src/platform/rollups.ts";
import { createVault } from "../../src/vault/vault.ts";

export const vault = createVault({ masterKey: "a master key for tests, long enough" });
export const loopback = createOutbound({ allowedNetworks: parseAllowedNetworks(["127.0.0.0/8"]) });
const noCredentials: Authorise = async (_id, request) => ({
  ...request,
  secretHeaders: [],
  onlyHosts: null,
  redact: (text) => text,
  refused: async () => false,
});

export type Engine = { delivering: Delivering; stop(): Promise<void> };

/** A delivering node in this process, on a real database, its door open to loopback only. */
export function startEngine(
  at: { database: Database; target: ConnectionTarget },
  options: {
    concurrency?: number;
    retry?: number[];
    timeoutMs?: number;
    alone?: boolean;
    log?: Log;
    work?: boolean;
    transform?: Transform;
  } = {},
): Engine {
  const log = options.log ?? silentLog;
  const clock = createClock();
  const nodeId = crypto.randomUUID();
  const rollups = createRollups(nodeId);
  const node = createNode({ ...at, clock, log, nodeId, alone: options.alone ?? true });
  const concurrency = options.concurrency ?? 256;
  const delivering = createDelivering({
    database: at.database,
    clock,
    log,
    outbound: loopback,
    vault,
    authorise: noCredentials,
    rollups,
    concurrency,
    defaults: { retry: { delays: options.retry ?? [100, 200, 400] }, timeoutMs: options.timeoutMs ?? 2_000 },
    share: node.share,
    ...(options.transform ? { transform: options.transform } : {}),
  });
  if (options.work !== false) delivering.start();
  const pools =
    options.work === false
      ? null
      : node.startPools([
          { name: "deliver", tasks: { deliver: delivering.deliverer.deliver }, concurrency: delivering.jobs },
        ]);
  return {
    delivering,
    async stop() {
      delivering.beginStop();
      await pools?.stop();
      await delivering.finish();
      await node.leave();
    },
  };
}

/** An endpoint row with a sealed signing secret and its health, as the resource makes it. */
export async function addEndpoint(
  { sql }: Database,
  endpoint: {
    url: string;
    maxInFlight?: number;
    eventTypes?: string[];
    ordered?: boolean;
    autoPause?: boolean;
    retry?: number[];
  },
): Promise<{ id: string; secret: string }> {
  const id = Bun.randomUUIDv7();
  const secret = newSigningSecret();
  const signing = JSON.stringify([{ sealed: await vault.seal("signing", id, secret), expires_at: null }]);
  await sql`
    insert into deltahook.endpoints (id, name, url, event_types, max_in_flight, ordered, auto_pause, retry, signing)
    values (${id}, 'Test', ${endpoint.url}, ${endpoint.eventTypes ?? ["*"]}, ${endpoint.maxInFlight ?? 32}, ${endpoint.ordered ?? false},
            ${endpoint.autoPause ?? true}, ${endpoint.retry ? JSON.stringify({ delays: endpoint.retry }) : null}::text::json, ${signing}::text::json)`;
  await sql`insert into deltahook.endpoint_health (endpoint_id) values (${id})`;
  return { id, secret };
}
