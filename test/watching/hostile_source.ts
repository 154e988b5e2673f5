// Sources that mean harm, each under a path of its own, in a process of their own so that their memory is not ours.

import { gzipSync } from "node:zlib";

const MIB = 1024 * 1024;
const BOMB = gzipSync(Buffer.alloc(256 * MIB));
const SPACES = Buffer.alloc(MIB, " ");

const ANSWERS: Record<string, () => Response | Promise<Response>> = {
  "/good": () => Response.json({ status: "new" }),
  "/bomb": () => new Response(BOMB, { headers: { "content-encoding": "gzip" } }),
  "/gigabyte": () => stream(SPACES, 1_024, 0),
  "/drip": () => stream(Buffer.from(" "), Number.POSITIVE_INFINITY, 50),
  "/silent": () => new Promise<Response>(() => {}),
  "/deep": () => new Response(`${"[".repeat(20_000)}${"]".repeat(20_000)}`),
  "/proto": () => new Response('{"__proto__":{"polluted":true},"status":"new"}'),
  "/login": () => new Response("<!doctype html><form>", { headers: { "content-type": "text/html" } }),
  "/private": () => Response.redirect("http://10.0.0.1/"),
  "/charset": () => new Response(Buffer.from('{"status":"\xe9"}', "latin1")),
  "/cut": () => new Response('{"status":"ne'),
  "/empty": () => new Response(""),
  "/refusal": () => new Response('{"errors":[{"message":"no\\u0000pe \\ud800"}],"data":null}'),
};

const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  idleTimeout: 0,
  fetch: (request) => ANSWERS[new URL(request.url).pathname]?.() ?? new Response("no", { status: 404 }),
});
process.stdout.write(`${server.port}\n`);

function stream(chunk: Uint8Array, times: number, pauseMs: number): Response {
  let sent = 0;
  return new Response(
    new ReadableStream({
      async pull(controller) {
        if (pauseMs > 0) await Bun.sleep(pauseMs);
        controller.enqueue(chunk);
        if (++sent >= times) controller.close();
      },
    }),
  );
}
