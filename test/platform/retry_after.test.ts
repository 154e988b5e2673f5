import { expect, test } from "bun:test";
import { parseRetryAfter } from "../../src/platform/retry_after.ts";

const NOW = Date.UTC(1994, 10, 6, 8, 49, 0);

const cases: [value: string | null, ms: number | null][] = [
  ["0", 0],
  [" 120 ", 120_000],
  ["Sun, 06 Nov 1994 08:49:37 GMT", 37_000],
  ["Sunday, 06-Nov-94 08:49:37 GMT", 37_000],
  ["Sun Nov  6 08:49:37 1994", 37_000],
  ["Sun, 06 Nov 1994 08:00:00 GMT", 0],
  ["Sun, 06 Nov 1994 08:49:37 PST", null],
  ["Sun, 99 Nov 1994 08:49:37 GMT", null],
  ["-1", null],
  ["1.5", null],
  ["1e3", null],
  ["soon", null],
  ["", null],
  [null, null],
];
test.each(cases)("%j waits %p ms", (value, ms) => {
  expect(parseRetryAfter(value, NOW)).toBe(ms);
});
