import { expect, test } from "bun:test";
import { envelope, USER_AGENT, webhookId } from "../../src/delivering/envelope.ts";

const AT = Date.UTC(2026, 10, 21, 20, 22, 0, 123);
const id = Bun.randomUUIDv7("hex", AT);
const earlier = Bun.randomUUIDv7("hex", AT - 86_400_000);

test("the sender's bytes are what arrives", () => {
  const data = '{"b": 1.0,"a":12345678901234567890, "a":"\\u0041\\ud800"}';
  expect(envelope({ id, originalId: null, type: "order.paid", data })).toBe(
    `{"type":"order.paid","timestamp":"2026-11-21T20:22:00.123Z","data":${data}}`,
  );
});

test("a type with quotes and line breaks stays one JSON string", () => {
  const body = envelope({ id, originalId: null, type: 'a"\n\u2028b', data: "null" });
  expect(JSON.parse(body)).toEqual({ type: 'a"\n\u2028b', timestamp: "2026-11-21T20:22:00.123Z", data: null });
});

test("the webhook-id is the event's public id, without a dot", () => {
  expect(webhookId({ id, originalId: null })).toBe(`evt_${id.replaceAll("-", "")}`);
  expect(webhookId({ id, originalId: null })).not.toContain(".");
});

test("a replay keeps the id and the time of the first event", () => {
  expect(webhookId({ id, originalId: earlier })).toBe(webhookId({ id: earlier, originalId: null }));
  expect(envelope({ id, originalId: earlier, type: "t", data: "1" })).toBe(
    envelope({ id: earlier, originalId: null, type: "t", data: "1" }),
  );
});

test("the user agent names the program and its version", () => {
  expect(USER_AGENT).toMatch(/^DeltaHook\/\d+\.\d+\.\d+$/);
});
