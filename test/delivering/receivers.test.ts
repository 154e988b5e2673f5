import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { type Flow, openFlow, until } from "../support/flow.ts";

const HOUR_MS = 3_600_000;
const TIMEOUT_MS = 1_500;

/** What is expected of one try. `dueInMs` counts from the try's end, before jitter; null when there is no next one. */
type Expected = {
  state: "delivered" | "pending" | "dead";
  outcome: "delivered" | "failed";
  status: number | null;
  error: string | null;
  dueInMs: number | null;
  /** The header's own time, when it is later than the schedule: without jitter. */
  exact?: boolean;
  paused?: "gone";
  held?: boolean;
  keptBytes?: number;
  minMs?: number;
};
type Case = { name: string; start(): Promise<Listening>; expected: Expected };
type Listening = { url: string; close(): void };

const delivered = (status: number): Expected => ({
  state: "delivered",
  outcome: "delivered",
  status,
  error: null,
  dueInMs: null,
});
const failed = (status: number | null, error: string): Expected => ({
  state: "pending",
  outcome: "failed",
  status,
  error,
  dueInMs: HOUR_MS,
});

const cases: Case[] = [
  { name: "200", start: () => answering(200), expected: delivered(200) },
  { name: "204", start: () => answering(204), expected: delivered(204) },
  {
    name: "201 with a huge body",
    start: () => answering(201, {}, "x".repeat(20_000_000)),
    expected: { ...delivered(201), keptBytes: 1_024 },
  },
  {
    name: "500 with a huge body",
    start: () => answering(500, {}, "x".repeat(20_000_000)),
    expected: { ...failed(500, "The endpoint answered 500."), keptBytes: 16_384 },
  },
  {
    name: "302",
    start: () => answering(302, { location: "/elsewhere" }),
    expected: failed(302, "The endpoint answered 302: redirects are not followed; give the final URL."),
  },
  { name: "404", start: () => answering(404), expected: failed(404, "The endpoint answered 404.") },
  {
    name: "410",
    start: () => answering(410),
    expected: {
      state: "dead",
      outcome: "failed",
      status: 410,
      error: "The endpoint answered 410 Gone: it takes no more webhooks.",
      dueInMs: null,
      paused: "gone",
    },
  },
  {
    name: "429 with seconds, more than the schedule",
    start: () => answering(429, { "retry-after": "7200" }),
    expected: { ...failed(429, "The endpoint answered 429."), dueInMs: 2 * HOUR_MS, exact: true, held: true },
  },
  {
    name: "429 with seconds, less than the schedule",
    start: () => answering(429, { "retry-after": "60" }),
    expected: { ...failed(429, "The endpoint answered 429."), held: true },
  },
  {
    name: "429 with a date",
    start: () => answering(429, () => ({ "retry-after": new Date(Date.now() + 3 * HOUR_MS).toUTCString() })),
    expected: { ...failed(429, "The endpoint answered 429."), dueInMs: 3 * HOUR_MS, exact: true, held: true },
  },
  {
    name: "429 with ten days",
    start: () => answering(429, { "retry-after": "864000" }),
    expected: { ...failed(429, "The endpoint answered 429."), dueInMs: 10 * HOUR_MS, exact: true, held: true },
  },
  {
    name: "429 with nonsense",
    start: () => answering(429, { "retry-after": "soon" }),
    expected: failed(429, "The endpoint answered 429."),
  },
  {
    name: "503 with Retry-After",
    start: () => answering(503, { "retry-after": "7200" }),
    expected: { ...failed(503, "The endpoint answered 503."), dueInMs: 2 * HOUR_MS, exact: true, held: true },
  },
  {
    name: "502 with Retry-After",
    start: () => answering(502, { "retry-after": "7200" }),
    expected: { ...failed(502, "The endpoint answered 502."), dueInMs: 2 * HOUR_MS, exact: true },
  },
  {
    name: "500 with Retry-After, which says nothing there",
    start: () => answering(500, { "retry-after": "7200" }),
    expected: failed(500, "The endpoint answered 500."),
  },
  {
    name: "a connection that is reset",
    start: () => raw((socket) => void socket.once("data", () => socket.resetAndDestroy())),
    expected: failed(null, "HOST closed the connection before its answer was complete."),
  },
  {
    name: "a connection that is closed without a word",
    start: () => raw((socket) => void socket.once("data", () => socket.end())),
    expected: failed(null, "HOST closed the connection before its answer was complete."),
  },
  {
    name: "a port where nobody listens",
    start: refusing,
    expected: failed(null, "HOST refuses connections. Is the service running, and is this its port?"),
  },
  {
    name: "a body that drips past the timeout",
    start: () =>
      raw((socket) => {
        socket.once("data", () => {
          socket.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n");
          const drip = setInterval(() => socket.write("."), 50);
          socket.on("close", () => clearInterval(drip));
        });
      }),
    expected: {
      ...failed(
        null,
        "HOST did not finish its answer within 1500ms. Raise the timeout, or have the server answer sooner.",
      ),
      minMs: TIMEOUT_MS,
    },
  },
  {
    name: "no answer at all",
    start: () => raw(() => {}),
    expected: {
      ...failed(null, "HOST did not answer within 1500ms. Raise the timeout, or have the server answer sooner."),
      minMs: TIMEOUT_MS,
    },
  },
  {
    name: "a self-signed certificate",
    start: selfSigned,
    expected: failed(
      null,
      "The certificate of HOST is self-signed. To trust it, name its file in NODE_EXTRA_CA_CERTS and restart.",
    ),
  },
  {
    name: "no TLS where TLS was asked for",
    start: async () => {
      const plain = await answering(200);
      return { ...plain, url: plain.url.replace("http:", "https:") };
    },
    expected: failed(null, "TLS"),
  },
  {
    name: "a body shorter than its Content-Length",
    start: () =>
      raw((socket) => {
        socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nshort"));
      }),
    expected: failed(null, "HOST closed the connection before its answer was complete."),
  },
  {
    name: "garbage instead of HTTP",
    start: () => raw((socket) => void socket.once("data", () => socket.end("SSH-2.0-OpenSSH_9.2\r\n\r\n"))),
    expected: failed(null, "HOST did not answer in HTTP. Is this the right port?"),
  },
];

let flow: Flow;
const listening: Listening[] = [];
const rows = new Map<string, Row>();

type Row = {
  url: string;
  state: string;
  attempts: number;
  tries: number;
  outcome: string;
  status: number | null;
  error: string | null;
  body: string | null;
  ms: number;
  due_in_ms: number | null;
  held: boolean;
  paused_reason: string | null;
  letters: number;
};

/** All of them at once, as in life: each gets one delivery, and its first try. */
beforeAll(async () => {
  flow = await openFlow();
  const endpointOf = new Map<string, string>();
  for (const { name, start } of cases) {
    const { url, close } = await start();
    listening.push({ url, close });
    const { id } = await flow.endpoint({ url, eventTypes: ["receiver.*"], retry: [HOUR_MS, HOUR_MS] });
    endpointOf.set(name, id);
  }
  const engine = flow.engine({ timeoutMs: TIMEOUT_MS });
  await engine.delivering.publish(flow.database.sql, [{ type: "receiver.asked", data: "{}", origin: "api" }]);
  const found = () => flow.database.sql<(Row & { endpoint_id: string })[]>`
    select delivery.endpoint_id, attempt.url, delivery.state, delivery.attempt - 1 as attempts, delivery.tries, attempt.outcome,
      attempt.status, attempt.error, attempt.response_body as body, attempt.ms,
      -- Counted from the try's end: an attempt's id tells when it began.
      (extract(epoch from delivery.due_at - deltahook.uuid7_time(attempt.id)) * 1000 - attempt.ms)::float8 as due_in_ms,
      coalesce(health.hold_until > now(), false) as held, health.paused_reason,
      (select count(*) from deltahook.dead_letters where delivery_id = delivery.id) as letters
    from deltahook.attempts attempt
    join deltahook.deliveries delivery on delivery.id = attempt.delivery_id
    join deltahook.endpoint_health health on health.endpoint_id = delivery.endpoint_id`;
  await until(async () => (await found()).length >= cases.length, "the first tries");
  for (const row of await found()) {
    for (const [name, id] of endpointOf) if (id === row.endpoint_id) rows.set(name, row);
  }
}, 60_000);

afterAll(async () => {
  for (const { close } of listening) close();
  await flow.end();
});

test.each(cases.map((entry) => [entry.name, entry.expected] as const))("%s", (name, expected) => {
  const row = rows.get(name);
  if (!row) throw new Error("there was no try");
  const { state, outcome, status, tries, attempts, held, paused_reason, letters } = row;
  expect({ state, outcome, status, tries, attempts, held, paused_reason, letters }).toEqual({
    state: expected.state,
    outcome: expected.outcome,
    status: expected.status,
    tries: 1,
    attempts: 1,
    held: expected.held ?? false,
    paused_reason: expected.paused ?? null,
    letters: expected.state === "dead" ? 1 : 0,
  });
  const host = new URL(row.url).host;
  if (expected.error === null) expect(row.error).toBeNull();
  else expect(row.error).toContain(expected.error.replace("HOST", host));
  if (expected.keptBytes !== undefined) expect(row.body).toHaveLength(expected.keptBytes);
  if (expected.minMs !== undefined) expect(row.ms).toBeGreaterThanOrEqual(expected.minMs - 5);
  expectDue(row.due_in_ms, expected);
});

/** Jitter adds up to a fifth; the rest is what a busy machine needs between the answer and the judgement. */
function expectDue(dueInMs: number | null, expected: Expected): void {
  if (expected.dueInMs === null) {
    expect(dueInMs).toBeNull();
    return;
  }
  expect(dueInMs).toBeGreaterThanOrEqual(expected.dueInMs - 2_500);
  expect(dueInMs).toBeLessThanOrEqual(expected.dueInMs * (expected.exact ? 1 : 1.2) + 20_000);
}

/** An HTTP receiver that always gives this answer. */
async function answering(
  status: number,
  headers: Record<string, string> | (() => Record<string, string>) = {},
  body: string | null = null,
): Promise<Listening> {
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Response(body, { status, headers: typeof headers === "function" ? headers() : headers }),
  });
  return { url: `http://127.0.0.1:${server.port}/`, close: () => void server.stop(true) };
}

/** A bare TCP server: whatever it says is all that is said. */
async function raw(onSocket: (socket: Socket) => void): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onSocket(socket);
  });
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}/`,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

async function refusing(): Promise<Listening> {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  return { url: `http://127.0.0.1:${port}/`, close() {} };
}

async function selfSigned(): Promise<Listening> {
  const server = createTlsServer({ key: tlsFile("self.key"), cert: tlsFile("self.pem") }, (socket) =>
    socket.on("error", () => {}),
  );
  server.on("tlsClientError", () => {});
  const port = await listen(server);
  return { url: `https://127.0.0.1:${port}/`, close: () => void server.close() };
}

function tlsFile(name: string): Buffer {
  return readFileSync(join(import.meta.dir, "..", "platform", "fixtures", "tls", name));
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
}
