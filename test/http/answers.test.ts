import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type TestApp, testApp } from "./support.ts";

let app: TestApp;
let secure: TestApp;
beforeAll(async () => {
  [app, secure] = await Promise.all([
    testApp(),
    testApp({ publicUrl: "https://hooks.example.com", metricsPublic: true }),
  ]);
});
afterAll(() => Promise.all([app.close(), secure.close()]));

describe("every answer carries the headers that protect who reads it", () => {
  const paths = ["/healthz", "/v1/users", "/v1/nothing-here", "/setup", "/docs", "/openapi.json", "/v1/probe/throws"];
  for (const path of paths) {
    test(path, async () => {
      const { headers } = await app.call("GET", path, { as: "viewer" });
      expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
      expect(headers.get("content-security-policy")).not.toContain("unsafe");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("referrer-policy")).toBe("same-origin");
      expect(headers.get("cache-control")).toBe("no-store");
      expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
      expect(headers.has("strict-transport-security")).toBe(false);
    });
  }

  test("and HSTS once the public address is https", async () => {
    const { headers } = await secure.call("GET", "/healthz");
    expect(headers.get("strict-transport-security")).toBe("max-age=31536000");
  });
});

describe("nothing of the inside leaves", () => {
  test("a bug is a bare 500 with the reference under which the log has it", async () => {
    const { status, json, text, headers } = await app.call("GET", "/v1/probe/throws", { as: "viewer" });
    expect(status).toBe(500);
    expect(text).not.toMatch(/hunter2|path\.ts|Error/);
    const reference = headers.get("x-request-id") ?? "none";
    expect(json.detail).toContain(reference);
    expect(app.logged()).toContain(reference);
    expect(app.logged()).toContain("hunter2");
  });

  test("a database that is away is a 503 with Retry-After, without its address", async () => {
    const { status, text, headers } = await app.call("GET", "/v1/probe/away", { as: "viewer" });
    expect([status, headers.get("retry-after")]).toEqual([503, "2"]);
    expect(text).not.toMatch(/inner-host|5432|ECONNREFUSED/);
  });

  test("a text that Postgres cannot store is the sender's fault, and is told so", async () => {
    const { status, json, text } = await app.call("GET", "/v1/probe/unstorable", { as: "viewer" });
    expect([status, json.detail]).toEqual([422, expect.stringContaining("U+0000")]);
    expect(text).not.toContain("inner_table");
  });

  test("what a person would see in the browser is a page, of the same kind", async () => {
    const { status, text, headers } = await app.call("POST", "/setup", { headers: { "sec-fetch-site": "cross-site" } });
    expect([status, headers.get("content-type")]).toEqual([403, "text/html; charset=utf-8"]);
    expect(text).toContain("PUBLIC_URL");
  });
});

describe("rate limits", () => {
  test("an API key that carries one is stopped at it, and told for how long", async () => {
    const limited = {
      name: "limited",
      role: "viewer",
      expires_at: null,
      rate_limit: { max: 2, perMs: 60_000 },
    } as const;
    const { key } = await app.identity.apiKeys.create("cli", limited);
    const ask = () => app.call("GET", "/v1/secrets", { headers: { authorization: `Bearer ${key}` } });
    const answers = [await ask(), await ask(), await ask()];
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429]);
    expect(answers[0]?.headers.get("ratelimit")).toMatch(/^"default";r=1;t=\d+$/);
    expect(answers[0]?.headers.get("ratelimit-policy")).toBe('"default";q=2;w=60');
    expect(Number(answers[2]?.headers.get("retry-after"))).toBeWithin(50, 61);
  });

  test("a key without one is not counted", async () => {
    expect((await app.call("GET", "/v1/secrets", { as: "viewer" })).headers.has("ratelimit")).toBe(false);
  });

  test("the login is limited by network, before a password is looked at", async () => {
    const from = (address: string) =>
      secure.call("POST", "/v1/auth/login", { body: "{}", headers: { "x-forwarded-for": `1.1.1.1, ${address}` } });
    for (let i = 0; i < 30; i++) expect((await from("2001:db8::1")).status).toBe(422);
    expect((await from("2001:db8::2")).status).toBe(429); // the same /64
    expect((await from("203.0.113.9")).status).toBe(422);
  });
});

describe("/readyz", () => {
  test("names what fails", async () => {
    const other = await testApp({
      readiness: async () => [
        { name: "database", problem: null },
        { name: "workers", problem: "the delivery pool is restarting" },
      ],
    });
    const { status, json, headers } = await other.call("GET", "/readyz");
    await other.close();
    expect([status, headers.get("content-type")]).toEqual([503, "application/problem+json"]);
    expect(json.detail).toBe("Not ready: workers (the delivery pool is restarting).");
    expect(json.checks).toEqual({ database: "ok", workers: "the delivery pool is restarting" });
  });

  test("is 200 when nothing does", async () => {
    expect((await app.call("GET", "/readyz")).json).toEqual({ ready: true, checks: { database: "ok" } });
  });
});

test("HEAD answers like GET, without the body", async () => {
  const { status, text, headers } = await app.call("HEAD", "/healthz");
  expect([status, text, headers.get("content-type")]).toEqual([200, "", "application/json"]);
});

test("/metrics needs a key unless it was made public, and is Prometheus text", async () => {
  app.rollups.count("events", 3);
  app.rollups.observe("attempt_ms", 12);
  expect((await app.call("GET", "/metrics")).status).toBe(401);
  expect((await secure.call("GET", "/metrics")).status).toBe(200);
  const { text } = await app.call("GET", "/metrics", { as: "viewer" });
  expect(text).toContain("\ndeltahook_events_total 3\n");
  expect(text).toContain('\ndeltahook_attempt_seconds_bucket{le="0.008"} 0\n');
  expect(text).toContain('\ndeltahook_attempt_seconds_bucket{le="0.016"} 1\n');
  expect(text).toContain("\ndeltahook_attempt_seconds_sum 0.012\n");
  expect(text).toContain("\ndeltahook_queue_jobs 0\n");
});

test("/v1/stats sums what all nodes wrote into the rollups", async () => {
  app.rollups.count("deliveries_delivered", 36);
  app.rollups.observe("delivery_latency_ms", 100);
  await app.rollups.flush(app.database.sql);
  const { json } = await app.call("GET", "/v1/stats?window=1h", { as: "viewer" });
  expect(json.window).toBe("1h");
  expect(json.deliveries).toMatchObject({ delivered: 36, failed: 0, per_second: 0.01 });
  expect(json.deliveries.latency_ms.p50).toBeWithin(90, 110);
  expect(json.polls.lag_ms).toEqual({ p50: null, p95: null, p99: null });
  expect(json.queue).toEqual({ jobs: 0, waiting: 0, parked: 0, oldest_ms: 0, counted_to: 10_000 });
});
