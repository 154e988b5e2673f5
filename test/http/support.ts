import { z } from "zod";
import { type AppOptions, createApp } from "../../src/http/app.ts";
import { type Route, route } from "../../src/http/route.ts";
import type { HttpServer } from "../../src/http/server.ts";
import { createIdentity, type Identity } from "../../src/identity/identity.ts";
import type { Role } from "../../src/identity/principal.ts";
import type { ConnectionTarget, Database } from "../../src/platform/database.ts";
import { createLog, type Log } from "../../src/platform/log.ts";
import { createRollups, type Rollups } from "../../src/platform/rollups.ts";
import { createSecrets } from "../../src/vault/secrets.ts";
import { createVault } from "../../src/vault/vault.ts";
import { testDatabase } from "../support/database.ts";

export const PUBLIC_URL = "http://127.0.0.1:8080";

export type TestApp = {
  database: Database;
  identity: Identity;
  rollups: Rollups;
  server: HttpServer;
  routes: Route[];
  /** An API key of each role. */
  keys: Record<Role, string>;
  /** What was logged so far. */
  logged(): string;
  /** Sends a request by table: `body` as JSON unless it is a string. */
  call(method: string, path: string, options?: CallOptions): Promise<Called>;
  close(): Promise<void>;
};

export type CallOptions = { as?: Role; body?: unknown; headers?: Record<string, string> };
// biome-ignore lint/suspicious/noExplicitAny: what an answer holds is what the tests are about to find out
export type Called = { status: number; headers: Headers; text: string; json: any };

/** Bodies and errors of all sorts, to test what every route has in common. */
export const probeRoutes: Route[] = [
  route({
    method: "POST",
    path: "/v1/probe/:id",
    summary: "Takes a body",
    tag: "Probe",
    access: "editor",
    body: z.strictObject({
      name: z.string().min(1).max(10),
      size: z.int().min(1).max(5).optional(),
      kind: z.enum(["red", "green"]).optional(),
      path: z.union([z.string(), z.strictObject({ path: z.string(), tolerance: z.number().optional() })]).optional(),
      list: z.array(z.strictObject({ key: z.string() })).optional(),
    }),
    bodyExample: { name: "a" },
    answers: [{ status: 200, description: "The same", example: { name: "a" } }],
    handle: ({ body, id, text }) => ({ status: 200, body: { body, id, text } }),
  }),
  route({
    method: "GET",
    path: "/v1/probe/throws",
    summary: "Has a bug",
    tag: "Probe",
    access: "viewer",
    answers: [],
    handle() {
      throw new Error("password hunter2 at /srv/inner/path.ts");
    },
  }),
  route({
    method: "GET",
    path: "/v1/probe/away",
    summary: "Meets a database that is away",
    tag: "Probe",
    access: "viewer",
    answers: [],
    handle() {
      throw Object.assign(new Error("connect ECONNREFUSED inner-host:5432"), { code: "ECONNREFUSED" });
    },
  }),
  route({
    method: "GET",
    path: "/v1/probe/unstorable",
    summary: "Gave Postgres a text with U+0000",
    tag: "Probe",
    access: "viewer",
    answers: [],
    handle() {
      throw Object.assign(new Error("invalid byte sequence in table inner_table"), { code: "22021" });
    },
  }),
];

/** `rooms` adds the routes of other rooms. */
export async function testApp(
  overrides: Partial<AppOptions> = {},
  rooms: (at: { database: Database; target: ConnectionTarget }) => Route[] = () => [],
): Promise<TestApp> {
  const { database, target, drop } = await testDatabase();
  const publicUrl = overrides.publicUrl ?? PUBLIC_URL;
  const https = publicUrl.startsWith("https:");
  const identity = createIdentity({ database, jwtSecret: "j".repeat(48), https });
  const rollups = createRollups("test-node");
  const lines: string[] = [];
  const log: Log = createLog({ level: "debug", format: "json", write: (line) => lines.push(line) });
  const { server, routes } = createApp({
    role: "all",
    database,
    identity,
    rollups,
    secrets: createSecrets(database, createVault({ masterKey: "m".repeat(48) })),
    readiness: async () => [{ name: "database", problem: null }],
    routes: [...probeRoutes, ...rooms({ database, target })],
    publicUrl,
    metricsPublic: false,
    log,
    ...overrides,
  });
  const key = async (role: Role) =>
    (await identity.apiKeys.create("cli", { name: role, role, expires_at: null, rate_limit: null })).key;
  const keys = { viewer: await key("viewer"), editor: await key("editor"), admin: await key("admin") };

  return {
    database,
    identity,
    rollups,
    server,
    routes,
    keys,
    logged: () => lines.join(""),
    call: (method, path, { as, body, headers = {} } = {}) =>
      answered(
        server.handle(
          // As behind a proxy: what arrives is plain http.
          new Request(`${publicUrl.replace("https:", "http:")}${path}`, {
            method,
            headers: {
              ...(as ? { authorization: `Bearer ${keys[as]}` } : {}),
              ...(body === undefined ? {} : { "content-type": "application/json" }),
              ...headers,
            },
            ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
          }),
        ),
      ),
    async close() {
      await server.stop();
      await drop();
    },
  };
}

export async function answered(response: Promise<Response>): Promise<Called> {
  const { status, headers } = await response;
  const text = await readText(await response);
  const isJson = /json/.test(headers.get("content-type") ?? "");
  return { status, headers, text, json: isJson && text !== "" ? JSON.parse(text) : undefined };
}

/** A stream of events never ends: that it has begun is all there is to ask here. */
async function readText(response: Response): Promise<string> {
  if (response.headers.get("content-type")?.startsWith("text/event-stream") !== true) return response.text();
  await response.body?.cancel();
  return "";
}
