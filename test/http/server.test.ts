import { afterEach, expect, test } from "bun:test";
import { connect } from "node:net";
import { z } from "zod";
import type { Route } from "../../src/http/route.ts";
import { createServer, type HttpServer } from "../../src/http/server.ts";
import { silentLog } from "../../src/platform/log.ts";

const plain: Route = {
  method: "GET",
  path: "/x",
  summary: "",
  tag: "",
  access: "open",
  answers: [],
  handle: () => ({ status: 200 }),
};

const servers: HttpServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.stop())));

function serverOf(definition: Partial<Route>): HttpServer {
  const server = createServer({
    routes: [{ ...plain, ...definition }],
    publicUrl: "http://127.0.0.1:8080",
    authenticate: async () => ({ ok: false, reason: "missing", message: "" }),
    renderProblem: ({ title }) => title,
    log: silentLog,
    bodyTimeoutMs: 200,
  });
  servers.push(server);
  return server;
}

/** A listening server with one route at /x. */
function listening(definition: Partial<Route>): { server: HttpServer; port: number } {
  const server = serverOf(definition);
  return { server, port: server.listen({ host: "127.0.0.1", port: 0 }).port };
}

/** Writes these bytes as they are. @returns all that comes back until the first answer is there, or the end. */
function raw(port: number, ...parts: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let received = "";
    socket.on("data", (data) => {
      received += data;
      if (received.includes("\r\n\r\n")) socket.destroy();
    });
    socket.on("close", () => resolve(received));
    socket.on("error", (error) => (received === "" ? reject(error) : undefined));
    for (const part of parts) socket.write(part);
  });
}

test("a chunked body is refused as soon as it is too large, and the rest is not waited for", async () => {
  const { port } = listening({ method: "POST", body: z.unknown(), maxBodyBytes: 1000 });
  const chunk = `200\r\n${"x".repeat(512)}\r\n`;
  const head =
    "POST /x HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\ncontent-type: application/json\r\n\r\n";
  expect(await raw(port, head, chunk, chunk, chunk)).toContain("HTTP/1.1 413");
});

for (const [name, framing] of [
  ["with a length", "content-length: 100"],
  ["in chunks", "transfer-encoding: chunked"],
]) {
  test(`a body ${name} that does not arrive is given up`, async () => {
    const { port } = listening({ method: "POST", body: z.unknown() });
    const head = `POST /x HTTP/1.1\r\nhost: 127.0.0.1\r\n${framing}\r\ncontent-type: application/json\r\n\r\n`;
    expect(await raw(port, head, framing === "content-length: 100" ? "{" : "1\r\n{\r\n")).toContain("HTTP/1.1 408");
  });
}

test("short host names, as containers have them, reach their route", async () => {
  const { port } = listening({});
  expect(await raw(port, "GET /x HTTP/1.1\r\nhost: a\r\n\r\n")).toContain("HTTP/1.1 200");
});

test("an address that no URL parser takes is a 404, not a fault of ours", async () => {
  const { port } = listening({});
  expect(await raw(port, "GET //x?=%zz HTTP/1.1\r\nhost: a b<>\r\n\r\n")).toMatch(/HTTP\/1\.1 4/);
});

test("a port that is taken is an error that names it", () => {
  const { port } = listening({});
  const server = serverOf({});
  expect(() => server.listen({ host: "127.0.0.1", port })).toThrow(`127.0.0.1:${port} is in use by another program`);
});

test("stopping lets an open request finish and takes no other", async () => {
  const started = Promise.withResolvers<void>();
  const finish = Promise.withResolvers<void>();
  const { server, port } = listening({
    async handle() {
      started.resolve();
      await finish.promise;
      return { status: 200, body: "done" };
    },
  });
  const open = fetch(`http://127.0.0.1:${port}/x`);
  await started.promise;
  const stopped = server.stop();
  await expect(fetch(`http://127.0.0.1:${port}/x`, { headers: { connection: "close" } })).rejects.toThrow();
  finish.resolve();
  expect(await (await open).text()).toBe('"done"');
  await stopped;
});

test("stopping waits no longer than 3 s, and says so to a handler that goes on", async () => {
  const started = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<void>();
  const { server, port } = listening({
    handle({ signal }) {
      signal.addEventListener("abort", () => aborted.resolve());
      started.resolve();
      return new Promise(() => {});
    },
  });
  const open = fetch(`http://127.0.0.1:${port}/x`).catch(() => "cut off");
  await started.promise;
  const startedAt = performance.now();
  await server.stop();
  expect(performance.now() - startedAt).toBeWithin(2_500, 4_500);
  await aborted.promise;
  expect(await open).toBe("cut off");
});

test("stopping ends streams at once", async () => {
  const { server, port } = listening({
    handle({ signal }) {
      const stream = new ReadableStream({
        start(controller) {
          controller.enqueue("data: 1\n\n");
          signal.addEventListener("abort", () => controller.close());
        },
      });
      return new Response(stream, { headers: { "content-type": "text/event-stream" } });
    },
  });
  const response = await fetch(`http://127.0.0.1:${port}/x`);
  const startedAt = performance.now();
  const [text] = await Promise.all([response.text(), server.stop()]);
  expect(text).toBe("data: 1\n\n");
  expect(performance.now() - startedAt).toBeLessThan(1_000);
});

test("a handler learns that its caller has gone", async () => {
  const started = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  const { port } = listening({
    handle({ signal }) {
      signal.addEventListener("abort", () => ended.resolve());
      started.resolve();
      return ended.promise.then(() => ({ status: 204 }));
    },
  });
  const caller = new AbortController();
  const open = fetch(`http://127.0.0.1:${port}/x`, { signal: caller.signal }).catch(() => "gone");
  await started.promise;
  caller.abort();
  await ended.promise;
  expect(await open).toBe("gone");
});
