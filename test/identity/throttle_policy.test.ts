import { describe, expect, test } from "bun:test";
import { countFailure, waitMs } from "../../src/identity/throttle_policy.ts";
import { networkOf } from "../../src/platform/addresses.ts";

const at = new Date("2026-11-21T12:00:00Z");

describe("the throttle", () => {
  test.each([
    ["pair", 0, 0],
    ["pair", 4, 0],
    ["pair", 5, 5_000],
    ["pair", 6, 10_000],
    ["pair", 7, 20_000],
    ["pair", 13, 900_000],
    ["pair", 10_000, 900_000],
    ["account", 19, 0],
    ["account", 20, 5_000],
    ["address", 49, 0],
    ["address", 50, 1_000],
    ["address", 1_000, 900_000],
  ] as const)("makes %s with %p failures wait %p ms", (kind, failures, expected) => {
    expect(waitMs(kind, { failures, lastAt: at }, at)).toBe(expected);
  });

  test("counts the wait from the last failure", () => {
    const known = { failures: 6, lastAt: at };
    expect(waitMs("pair", known, new Date(at.getTime() + 9_999))).toBe(1);
    expect(waitMs("pair", known, new Date(at.getTime() + 10_000))).toBe(0);
    expect(waitMs("pair", { failures: 6, lastAt: null }, at)).toBe(0);
  });

  test("forgets one failure after another", () => {
    const known = { failures: 4, lastAt: at };
    const later = (minutes: number) => new Date(at.getTime() + minutes * 60_000);
    expect(countFailure("pair", known, later(0))).toBe(5);
    expect(countFailure("pair", known, later(15))).toBe(4);
    expect(countFailure("pair", known, later(24 * 60))).toBe(1);
  });

  test.each([
    ["192.0.2.7", "192.0.2.7"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::9", "2001:db8:1:2::/64"],
    ["nonsense", "unknown"],
  ])("takes %s for %s", (address, network) => {
    expect(networkOf(address)).toBe(network);
  });
});
