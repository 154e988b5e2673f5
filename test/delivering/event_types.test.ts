import { expect, test } from "bun:test";
import { matchesGlob, subscribes } from "../../src/delivering/event_types.ts";
import { isSystemType } from "../../src/platform/system_types.ts";

test.each([
  ["*", "", true],
  ["*", "order.paid", true],
  ["order.*", "order.paid", true],
  ["order.*", "order.line.added", true],
  ["order.*", "order.", true],
  ["order.*", "order", false],
  ["order.*", "reorder.paid", false],
  ["*.paid", "order.line.paid", true],
  ["*.paid", "order.paid.late", false],
  ["order.*.added", "order.line.added", true],
  ["order.*.added", "order.added", false],
  ["o*r.p*d", "order.paid", true],
  ["**", "anything", true],
  ["a*b*c", "a-b-b-c", true],
  ["a*b*c", "a-b-b-", false],
  ["order.paid", "order.paid", true],
  ["order.paid", "order.paid2", false],
  ["order.paid", "Order.paid", false],
  ["order?paid", "order.paid", false],
  ["", "", true],
  ["", "a", false],
  ["order.+", "order.paid", false],
])("the pattern %j on %j: %p", (pattern, type, expected) => {
  expect(matchesGlob(pattern, type)).toBe(expected);
});

test("no pattern can be made slow", () => {
  const startedAt = performance.now();
  expect(matchesGlob(`${"a*".repeat(2_000)}b`, "a".repeat(10_000))).toBe(false);
  expect(performance.now() - startedAt).toBeLessThan(2_000);
});

test.each([
  ["watch.failing", true],
  ["watch.recovered", true],
  ["watch.auth_failed", true],
  ["watch.held", true],
  ["endpoint.paused", true],
  ["endpoint.anything", true],
  ["watch.changed", false],
  ["watch.failing.badly", false],
  ["endpoint", false],
  ["test.ping", false],
])("%s is a system type: %p", (type, expected) => {
  expect(isSystemType(type)).toBe(expected);
});

test.each([
  [["*"], "order.paid", true],
  [["order.*", "bill.*"], "bill.sent", true],
  [[], "order.paid", false],
  [["*"], "watch.changed", true],
  [["*"], "watch.failing", false],
  [["*"], "endpoint.paused", false],
  [["watch.*"], "watch.failing", true],
  [["watch.*"], "watch.changed", true],
  [["watch.failing"], "watch.failing", true],
  [["watch.failing"], "watch.held", false],
  [["watch.f*"], "watch.failing", false],
  [["endpoint.*"], "endpoint.resumed", true],
  [["endpoint.*"], "watch.held", false],
  [["*.*"], "endpoint.paused", false],
  [["*", "endpoint.paused"], "endpoint.paused", true],
] as [string[], string, boolean][])("a subscription to %j gets %s: %p", (patterns, type, expected) => {
  expect(subscribes(patterns, type)).toBe(expected);
});
