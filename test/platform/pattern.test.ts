import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { compilePattern, isPatternFault, type Pattern } from "../../src/platform/pattern.ts";

function pattern(source: string): Pattern {
  const compiled = compilePattern(source);
  if (isPatternFault(compiled)) throw new Error(compiled.message);
  return compiled;
}

const sources = [
  "paid",
  "^paid$",
  "a|b|cd",
  "(a|b)*c",
  "a+b?",
  "[0-9]{2,4}",
  "[^a-c]+",
  "\\d+\\.\\d{2}",
  "^(?:ab){2}$",
  "\\p{Lu}\\w*",
  "x*",
  "",
  "a{0}b",
  "(a*)*",
  "^$",
  "a.c",
  "[\\]a-]+",
  "\\s-\\S",
  "(?:^a|b$)",
];

test.each(sources)("%s matches what a RegExp matches", (source) => {
  const text = fc.oneof(
    fc.string({ unit: fc.constantFrom(..."abcdpix01239.- ]Aé😀\n") }),
    fc.constantFrom("paid", "abab", "12.50", "cd"),
  );
  const mine = pattern(source);
  const anywhere = new RegExp(source, "u");
  const whole = new RegExp(`^(?:${source})$`, "u");
  fc.assert(
    fc.property(text, (sample) => {
      expect(mine.anywhere(sample)).toBe(anywhere.test(sample));
      expect(mine.whole(sample)).toBe(whole.test(sample));
    }),
  );
});

test("a leading (?i) ignores case", () => {
  expect(pattern("(?i)^paid [a-z]").anywhere("PAID X")).toBe(true);
});

describe("what freezes a backtracking engine", () => {
  test.each(["(a+)+b", "(a|aa)*b", "(a|a)*b", "^(.*)*x$", "(a?){30}a{30}b"])("%s takes no time", (source) => {
    const began = performance.now();
    expect(pattern(source).anywhere("a".repeat(5_000))).toBe(false);
    expect(performance.now() - began).toBeLessThan(1_500);
  });
});

const faults: [source: string, position: number][] = [
  ["(a", 2],
  ["a)", 1],
  ["*a", 0],
  ["a[", 1],
  ["a{3,1}", 6],
  ["(?=a)", 1],
  ["a\\1", 1],
  ["[z-a]", 0],
  ["a\\", 1],
];
test.each(faults)("%s is refused at position %d", (source, position) => {
  expect(compilePattern(source)).toMatchObject({ position });
});

test("a pattern that grows beyond reason is refused", () => {
  expect(compilePattern("((a{100}){100}){100}")).toMatchObject({ message: expect.stringContaining("too large") });
});
