import { expect, test } from "bun:test";
import { formatDuration, parseDuration } from "../../src/platform/durations.ts";

test.each([
  ["500ms", 500],
  ["30s", 30_000],
  ["5m", 300_000],
  ["2h", 7_200_000],
  ["1d", 86_400_000],
  ["0s", 0],
  ["1.5s", 1_500],
  ["0.5d", 43_200_000],
  [" 30s ", 30_000],
  ["30", 30_000],
  ["0.25", 250],
  [30, 30_000],
  [0.0004, 0],
])("%j is %d ms", (input, ms) => {
  expect(parseDuration(input)).toBe(ms);
});

test.each([
  "",
  "s",
  "30 s",
  "30S",
  "30sec",
  "1w",
  "-5s",
  "+5s",
  "1e3s",
  "1,5s",
  ".5s",
  "5m30s",
  "Infinity",
  -1,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  null,
  undefined,
  true,
  {},
  [["5s"]],
])("%p is no duration", (input) => {
  expect(parseDuration(input)).toBeNull();
});

test.each([
  [0, "0ms"],
  [1, "1ms"],
  [1_500, "1500ms"],
  [90_000, "90s"],
  [300_000, "5m"],
  [5_400_000, "90m"],
  [36_000_000, "10h"],
  [86_400_000, "1d"],
  [3_650 * 86_400_000, "3650d"],
])("%d ms is written %s, and read back", (ms, text) => {
  expect(formatDuration(ms)).toBe(text);
  expect(parseDuration(text)).toBe(ms);
});
