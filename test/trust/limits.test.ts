import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { type WholeApp, wholeApp } from "./whole_app.ts";

let app: WholeApp;
let port: number;
beforeAll(async () => {
  app = await wholeApp();
  port = app.server.listen({ host: "127.0.0.1", port: 0 }).port;
});
afterAll(() => app.close());

const wrong = { email: "nobody@example.com", password: "wrong" };

/** Writes bytes as they are. @returns what came back until the connection ended, or after `patienceMs` */
function raw(parts: readonly string[], patienceMs = 5_000): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let received = "";
    const timer = setTimeout(() => socket.destroy(), patienceMs);
    socket.on("data", (data) => {
      received += data;
      socket.end();
    });
    socket.on("close", () => {
      clearTimeout(timer);
      resolve(received);
    });
    socket.on("error", (error) => (received === "" ? reject(error) : undefined));
    for (const part of parts) socket.write(part);
  });
}

describe("rate limits", () => {
  test("a key without one is not held back, and told of none", async () => {
    for (let i = 0; i < 700; i++) {
      const { status, headers } = await app.call("GET", "/v1/users");
      if (status !== 200 || headers.has("ratelimit")) throw new Error(`${status} at request ${i}`);
    }
  });

  test("a key with one is answered 429 beyond it, with RateLimit headers and Retry-After", async () => {
    const body = { name: "slow", role: "viewer", rate_limit: { max: 2, per: "1h" } };
    const { json } = await app.call("POST", "/v1/api-keys", body);
    const headers = { authorization: `Bearer ${json.key}` };
    const ask = () => app.call("GET", "/v1/secrets", undefined, { headers });
    expect((await ask()).headers.get("ratelimit")).toMatch(/^"default";r=1;t=\d+$/);
    expect((await ask()).status).toBe(200);
    const refused = await ask();
    expect([refused.status, refused.headers.get("content-type")]).toEqual([429, "application/problem+json"]);
    expect(refused.headers.get("ratelimit-policy")).toBe('"default";q=2;w=3600');
    expect(refused.headers.get("ratelimit")).toMatch(/r=0/);
    expect(Number(refused.headers.get("retry-after"))).toBeWithin(3_500, 3_601);
  });

  test("every open route has one of its own, pages and assets too", async () => {
    const open = app.routes.filter(({ access }) => access === "open");
    expect(open.length).toBeGreaterThan(10);
    for (const { method, path, body } of open) {
      const answer = await app.call(method, path, body ? "{}" : undefined, { as: "nobody" });
      expect([method, path, answer.headers.get("ratelimit-policy")]).toEqual([
        method,
        path,
        expect.stringMatching(/q=\d+;w=60$/),
      ]);
    }
  });

  test("a login is refused after 30 in a minute, whoever it is for", async () => {
    const statuses: number[] = [];
    for (let i = 0; i < 32; i++) {
      const body = { email: `nobody${i}@example.com`, password: "" };
      statuses.push((await app.call("POST", "/v1/auth/login", body, { as: "nobody" })).status);
    }
    expect(new Set(statuses.slice(0, 25))).toEqual(new Set([401]));
    expect(statuses.at(-1)).toBe(429);
    const { headers } = await app.call("POST", "/v1/auth/login", wrong, { as: "nobody" });
    expect(headers.get("ratelimit")).toMatch(/r=0/);
  }, 20_000);
});

describe("limits of what a client may send", () => {
  test("no header section beyond 16 KiB is read", async () => {
    const head = `GET /healthz HTTP/1.1\r\nhost: a\r\nx-long: ${"x".repeat(20_000)}\r\n\r\n`;
    expect(await raw([head])).toStartWith("HTTP/1.1 431");
  });

  test("many small headers are no way around it", async () => {
    const many = Array.from({ length: 3_000 }, (_, i) => `x-${i}: ${i}\r\n`).join("");
    expect(await raw([`GET /healthz HTTP/1.1\r\nhost: a\r\n${many}\r\n`])).toStartWith("HTTP/1.1 431");
  });

  test("a body is not read before the caller is known, nor when it says that it is too large", async () => {
    const head = (authorization: string, length: number) =>
      `POST /v1/secrets HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n${authorization}content-length: ${length}\r\n\r\n`;
    expect(await raw([head("", 2_000_000), "{"])).toStartWith("HTTP/1.1 401");
    expect(await raw([head(`authorization: Bearer ${app.keys.editor}\r\n`, 2_000_000), "{"])).toStartWith(
      "HTTP/1.1 413",
    );
  });

  test("headers that come in drops are given up, however steadily they come", async () => {
    const began = performance.now();
    const ended = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.write("GET /healthz HTTP/1.1\r\nhost: a\r\n");
      const dripping = setInterval(() => socket.write("x-a: 1\r\n"), 500);
      const patience = setTimeout(() => settle(false), 25_000);
      const settle = (closed: boolean) => {
        clearInterval(dripping);
        clearTimeout(patience);
        socket.destroy();
        resolve(closed);
      };
      socket.on("close", () => settle(true));
      socket.on("error", () => {});
    });
    expect([ended, performance.now() - began < 20_000]).toEqual([true, true]);
  }, 30_000);

  test("two lengths, or a length and chunks, are not guessed at", async () => {
    const start = `POST /v1/secrets HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${app.keys.editor}\r\n`;
    for (const framing of [
      "content-length: 2\r\ncontent-length: 3\r\n",
      "content-length: 2\r\ntransfer-encoding: chunked\r\n",
    ]) {
      const answer = await raw([`${start}${framing}\r\n{}GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n`]);
      expect([framing, answer.startsWith("HTTP/1.1 400") || answer === ""]).toEqual([framing, true]);
    }
  });

  test("a body of 60,000 unknown properties costs little to refuse, and little is said back", async () => {
    const body = `{${Array.from({ length: 60_000 }, (_, i) => `"emaik${i}":1`).join(",")}}`;
    const began = performance.now();
    const { status, text } = await app.call("POST", "/v1/users", body);
    expect([status, text.length < 20_000]).toEqual([422, true]);
    expect(performance.now() - began).toBeLessThan(2_000);
  });

  test("a path as long as can be is refused at once", async () => {
    const began = performance.now();
    for (const path of [`/v1/watchez/${"x".repeat(15_000)}`, `/${"x/".repeat(7_000)}`]) {
      expect((await app.call("GET", path, undefined, { as: "nobody" })).status).toBe(404);
    }
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});

describe("answers", () => {
  test("carry the browser's rules, whatever they are", async () => {
    const asked: [path: string, status: number][] = [
      ["/healthz", 200],
      ["/sign-in", 200],
      ["/v1/nothing", 404],
      ["/v1/users", 401],
    ];
    for (const [path, status] of asked) {
      const { headers, ...answer } = await app.call("GET", path, undefined, { as: "nobody" });
      expect([path, answer.status]).toEqual([path, status]);
      const policy = headers.get("content-security-policy") ?? "";
      expect(policy).toContain("default-src 'none'");
      expect(policy).toContain("frame-ancestors 'none'");
      expect(policy).not.toContain("unsafe");
      expect(headers.get("x-content-type-options")).toBe("nosniff");
      expect(headers.get("referrer-policy")).toBe("same-origin");
      expect(headers.get("access-control-allow-origin")).toBeNull();
    }
  });

  test("no answer depends on the Host header", async () => {
    const answer = await raw([
      "GET /v1/nothing HTTP/1.1\r\nhost: evil.example\r\nx-forwarded-host: evil.example\r\n\r\n",
    ]);
    expect(answer).toStartWith("HTTP/1.1 404");
    expect(answer).not.toContain("evil");
  });

  test("nobody is sent to another site after signing in or changing the look", async () => {
    const form = { "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin" };
    for (const referer of [
      "https://evil.example//evil.example/",
      "//evil.example",
      "https://a/\\evil.example",
      "javascript:x",
    ]) {
      const { headers } = await app.call("POST", "/theme", "theme=dark", {
        as: "nobody",
        headers: { ...form, referer },
      });
      expect(headers.get("location")).toMatch(/^\/(?![/\\])/);
    }
    for (const to of [
      "//evil.example",
      "/\\evil.example",
      "https://evil.example",
      "/\t/evil.example",
      "javascript:x",
    ]) {
      const { text } = await app.call("GET", `/sign-in?to=${encodeURIComponent(to)}`, undefined, { as: "nobody" });
      expect(text).not.toContain("evil.example");
    }
  });
});
