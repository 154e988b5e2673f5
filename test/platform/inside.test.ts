import { describe, expect, test } from "bun:test";
import { parseAllowedNetworks } from "../../src/platform/addresses.ts";
import { PLAY, SAMPLE, withInside } from "../../src/platform/outbound/inside.ts";
import { createOutbound, type OutboundRequest } from "../../src/platform/outbound.ts";

const AT = Date.parse("2026-11-21T20:00:00.000Z");
const door = createOutbound({ allowedNetworks: parseAllowedNetworks([]) });
const limits = { timeoutMs: 1_000, maxBytes: 1_024, oversize: "fail" } as const;

/** Asks for the sample `seconds` after a fixed time. */
async function read(seconds: number, extra: Partial<OutboundRequest> = {}) {
  const sources = withInside(door, SAMPLE, () => AT + seconds * 1_000);
  const result = await sources.request({ method: "GET", url: "deltahook://sample", headers: {}, ...limits, ...extra });
  if (!result.ok) throw new Error(result.fault.message);
  return { ...result, text: new TextDecoder().decode(result.body) };
}

describe("the sample source", () => {
  test("is the same order for five seconds, then moves on, and its total with every round", async () => {
    expect((await read(4.9)).text).toBe((await read(0)).text);
    const orders: { status: string; total: number }[] = [];
    for (let n = 0; n < 6; n++) orders.push(JSON.parse((await read(n * 5)).text).order);
    expect(new Set(orders.slice(0, 3).map(({ status }) => status))).toEqual(new Set(["pending", "paid", "shipped"]));
    expect(orders.every(({ status }, n) => status !== orders[n + 1]?.status)).toBe(true);
    expect(new Set(orders.map(({ total }) => total)).size).toBeGreaterThan(1);
  });

  test("answers 304 to its own ETag until it has moved on", async () => {
    const { headers } = await read(0);
    const conditions = { headers: { "If-None-Match": headers.etag ?? "" } };
    expect(await read(1, conditions)).toMatchObject({ status: 304, text: "" });
    expect(await read(5, conditions)).toMatchObject({ status: 200 });
  });

  test("takes parameters, and no other method", async () => {
    expect((await read(0, { url: "deltahook://sample?a=1" })).status).toBe(200);
    expect((await read(0, { method: "POST" })).status).toBe(405);
  });

  test("says nothing once we are shutting down", async () => {
    const result = await withInside(door, SAMPLE, () => AT).request({
      method: "GET",
      url: "deltahook://sample",
      headers: {},
      ...limits,
      signal: AbortSignal.abort(),
    });
    expect(result).toMatchObject({ ok: false, fault: { kind: "aborted" } });
  });
});

const receivers = withInside(door, PLAY, () => AT);
const answers: [url: string, status: number][] = [
  ["deltahook://play", 200],
  ["deltahook://play/fail", 500],
];
test.each(answers)("what is sent to %s is answered with %d", async (url, status) => {
  expect(await receivers.request({ method: "POST", url, headers: {}, body: "{}", ...limits })).toMatchObject({
    ok: true,
    status,
  });
});

describe("only the built-in addresses of its own side are let through", () => {
  const checks: [url: string, source: boolean, receiver: boolean][] = [
    ["deltahook://sample", true, false],
    ["deltahook://play", false, true],
    ["deltahook://play/fail", false, true],
    ["deltahook://play/", false, false],
    ["deltahook://play?a=1", false, false],
    ["deltahook://sample#a", false, false],
    ["deltahook://constructor", false, false],
    ["deltahook:play", false, false],
    ["DELTAHOOK://play", false, false],
    ["constructor", false, false],
    ["ftp://example.com/", false, false],
    ["http://127.0.0.1/", false, false],
    ["https://example.com/", true, true],
  ];
  test.each(checks)("%s", async (url, source, receiver) => {
    const sources = withInside(door, SAMPLE, () => AT);
    expect([sources.checkUrl(url) === null, receivers.checkUrl(url) === null]).toEqual([source, receiver]);
    expect(door.checkUrl("deltahook://play")).toContain("cannot be called");
  });

  test("an address that is none is refused when it is asked, too", async () => {
    const result = await receivers.request({ method: "POST", url: "deltahook://sample", headers: {}, ...limits });
    expect(result).toMatchObject({ ok: false, fault: { kind: "invalid_url" } });
  });
});
