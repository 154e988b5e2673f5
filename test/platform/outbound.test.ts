import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { parseAllowedNetworks } from "../../src/platform/addresses.ts";
import { nextHop } from "../../src/platform/outbound/redirect.ts";
import {
  checkHeaders,
  createOutbound,
  type OutboundRequest,
  type OutboundResult,
} from "../../src/platform/outbound.ts";

const FIXTURES = join(import.meta.dir, "fixtures");

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A raw server: `onRequest` runs once per request read. Counts connections and keeps what was sent to it. */
async function rawServer(onRequest: (socket: Socket, text: string) => void, host = "127.0.0.1") {
  const seen = { connections: 0, requests: [] as string[] };
  const server = createServer((socket) => {
    seen.connections++;
    greet(socket, seen.requests, onRequest);
  });
  return { port: await listen(server, host), seen };
}

function greet(socket: Socket, requests: string[], onRequest: (socket: Socket, text: string) => void): void {
  closers.push(() => socket.destroy());
  socket.on("error", () => {});
  socket.on("data", (data) => {
    requests.push(data.toString("latin1"));
    onRequest(socket, data.toString("latin1"));
  });
}

async function listen(server: Server, host = "127.0.0.1"): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  closers.push(() => server.close());
  const bound = server.address();
  return typeof bound === "object" && bound ? bound.port : 0;
}

function answerWith(body: string | Uint8Array, headers = "", status = "200 OK") {
  return (socket: Socket) => {
    socket.write(`HTTP/1.1 ${status}\r\n${headers}content-length: ${body.length}\r\n\r\n`);
    socket.write(body);
  };
}

const DEFAULTS = {
  method: "GET",
  headers: {},
  timeoutMs: 5_000,
  maxBytes: 100_000,
  oversize: "fail",
} satisfies Partial<OutboundRequest>;

function door(resolve?: (host: string) => Promise<string[]>, allowed = ["127.0.0.0/8"]) {
  const allowedNetworks = parseAllowedNetworks(allowed);
  const outbound = createOutbound(resolve ? { allowedNetworks, resolve } : { allowedNetworks });
  return {
    ...outbound,
    ask: (url: string, more: Partial<OutboundRequest> = {}) => outbound.request({ ...DEFAULTS, ...more, url }),
  };
}

function faultOf(result: OutboundResult) {
  if (result.ok) throw new Error(`expected a fault, got status ${result.status}`);
  return result.fault;
}

function textOf(result: OutboundResult): string {
  if (!result.ok) throw new Error(`expected an answer, got ${result.fault.kind}: ${result.fault.message}`);
  return Buffer.from(result.body).toString();
}

describe("an answer", () => {
  test("comes with status, lower-case headers, body and the URL as it was named", async () => {
    const headers = "Set-Cookie: a=1\r\nX-One: 1\r\nx-one: 2\r\nSet-Cookie: b=2\r\n";
    const { port } = await rawServer(answerWith('{"n":1}', headers, "418 Teapot"));
    const result = await door(async () => ["127.0.0.1"]).ask(`http://erp.test:${port}/a?b=c#d`);
    expect(result).toMatchObject({
      ok: true,
      status: 418,
      truncated: false,
      url: `http://erp.test:${port}/a?b=c#d`,
      headers: { "x-one": "1, 2", "set-cookie": "a=1, b=2", "content-length": "7" },
    });
    expect(textOf(result)).toBe('{"n":1}');
  });

  test("is asked for at the checked address, with the named host and port in Host", async () => {
    const { port, seen } = await rawServer(answerWith("ok"));
    const hosts: string[] = [];
    const { ask } = door(async (host) => {
      hosts.push(host);
      return ["127.0.0.1"];
    });
    textOf(await ask(`http://ERP.test.:${port}/x?y=1`, { method: "POST", body: "hello", headers: { "X-A": "b" } }));
    expect(hosts).toEqual(["erp.test"]);
    expect(seen.requests[0]).toStartWith("POST /x?y=1 HTTP/1.1\r\n");
    expect(seen.requests[0]).toMatch(new RegExp(`\r\nhost: erp\\.test:${port}\r\n`, "i"));
    expect(seen.requests[0]).toMatch(/\r\nx-a: b\r\n/i);
    expect(seen.requests[0]).toEndWith("\r\n\r\nhello");
  });

  test("lets the caller choose Accept-Encoding", async () => {
    const { port, seen } = await rawServer(answerWith("ok"));
    await door().ask(`http://127.0.0.1:${port}/`, { headers: { "Accept-Encoding": "identity" } });
    expect(seen.requests[0]?.match(/accept-encoding: .*/gi)).toEqual(["Accept-Encoding: identity"]);
  });

  test.each([
    ["HEAD", "200 OK"],
    ["GET", "204 No Content"],
    ["GET", "304 Not Modified"],
  ])("%s with %s has no body, whatever its Content-Length says", async (method, status) => {
    const { port } = await rawServer((socket) => socket.write(`HTTP/1.1 ${status}\r\ncontent-length: 999999\r\n\r\n`));
    expect(textOf(await door().ask(`http://127.0.0.1:${port}/`, { method }))).toBe("");
  });

  test("shares one look-up and keep-alive connections among requests", async () => {
    const { port, seen } = await rawServer(answerWith("ok"));
    let lookUps = 0;
    const { ask } = door(async () => {
      lookUps++;
      return ["127.0.0.1"];
    });
    await Promise.all(Array.from({ length: 20 }, () => ask(`http://erp.test:${port}/`).then(textOf)));
    const connections = seen.connections;
    for (let i = 0; i < 20; i++) textOf(await ask(`http://erp.test:${port}/${i}`));
    expect(lookUps).toBe(1);
    expect(seen.connections).toBe(connections);
  });
});

describe("a forbidden address", () => {
  // A listener on every local address: whichever way a spelling is understood, a connection would be counted here.
  let port = 0;
  let connections = 0;
  const canary = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  beforeAll(async () => {
    await new Promise<void>((resolve) => canary.listen(0, "::", resolve));
    const bound = canary.address();
    port = typeof bound === "object" && bound ? bound.port : 0;
  });
  afterAll(() => void canary.close());

  const hosts = [
    ["127.0.0.1", "127.1", "127.0.1", "127.255.255.254", "2130706433", "0x7f000001", "0x7F.1", "0177.0.0.1"],
    ["017700000001", "0x7f.0x0.0x0.0x1", "0177.0x0.0.01", "127.0.0.1.", "127.000.000.001", "0", "0.0.0.0", "0x0", "00"],
    ["0.0.0.1", "１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1", "%31%32%37.0.0.1", "127%2e0%2e0%2e1", "127.0.0.1%00"],
    ["localhost", "LOCALHOST", "localhost.", "LocalHost.", "ｌｏｃａｌｈｏｓｔ", "foo.localhost", "a.b.localhost."],
    ["[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[0000::0001]", "[::0.0.0.1]", "[::127.0.0.1]", "[::7f00:1]"],
    ["[::ffff:127.0.0.1]", "[::FFFF:7F00:1]", "[0:0:0:0:0:ffff:127.0.0.1]", "[::ffff:0.0.0.0]", "[::ffff:0:127.0.0.1]"],
    ["[64:ff9b::127.0.0.1]", "[64:ff9b::a00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2002:a00:1::1]"],
    ["[2001::80ff:fffe]", "[2001:0:4136:e378:8000:63bf:f5ff:fffe]", "[::1%25lo]", "[fe80::1%25eth0]", "[fe80::1%eth0]"],
    [
      "10.0.0.1",
      "10.255.255.255",
      "0xa.1",
      "012.1",
      "167772161",
      "172.16.0.1",
      "172.31.255.255",
      "192.168.0.1",
      "192.168.257",
    ],
    [
      "169.254.169.254",
      "2852039166",
      "0xa9fea9fe",
      "0251.0376.0251.0376",
      "[::ffff:169.254.169.254]",
      "[::ffff:a9fe:a9fe]",
    ],
    ["100.64.0.1", "100.100.100.200", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"],
    ["192.88.99.1", "168.63.129.16", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "4294967295"],
    ["[fc00::1]", "[fd00:ec2::254]", "[fe80::1]", "[fec0::1]", "[ff02::1]", "[100::1]", "[2001:db8::1]", "[2001:2::1]"],
    ["[2001:10::1]", "[2001:20::1]", "[3fff::1]", "[5f00::1]", "[4000::1]", "[8000::1]", "[3ffe::1]", "[2001:1::1]"],
  ].flat();

  test.each(hosts)("spelled %s is refused without a connection", async (host) => {
    const { ask, checkUrl } = door(undefined, []);
    const url = `http://${host}:${port}/`;
    const fault = faultOf(await ask(url));
    expect(["blocked", "invalid_url"]).toContain(fault.kind);
    expect(checkUrl(url)).toBe(fault.message);
    expect(connections).toBe(0);
  });

  const urls = [
    (at: string) => `http:\\\\${at}/`,
    (at: string) => `http:/${at}/`,
    (at: string) => `http:${at}/`,
    (at: string) => ` \thttp://${at}/\n`,
    (at: string) => `ht\ntp://127.0.\t0.1:${at.split(":")[1]}/`,
    (at: string) => `HTTP://${at}`,
    (at: string) => `https://${at}/`,
    (at: string) => `http://example.com@${at}/`,
    (at: string) => `http://example.com:80@${at}/`,
    (at: string) => `http://${at}\\@example.com/`,
    (at: string) => `http://${at}#@example.com/`,
    (at: string) => `http://${at}?@example.com/`,
    (at: string) => `//${at}/`,
    (at: string) => `ftp://${at}/`,
    (at: string) => `ws://${at}/`,
    (at: string) => `gopher://${at}/`,
    (at: string) => `unix://${at}/`,
    (at: string) => `s3://${at}/`,
    () => "file:///etc/passwd",
    () => "data:text/plain,hello",
    () => "blob:http://127.0.0.1/x",
    () => "javascript:alert(1)",
    () => "",
  ];

  test.each(urls.map((url) => [url("127.0.0.1:1"), url] as const))("in %p is refused", async (_, make) => {
    const { ask, checkUrl } = door(undefined, []);
    const url = make(`127.0.0.1:${port}`);
    const fault = faultOf(await ask(url));
    expect(["blocked", "invalid_url"]).toContain(fault.kind);
    expect(checkUrl(url)).toBe(fault.message);
    expect(connections).toBe(0);
  });

  test.each([
    [["10.0.0.5"]],
    [["127.0.0.1"]],
    [["::1"]],
    [["::ffff:127.0.0.1"]],
    [["93.184.216.34", "127.0.0.1"]],
    [["2606:4700::1111", "fe80::1"]],
    [["2130706433"]],
    [["fe80::1%eth0"]],
    [[]],
  ])("is refused when a name resolves to %j", async (addresses) => {
    const { ask, checkUrl } = door(async () => addresses, []);
    expect(checkUrl(`http://erp.test:${port}/`)).toBeNull();
    expect(["blocked", "dns"]).toContain(faultOf(await ask(`http://erp.test:${port}/`)).kind);
    expect(connections).toBe(0);
  });

  test("is named, with its range and the remedy", async () => {
    const { ask, checkUrl } = door(async () => ["10.0.0.5"], []);
    expect(faultOf(await ask("https://erp.internal/secret?key=1")).message).toBe(
      "10.0.0.5 (from erp.internal) is a private address (10.0.0.0/8, RFC 1918). To allow it, add it to ALLOWED_NETWORKS.",
    );
    expect(checkUrl("http://169.254.169.254/latest")).toContain("169.254.169.254 is a link-local address");
    expect(checkUrl("http://localhost/")).toContain("127.0.0.1 (from localhost) is a loopback address");
  });

  test("stays out of reach when its name gives another address at every look-up", async () => {
    const good = await rawServer(answerWith("public"), "127.0.0.2");
    let lookUps = 0;
    const rebinding = async () => (lookUps++ === 0 ? ["127.0.0.2"] : ["127.0.0.1"]);
    const { ask } = door(rebinding, ["127.0.0.2"]);
    expect(textOf(await ask(`http://evil.test:${good.port}/`))).toBe("public");
    expect(faultOf(await ask(`http://evil.test:${port}/`)).kind).toBe("blocked");
    expect(connections).toBe(0);
  });

  test("is refused after a redirect from an allowed one", async () => {
    const from = await rawServer(answerWith("", `location: http://127.0.0.1:${port}/\r\n`, "302 Found"), "127.0.0.2");
    const { ask } = door(undefined, ["127.0.0.2"]);
    const fault = faultOf(await ask(`http://127.0.0.2:${from.port}/`, { redirects: 3 }));
    expect(fault.kind).toBe("blocked");
    expect(fault.message).toStartWith(`Redirected to 127.0.0.1:${port}: 127.0.0.1 is a loopback address`);
    expect(connections).toBe(0);
  });
});

describe("an allowed network", () => {
  test.each([
    ["127.0.0.0/8", "127.0.0.1", true],
    ["127.0.0.0/8", "localhost", true],
    ["127.0.0.0/8", "app.localhost", true],
    ["127.0.0.1", "127.0.0.1", true],
    ["127.0.0.2", "127.0.0.1", false],
    ["erp.test", "erp.test", true],
    ["erp.test", "www.erp.test", false],
    ["erp.test", "127.0.0.1", false],
    ["127.0.0.0/8", "[::ffff:127.0.0.1]", false],
    ["10.0.0.0/8", "erp.test", false],
  ])("%s opens %s: %p", async (entry, host, open) => {
    const { port } = await rawServer(answerWith("ok"));
    const { ask } = door(async () => ["127.0.0.1"], [entry]);
    const result = await ask(`http://${host}:${port}/`);
    expect(result.ok ? true : result.fault.kind).toBe(open ? true : "blocked");
  });

  test("with a port opens that port only", async () => {
    const open = await rawServer(answerWith("ok"));
    const shut = await rawServer(answerWith("ok"));
    const { ask } = door(undefined, [`127.0.0.1:${open.port}`]);
    textOf(await ask(`http://127.0.0.1:${open.port}/`));
    expect(faultOf(await ask(`http://127.0.0.1:${shut.port}/`)).kind).toBe("blocked");
    expect(shut.seen.connections).toBe(0);
  });
});

describe("checkUrl", () => {
  const { checkUrl } = door(undefined, []);
  test.each([
    ["https://example.com/hooks?a=b", null],
    ["http://example.com:8080", null],
    ["https://bücher.example/", null],
    ["https://93.184.216.34/", null],
    ["https://[2606:4700::1111]/", null],
    ["example.com", "is not a URL"],
    ["https://", "is not a URL"],
    ["ftp://example.com", "Use an https: or http: URL"],
    ["https://me:hunter2@example.com/", "in the vault"],
    ["https://token@example.com/", "in the vault"],
    ["http://example.com:25/", "Port 25"],
    ["http://example.com:0/", "Port 0"],
    ["http://example.com:6667/", "Port 6667"],
    ["http://example.com:99999/", "is not a URL"],
    ["http://a..example.com/", "is not a host name"],
    [`http://${"a".repeat(64)}.example/`, "is not a host name"],
  ])("%s: %p", (url, expected) => {
    if (expected === null) expect(checkUrl(url)).toBeNull();
    else expect(checkUrl(url)).toContain(expected);
    expect(checkUrl(url) ?? "").not.toContain("hunter2");
  });
});

describe("a name", () => {
  test("is tried at its next address only when nothing was sent to the one before", async () => {
    const good = await rawServer(answerWith("ok"));
    const { ask } = door(async () => ["127.0.0.3", "127.0.0.1"]);
    expect(textOf(await ask(`http://erp.test:${good.port}/`, { method: "POST", body: "once" }))).toBe("ok");

    const resets = await rawServer((socket) => socket.resetAndDestroy(), "127.0.0.2");
    const other = door(async () => ["127.0.0.2", "127.0.0.1"]);
    const fault = faultOf(await other.ask(`http://erp.test:${resets.port}/`, { method: "POST", body: "once" }));
    expect(fault.kind).toBe("reset");
    expect(resets.seen.requests).toHaveLength(1);
  });

  test("that is unknown is a dns fault, asked again after a second", async () => {
    const { port } = await rawServer(answerWith("ok"));
    let lookUps = 0;
    const { ask } = door(async () => {
      if (lookUps++ === 0) throw Object.assign(new Error("getaddrinfo ENOTFOUND"), { code: "ENOTFOUND" });
      return ["127.0.0.1"];
    });
    const fault = faultOf(await ask(`http://erp.test:${port}/`));
    expect(fault).toEqual({ kind: "dns", message: "erp.test is not known to DNS (ENOTFOUND). Check the host name." });
    faultOf(await ask(`http://erp.test:${port}/`));
    expect(lookUps).toBe(1);
    await Bun.sleep(1_100);
    expect(textOf(await ask(`http://erp.test:${port}/`))).toBe("ok");
  });

  test("is resolved by the system, and an unknown one is a dns fault", async () => {
    expect(faultOf(await door().ask("http://nowhere.invalid/")).kind).toBe("dns");
  });

  test("whose look-up hangs is a timeout", async () => {
    const { ask } = door(() => new Promise<string[]>(() => {}));
    const fault = faultOf(await ask("http://erp.test/", { timeoutMs: 50 }));
    expect(fault.kind).toBe("timeout");
    expect(fault.message).toStartWith("erp.test could not be looked up within 50ms.");
  });
});

describe("a misbehaving server", () => {
  const gzipped = gzipSync("hello ".repeat(100));
  const gzip = (body: Uint8Array) => answerWith(body, "content-encoding: gzip\r\n");
  const head = (lines: string, after = "") => `HTTP/1.1 200 OK\r\n${lines}\r\n${after}`;
  const drip = (start: string) => (socket: Socket) => {
    socket.write(start);
    const timer = setInterval(() => socket.write("x"), 10);
    socket.on("close", () => clearInterval(timer));
  };
  const flood = (start: string, text: string) => (socket: Socket) => {
    socket.write(start);
    const timer = setInterval(() => socket.writableLength < 1e6 && socket.write(text.repeat(10)), 1);
    socket.on("close", () => clearInterval(timer));
  };
  const long = "y".repeat(10_000);

  const table: [string, string, number | null, (socket: Socket) => void][] = [
    ["says nothing", "timeout", null, () => {}],
    ["drips its headers", "timeout", null, drip("HTTP/1.1 200 OK\r\nx-slow: ")],
    ["drips its body", "timeout", 200, drip(head("content-length: 1000\r\n"))],
    ["sends interim answers for ever", "timeout", null, flood("", "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n")],
    ["hangs up at once", "reset", null, (s) => s.end()],
    ["resets at once", "reset", null, (s) => s.resetAndDestroy()],
    ["ends within its headers", "reset", null, (s) => s.end("HTTP/1.1 200 OK\r\ncontent-le")],
    ["ends before Content-Length is reached", "reset", 200, (s) => s.end(head("content-length: 100\r\n", "short"))],
    ["ends before any of its body", "reset", 200, (s) => s.end(head("content-length: 100\r\n"))],
    ["ends between chunks", "reset", 200, (s) => s.end(head("transfer-encoding: chunked\r\n", "5\r\nshort\r\n"))],
    ["ends within a chunk", "reset", 200, (s) => s.end(head("transfer-encoding: chunked\r\n", "50\r\nshort\r\n"))],
    ["has a garbled chunk", "protocol", 200, (s) => s.write(head("transfer-encoding: chunked\r\n", "zz\r\nshort\r\n"))],
    ["speaks another protocol", "protocol", null, (s) => s.write("SSH-2.0-OpenSSH_9.6\r\n\r\n")],
    ["has a negative Content-Length", "protocol", null, (s) => s.write(head("content-length: -5\r\n", "short"))],
    [
      "has an overflowing Content-Length",
      "protocol",
      null,
      (s) => s.write(head(`content-length: ${"9".repeat(30)}\r\n`)),
    ],
    [
      "has two Content-Lengths",
      "protocol",
      null,
      (s) => s.write(head("content-length: 5\r\ncontent-length: 3\r\n", "short")),
    ],
    [
      "switches protocols unasked",
      "protocol",
      null,
      (s) => s.write("HTTP/1.1 101 X\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"),
    ],
    [
      "sends 100 KB of headers",
      "protocol",
      200,
      (s) => s.write(head(`${`x-a: ${long}\r\n`.repeat(10)}content-length: 0\r\n`)),
    ],
    ["sends headers for ever", "protocol", null, flood("HTTP/1.1 200 OK\r\n", `x: ${long}\r\n`)],
    ["cuts its gzip short", "protocol", 200, gzip(gzipped.subarray(0, -8))],
    ["says gzip but is not", "protocol", 200, gzip(Buffer.from("hello"))],
    ["announces too much", "too_large", 200, (s) => s.write(head("content-length: 999999999999999\r\n"))],
    ["sends too much", "too_large", 200, flood(head(""), long)],
    ["sends a gzip bomb", "too_large", 200, gzip(gzipSync(Buffer.alloc(10_000_000)))],
  ];

  test.each(table)("that %s is a fault: %s", async (_, kind, status, misbehave) => {
    const { port } = await rawServer(misbehave);
    const result = await door().ask(`http://127.0.0.1:${port}/?key=hunter2`, {
      timeoutMs: kind === "timeout" ? 200 : 5_000,
    });
    expect(faultOf(result)).toMatchObject({ kind });
    expect(result.status).toBe(status);
    expect(result.ms).toBeLessThan(2_000);
    expect(faultOf(result).message).toContain(`127.0.0.1:${port}`);
    expect(faultOf(result).message).not.toContain("hunter2");
  });

  test("that is not there is a connect fault", async () => {
    const { port } = await rawServer(() => {});
    for (const close of closers.splice(0)) close();
    const fault = faultOf(await door().ask(`http://127.0.0.1:${port}/`));
    expect(fault).toMatchObject({ kind: "connect" });
    expect(fault.message).toStartWith(`127.0.0.1:${port} refuses connections.`);
  });

  test("that sends more than its Content-Length is cut there", async () => {
    const { port } = await rawServer((socket) => socket.write(head("content-length: 5\r\n", "longer than that")));
    expect(textOf(await door().ask(`http://127.0.0.1:${port}/`))).toBe("longe");
  });
});

describe("a body", () => {
  const text = "hello ".repeat(1_000);
  const codings: [string, Uint8Array][] = [
    ["gzip", gzipSync(text)],
    ["x-gzip", gzipSync(text)],
    ["GZIP", gzipSync(text)],
    ["br", brotliCompressSync(text)],
    ["deflate", deflateSync(text)],
    ["deflate", deflateRawSync(text)],
    ["utf-8", Buffer.from(text)],
  ];

  test.each(codings)("in %s is decoded, whole or up to the cap", async (coding, wire) => {
    const { port } = await rawServer(answerWith(wire, `content-encoding: ${coding}\r\n`));
    const url = `http://127.0.0.1:${port}/`;
    expect(textOf(await door().ask(url, { maxBytes: text.length }))).toBe(text);
    const cut = await door().ask(url, { maxBytes: 100, oversize: "truncate" });
    expect(cut).toMatchObject({ ok: true, truncated: true });
    expect(textOf(cut)).toBe(text.slice(0, 100));
    expect(faultOf(await door().ask(url, { maxBytes: text.length - 1 })).kind).toBe("too_large");
  });

  test("of exactly maxBytes is whole, one more is truncated", async () => {
    const { port } = await rawServer(answerWith("0123456789"));
    const url = `http://127.0.0.1:${port}/`;
    expect(await door().ask(url, { maxBytes: 10, oversize: "truncate" })).toMatchObject({ truncated: false });
    const cut = await door().ask(url, { maxBytes: 9, oversize: "truncate" });
    expect(cut).toMatchObject({ truncated: true });
    expect(textOf(cut)).toBe("012345678");
    expect(textOf(await door().ask(url, { maxBytes: 0, oversize: "truncate" }))).toBe("");
  });

  test("that is incompressible and larger than the threshold for decoding in place survives", async () => {
    const noise = crypto.getRandomValues(new Uint8Array(65_536));
    const body = Buffer.concat([noise, noise, noise]);
    const { port } = await rawServer(answerWith(gzipSync(body), "content-encoding: gzip\r\n"));
    const result = await door().ask(`http://127.0.0.1:${port}/`, { maxBytes: body.length });
    expect(result.ok && Buffer.from(result.body).equals(body)).toBe(true);
    const cut = await door().ask(`http://127.0.0.1:${port}/`, { maxBytes: 100_000, oversize: "truncate" });
    expect(cut.ok && Buffer.from(cut.body).equals(body.subarray(0, cut.body.length))).toBe(true);
    expect(cut.ok && cut.truncated && cut.body.length).toBeGreaterThan(99_000);
  });

  test("without a length, or in chunks, is read to its end", async () => {
    const chunked = await rawServer((s) =>
      s.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
    );
    expect(textOf(await door().ask(`http://127.0.0.1:${chunked.port}/`))).toBe("abc");
    const closing = await rawServer((s) => s.end("HTTP/1.1 200 OK\r\n\r\nabc"));
    expect(textOf(await door().ask(`http://127.0.0.1:${closing.port}/`))).toBe("abc");
  });

  test("past its cap is not read on: the connection is closed", async () => {
    const closed = Promise.withResolvers<void>();
    const { port } = await rawServer((socket) => {
      socket.on("close", () => closed.resolve());
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n01234\r\n");
    });
    const result = await door().ask(`http://127.0.0.1:${port}/`, { maxBytes: 3, oversize: "truncate" });
    expect(textOf(result)).toBe("012");
    await closed.promise;
  });

  test("that is a bomb or never ends costs little memory", async () => {
    const member = gzipSync(Buffer.alloc(16_000_000));
    const bombs: Record<string, Uint8Array> = {
      gzip: Buffer.concat(Array.from({ length: 40 }, () => member)),
      br: brotliCompressSync(Buffer.alloc(128_000_000)),
    };
    const { port } = await rawServer((socket, request) => {
      const coding = /GET \/(\w+)/.exec(request)?.[1] ?? "";
      const bomb = bombs[coding];
      if (bomb) return answerWith(bomb, `content-encoding: ${coding}\r\n`)(socket);
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      const timer = setInterval(() => socket.writableLength < 1e6 && socket.write(Buffer.alloc(262_144)), 1);
      socket.on("close", () => clearInterval(timer));
    });
    const url = (path: string) => ({ url: `http://127.0.0.1:${port}/${path}`, maxBytes: 5_000_000 });
    const { results, peakGrowthKiB } = await askInChild({
      requests: [url("gzip"), url("br"), url("endless"), { ...url("gzip"), oversize: "fail" }],
    });
    const cut = { status: 200, bytes: 5_000_000, truncated: true };
    expect(results).toMatchObject([cut, cut, cut, { kind: "too_large" }]);
    expect(peakGrowthKiB).toBeLessThan(60_000);
  }, 30_000);
});

describe("the deadline and the caller's signal", () => {
  test("a stop ends requests in flight, and those that come after", async () => {
    const stop = new AbortController();
    const waiting = await rawServer(() => stop.abort());
    const url = `http://127.0.0.1:${waiting.port}/`;
    const { ask } = door();
    expect(faultOf(await ask(url, { signal: stop.signal })).kind).toBe("aborted");
    expect(faultOf(await ask(url, { signal: stop.signal })).kind).toBe("aborted");
    expect(waiting.seen.connections).toBe(1);
  });

  test("a stop ends requests whose body is still coming", async () => {
    const stop = new AbortController();
    const { port } = await rawServer((socket) => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc");
      setTimeout(() => stop.abort(), 50);
    });
    const result = await door().ask(`http://127.0.0.1:${port}/`, { signal: stop.signal });
    expect(result).toMatchObject({ ok: false, status: 200, fault: { kind: "aborted" } });
  });

  test("the deadline covers all redirects together", async () => {
    const { port } = await rawServer((socket) => {
      setTimeout(() => answerWith("", "location: /again\r\n", "307 Temporary Redirect")(socket), 60);
    });
    const result = await door().ask(`http://127.0.0.1:${port}/`, { redirects: 100, timeoutMs: 200 });
    expect(faultOf(result).kind).toBe("timeout");
    expect(result.ms).toBeLessThan(1_000);
  });
});

describe("request headers and methods", () => {
  test.each([
    [{ headers: { "x-a": "b\r\nx-evil: 1" } }, 'value of the header "x-a"'],
    [{ headers: { "x-a": "b\nc" } }, 'value of the header "x-a"'],
    [{ headers: { "x-a": "b\u0000" } }, 'value of the header "x-a"'],
    [{ headers: { "x-a": "snow ☃" } }, 'value of the header "x-a"'],
    [{ headers: { "x-a\r\nx-evil": "1" } }, "is not a header name"],
    [{ headers: { "x a": "1" } }, "is not a header name"],
    [{ headers: { "": "1" } }, "is not a header name"],
    [{ headers: { HOST: "evil.test" } }, 'The header "HOST" is set by DeltaHook itself'],
    [{ headers: { "Content-Length": "3" } }, "set by DeltaHook itself"],
    [{ headers: { "transfer-encoding": "chunked" } }, "set by DeltaHook itself"],
    [{ headers: { connection: "upgrade" } }, "set by DeltaHook itself"],
    [{ method: "GE T" }, "The method must be one of"],
    [{ method: "CONNECT" }, "The method must be one of"],
    [{ method: "get" }, "The method must be one of"],
    [{ method: "GET", body: "x" }, "cannot carry a body"],
  ] as [Partial<OutboundRequest>, string][])("%j is a protocol fault and sends nothing", async (bad, message) => {
    const { port, seen } = await rawServer(answerWith("ok"));
    const fault = faultOf(await door().ask(`http://127.0.0.1:${port}/`, bad));
    expect(fault.kind).toBe("protocol");
    expect(fault.message).toContain(message);
    expect(seen.connections).toBe(0);
  });

  test("values are not quoted back, since they may be secrets", () => {
    expect(checkHeaders({ authorization: "Bearer hunter2\n" })).not.toContain("hunter2");
    expect(checkHeaders({ authorization: "Bearer hunter2", "x-latin": "café" })).toBeNull();
  });
});

describe("redirects", () => {
  const secrets = { Authorization: "Bearer a", cookie: "b", "proxy-authorization": "c", "X-Key": "d", "x-plain": "e" };

  test("are not followed unless asked for", async () => {
    const { port } = await rawServer(answerWith("", "location: /b\r\n", "302 Found"));
    const result = await door().ask(`http://127.0.0.1:${port}/`);
    expect(result).toMatchObject({ ok: true, status: 302, headers: { location: "/b" } });
  });

  test("keep credentials on the same origin and drop them on another", async () => {
    const last = await rawServer(answerWith("there"));
    const first = await rawServer((socket, request) => {
      const to = request.startsWith("GET /a") ? "/b" : `http://127.0.0.1:${last.port}/c`;
      answerWith("moved", `location: ${to}\r\n`, "302 Found")(socket);
    });
    const more = { headers: secrets, secretHeaders: ["x-key"], redirects: 2 };
    const result = await door().ask(`http://127.0.0.1:${first.port}/a`, more);
    expect(textOf(result)).toBe("there");
    expect(result).toMatchObject({ url: `http://127.0.0.1:${last.port}/c` });
    expect(first.seen.requests[1]).toMatch(/\r\nauthorization: Bearer a\r\n/i);
    expect(first.seen.requests[1]).toMatch(/\r\nx-key: d\r\n/i);
    expect(last.seen.requests[0]).not.toMatch(/authorization|cookie|x-key/i);
    expect(last.seen.requests[0]).toMatch(/\r\nx-plain: e\r\n/i);
  });

  test("beyond the number asked for are a fault", async () => {
    const { port, seen } = await rawServer(answerWith("", "location: /again\r\n", "302 Found"));
    const result = await door().ask(`http://127.0.0.1:${port}/`, { redirects: 2 });
    expect(result).toMatchObject({ ok: false, status: 302, fault: { kind: "protocol" } });
    expect(seen.requests).toHaveLength(3);
  });

  const hop = { method: "POST", url: "https://a.test/", headers: { "content-type": "text/plain" }, body: "x" };
  const from = new URL(hop.url);

  test.each([
    [301, "POST", "GET"],
    [302, "POST", "GET"],
    [302, "PUT", "PUT"],
    [303, "PUT", "GET"],
    [303, "HEAD", "HEAD"],
    [307, "POST", "POST"],
    [308, "PATCH", "PATCH"],
  ])("%p turns %s into %s", (status, method, expected) => {
    const next = nextHop({ ...hop, method }, from, { status, location: "/b" }, []);
    expect(next).toMatchObject({ method: expected, url: "https://a.test/b" });
    const kept = expected === method;
    expect(next).toMatchObject({ body: kept ? "x" : undefined, headers: kept ? hop.headers : {} });
  });

  test.each([
    [302, "http://a.test/", { kind: "blocked" }],
    [302, "http://[", { kind: "invalid_url" }],
    [302, null, null],
    [300, "/b", null],
    [304, "/b", null],
  ])("%p to %p: %j", (status, location, expected) => {
    const next = nextHop(hop, from, { status, location }, []);
    if (expected === null) expect(next).toBeNull();
    else expect(next).toMatchObject(expected);
  });
});

describe("TLS", () => {
  async function tlsServer(name: string) {
    const names: (string | false | null)[] = [];
    const requests: string[] = [];
    const [key, cert] = [`${name}.key`, `${name}.pem`].map((file) => readFileSync(join(FIXTURES, "tls", file)));
    const server = createTlsServer({ key, cert }, (socket) => {
      names.push(socket.servername);
      greet(socket, requests, answerWith("ok"));
    });
    server.on("tlsClientError", () => {});
    return { port: await listen(server), names, requests };
  }

  // The certificates (valid until 2125, but for the expired one) are signed by tls/ca.pem; self.pem by itself.
  test("verifies the certificate against the name, not the pinned address, on every connection", async () => {
    const [good, expired, self] = [await tlsServer("good"), await tlsServer("expired"), await tlsServer("self")];
    const plain = await rawServer(answerWith("ok"));
    const urls = [
      `https://good.test:${good.port}/1`,
      `https://other.test:${good.port}/2`,
      `https://wrong.test:${good.port}/3`,
      `https://good.test:${good.port}/4`,
      `https://127.0.0.1:${good.port}/5`,
      `https://expired.test:${expired.port}/`,
      `https://self.test:${self.port}/`,
      `https://good.test:${plain.port}/`,
    ];
    const { results } = await askInChild({
      requests: urls.map((url) => ({ url })),
      env: { NODE_EXTRA_CA_CERTS: join(FIXTURES, "tls", "ca.pem"), NODE_TLS_REJECT_UNAUTHORIZED: "0" },
    });
    const tls = (message: string) => ({ kind: "tls", message: expect.stringContaining(message) });
    expect(results).toEqual([
      { status: 200, bytes: 2, truncated: false },
      { status: 200, bytes: 2, truncated: false },
      tls(`The certificate of wrong.test:${good.port} is for another name.`),
      { status: 200, bytes: 2, truncated: false },
      tls("is for another name"),
      tls("has expired"),
      tls("is self-signed"),
      tls("Does the server speak TLS on this port?"),
    ]);
    expect(good.requests.map((request) => /GET (\S+)/.exec(request)?.[1])).toEqual(["/1", "/2", "/4"]);
    expect(good.names.filter((name) => name === "good.test")).toHaveLength(1);
    expect(good.names).toContain("other.test");
  });

  test("does not trust an authority that the machine does not know", async () => {
    const { port, requests } = await tlsServer("good");
    const { ask } = door(async () => ["127.0.0.1"]);
    const fault = faultOf(await ask(`https://good.test:${port}/`));
    expect(fault.kind).toBe("tls");
    expect(fault.message).toContain("NODE_EXTRA_CA_CERTS");
    expect(requests).toEqual([]);
  });
});

test("a proxy in the environment is never asked", async () => {
  const proxy = await rawServer(answerWith("from the proxy"));
  const { port } = await rawServer(answerWith("ok"));
  const names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
  const { results } = await askInChild({
    requests: [{ url: `http://erp.test:${port}/` }, { url: `https://erp.test:${port}/` }],
    env: Object.fromEntries(names.map((name) => [name, `http://127.0.0.1:${proxy.port}`])),
  });
  expect(results).toMatchObject([{ status: 200, bytes: 2 }, { kind: "tls" }]);
  expect(proxy.seen.connections).toBe(0);
});

async function askInChild(order: { requests: object[]; env?: Record<string, string> }) {
  const input = JSON.stringify({ allowed: ["127.0.0.0/8"], addresses: ["127.0.0.1"], requests: order.requests });
  const child = Bun.spawn([process.execPath, join(FIXTURES, "ask.ts"), input], {
    env: { ...process.env, ...order.env },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output: { results: unknown[]; peakGrowthKiB: number } = JSON.parse(await new Response(child.stdout).text());
  await child.exited;
  return output;
}
