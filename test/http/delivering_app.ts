import { createResources, type Resources } from "../../src/delivering/resources.ts";
import { auditRoutes } from "../../src/http/api/audit.ts";
import { deliveringRoutes } from "../../src/http/api/delivering.ts";
import { createServer } from "../../src/http/server.ts";
import { createIdentity } from "../../src/identity/identity.ts";
import type { Role } from "../../src/identity/principal.ts";
import { createClock } from "../../src/platform/clock.ts";
import type { ConnectionTarget, Database } from "../../src/platform/database.ts";
import { silentLog } from "../../src/platform/log.ts";
import { createRollups } from "../../src/platform/rollups.ts";
import { testDatabase } from "../support/database.ts";
import { type Engine, loopback, startEngine, vault } from "../support/engine.ts";

export type DeliveringApp = {
  database: Database;
  target: ConnectionTarget;
  engine: Engine;
  resources: Resources;
  /** Sends a request by table, as an editor unless it says otherwise; `body` as JSON unless it is a string. */
  call(method: string, path: string, body?: unknown, options?: CallOptions): Promise<Called>;
  close(): Promise<void>;
};

export type CallOptions = { as?: Role; headers?: Record<string, string> };
// biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what the tests are about to find out
export type Called = { status: number; text: string; json: any };

const PUBLIC_URL = "http://127.0.0.1:8080";
const DAY_MS = 86_400_000;

/** The routes of the room that delivers, on a real database and engine; `work: false` leaves what is owed lying. */
export async function deliveringApp(options: { work?: boolean; retry?: number[] } = {}): Promise<DeliveringApp> {
  const { database, target, drop } = await testDatabase();
  const engine = startEngine({ database, target }, options);
  const rollups = createRollups("test-node");
  const resources = createResources({
    database,
    clock: createClock(),
    log: silentLog,
    vault,
    rollups,
    delivering: engine.delivering,
    retainEventsMs: 30 * DAY_MS,
  });
  const operating = options.work === false ? null : resources.startOperations();
  const identity = createIdentity({ database, jwtSecret: "j".repeat(48), https: false });
  const server = createServer({
    routes: [...deliveringRoutes({ database, resources, checkUrl: loopback.checkUrl }), ...auditRoutes({ database })],
    publicUrl: PUBLIC_URL,
    authenticate: identity.authenticate,
    renderProblem: ({ detail }) => detail,
    log: silentLog,
  });
  const key = async (role: Role) =>
    (await identity.apiKeys.create("cli", { name: role, role, expires_at: null, rate_limit: null })).key;
  const keys = { viewer: await key("viewer"), editor: await key("editor"), admin: await key("admin") };

  return {
    database,
    target,
    engine,
    resources,
    call: (method, path, body, { as = "editor", headers = {} } = {}) =>
      answered(
        server.handle(
          new Request(`${PUBLIC_URL}${path}`, {
            method,
            headers: {
              authorization: `Bearer ${keys[as]}`,
              ...(body === undefined ? {} : { "content-type": "application/json" }),
              ...headers,
            },
            ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
          }),
        ),
      ),
    async close() {
      await server.stop();
      await operating?.stop();
      await engine.stop();
      await drop();
    },
  };
}

async function answered(response: Promise<Response>): Promise<Called> {
  const { status, headers } = await response;
  const text = await (await response).text();
  return { status, text, json: /json/.test(headers.get("content-type") ?? "") ? JSON.parse(text) : undefined };
}

/** Asks again until the answer is as wanted; fails with the last one after `limitMs`. */
export async function until<T>(
  ask: () => PromiseLike<T>,
  wanted: (answer: T) => boolean,
  limitMs = 10_000,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) return answer;
    if (performance.now() > deadline) throw new Error(`not as wanted within ${limitMs} ms: ${JSON.stringify(answer)}`);
    await Bun.sleep(20);
  }
}
