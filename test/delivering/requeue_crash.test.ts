import { afterAll, beforeAll, expect, test } from "bun:test";
import { createIdentity } from "../../src/identity/identity.ts";
import { connectionString } from "../../src/platform/database.ts";
import { parseId } from "../../src/platform/ids.ts";
import { until } from "../http/delivering_app.ts";
import { testDatabase } from "../support/database.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { type ServerProcess, startServerProcess } from "../support/server.ts";

const LETTERS = 50_000;
let at: Awaited<ReturnType<typeof testDatabase>>;
let receiver: Receiver;
let server: ServerProcess | null = null;
beforeAll(async () => {
  at = await testDatabase();
  receiver = startReceiver();
});
afterAll(async () => {
  await server?.end("SIGTERM");
  await receiver.stop();
  await at.drop();
});

const env = () => ({
  DATABASE_URL: connectionString(at.target),
  MASTER_KEY: "a master key for tests, long enough",
  JWT_SECRET: "a signing secret for tests, long enough",
});

test("a requeue of 50,000 dead letters, killed half-way, is finished after the restart, nothing lost or done twice", async () => {
  server = await startServerProcess(env());
  const { key } = await createIdentity({
    database: at.database,
    jwtSecret: env().JWT_SECRET,
    https: false,
  }).apiKeys.create("cli", { name: "test", role: "editor", expires_at: null, rate_limit: null });
  // biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what the test is about to find out
  const call = async (method: string, path: string, body?: object): Promise<any> => {
    const response = await fetch(`${server?.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    return response.json();
  };
  const endpoint = await call("POST", "/v1/endpoints", {
    url: receiver.url,
    event_types: [],
    auto_pause: false,
    max_in_flight: 256,
  });
  await bury(parseId("endpoint", endpoint.id) ?? "");

  const { id } = await call("POST", "/v1/dead-letters/requeue", { filter: { endpoint: endpoint.id } });
  const operation = () => call("GET", `/v1/operations/${id}`);
  await until(operation, ({ done }) => done > 0);
  await server.end("SIGKILL");
  const [halfway] = await at.database.sql<{ done: number; left: number }[]>`
    select done, (select count(*) from deltahook.dead_letters) as left from deltahook.operations`;
  expect(halfway?.done).toBeGreaterThan(0);
  expect(halfway?.left).toBeGreaterThan(0);
  expect((halfway?.done ?? 0) + (halfway?.left ?? 0)).toBe(LETTERS);

  server = await startServerProcess(env());
  await until(operation, ({ state }) => state !== "running", 60_000);
  expect(await operation()).toMatchObject({ state: "done", done: LETTERS, total: LETTERS });
  await receiver.arrived(LETTERS, 90_000);
  await until(
    () => at.database.sql`select from deltahook.deliveries where state <> 'delivered' limit 1`,
    ({ length }) => length === 0,
    60_000,
  );
  expect(await at.database.sql`select from deltahook.deliveries`).toHaveLength(LETTERS);
}, 240_000);

test("what SQL sends is fanned out and delivered by a running server", async () => {
  server ??= await startServerProcess(env());
  const url = new URL("/sql", receiver.url).href;
  await at.database.sql`select deltahook.send('sql.sale', '{"n":1.0}', ${url})`;
  const [received] = await until(
    async () => receiver.received.filter(({ path }) => path === "/sql"),
    ({ length }) => length > 0,
  );
  expect(received?.body).toBe('{"n":1.0}');
});

async function bury(endpointId: string): Promise<void> {
  await at.database.sql`
    with stated as (
      insert into deltahook.events (id, type, data, origin)
      select deltahook.uuid7(), 'old', to_json(n), 'api' from generate_series(1, ${LETTERS}::int) n returning id
    ),
    ended as (
      insert into deltahook.deliveries (id, event_id, endpoint_id, state, finished_at, attempt, tries)
      select deltahook.uuid7(), id, ${endpointId}::uuid, 'dead', now(), 2, 1 from stated returning *
    )
    insert into deltahook.dead_letters (delivery_id, event_id, endpoint_id, type, data, reason, attempts)
    select id, event_id, endpoint_id, 'old', '1', 'exhausted', 1 from ended`;
}
