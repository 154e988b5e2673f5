import { testDatabase } from "./database.ts";
import { addEndpoint, type Engine, startEngine } from "./engine.ts";
import { type Received, type Receiver, startReceiver } from "./receiver.ts";

type TestDatabase = Awaited<ReturnType<typeof testDatabase>>;

/** A database with engines and receivers around it, all ended together, in the right order. */
export type Flow = TestDatabase & {
  engine(options?: Parameters<typeof startEngine>[1]): Engine;
  receiver(answer?: (received: Received, nth: number) => Response | Promise<Response>): Receiver;
  endpoint(endpoint: Parameters<typeof addEndpoint>[1]): ReturnType<typeof addEndpoint>;
  /** States events through the engine's door, in batches of 500. */
  publish(engine: Engine, count: number, type?: string): Promise<string[]>;
  /** Ends engines and receivers and empties the tables, for the next test of the file. */
  reset(): Promise<void>;
  end(): Promise<void>;
};

export async function openFlow(): Promise<Flow> {
  const at = await testDatabase();
  const engines = new Set<Engine>();
  const receivers: Receiver[] = [];

  async function stopAll(): Promise<void> {
    // Requests that a receiver keeps open must not keep an engine up.
    for (const engine of engines) engine.delivering.abort();
    await Promise.all([...engines].map((engine) => engine.stop()));
    for (const receiver of receivers.splice(0)) receiver.stop();
  }

  return {
    ...at,
    engine(options) {
      const engine = startEngine(at, options);
      const own = {
        ...engine,
        stop: async () => {
          if (engines.delete(own)) await engine.stop();
        },
      };
      engines.add(own);
      return own;
    },
    receiver(answer) {
      const receiver = startReceiver(answer);
      receivers.push(receiver);
      return receiver;
    },
    endpoint: (endpoint) => addEndpoint(at.database, endpoint),
    async publish(engine, count, type = "order.paid") {
      const ids: string[] = [];
      for (let from = 0; from < count; from += 500) {
        const numbers = Array.from({ length: Math.min(500, count - from) }, (_, i) => from + i);
        const published = await engine.delivering.ingest.submitAll(
          numbers.map((n) => ({
            event: { type, data: `{"n":${n}}`, origin: "api" as const },
            requestHash: Buffer.alloc(0),
          })),
        );
        ids.push(...published.map(({ eventId }) => eventId));
      }
      return ids;
    },
    async reset() {
      await stopAll();
      await at.database.sql.unsafe(`
        delete from deltahook.dead_letters; delete from deltahook.attempts; delete from deltahook.deliveries;
        delete from deltahook.events; delete from deltahook.endpoints; delete from deltahook.idempotency_keys;
        delete from deltahook.nodes; delete from deltahook_queue._private_jobs`);
    },
    async end() {
      await stopAll();
      await at.drop();
    },
  };
}

/** Waits for what must come about; generous, since the machine may be slow. */
export async function until(holds: () => boolean | Promise<boolean>, what = "it", timeoutMs = 40_000): Promise<void> {
  const startedAt = performance.now();
  while (!(await holds())) {
    if (performance.now() - startedAt > timeoutMs) throw new Error(`${what} did not come about within ${timeoutMs} ms`);
    await Bun.sleep(20);
  }
}

/** How many deliveries are in each state; `parked` are pending ones. */
export async function states({ database }: Pick<TestDatabase, "database">): Promise<Record<string, number>> {
  const rows = await database.sql<{ state: string; n: number }[]>`
    select case when parked then 'parked' else state end as state, count(*) as n from deltahook.deliveries group by 1`;
  return Object.fromEntries(rows.map((row) => [row.state, row.n]));
}

/** What is left in the queue. */
export async function jobsLeft({
  database,
}: Pick<TestDatabase, "database">): Promise<{ jobs: number; locked: number }> {
  const [row] = await database.sql<{ jobs: number; locked: number }[]>`
    select count(*) as jobs, count(locked_at) as locked from deltahook_queue._private_jobs`;
  return row ?? { jobs: -1, locked: -1 };
}
