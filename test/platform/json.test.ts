import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  canonicalJson,
  compareNumbers,
  decimalOf,
  ExactNumber,
  equalJson,
  type Json,
  JsonError,
  parseJson,
  sanitiseJson,
  stringifyJson,
} from "../../src/platform/json.ts";

describe("parseJson keeps every digit", () => {
  const kept = [
    "12345678901234567890",
    "-12345678901234567890",
    "9007199254740993",
    "0.12345678901234567891",
    "1234567890.12345678901",
    "1e400",
    "-1e-400",
    "123456789012345678e300",
  ];
  for (const text of kept) {
    test(text, () => {
      const value = parseJson(`{"n":[${text}]}`);
      expect(stringifyJson(value)).toBe(`{"n":[${text}]}`);
      expect(equalJson(value, parseJson(stringifyJson(value)))).toBe(true);
    });
  }

  test("what a double holds stays a number", () => {
    const text = "[1, 1.0, 1e0, -0, 0.1, 9007199254740992, 19.990000000000002, 1e100, 5e-324, 100000000000000000000]";
    expect(parseJson(text)).toEqual([1, 1, 1, -0, 0.1, 9007199254740992, 19.990000000000002, 1e100, 5e-324, 1e20]);
  });

  test("an exact number has nothing to descend into", () => {
    const value = parseJson("12345678901234567890");
    expect(value).toBeInstanceOf(ExactNumber);
    expect(Object.entries(value as object)).toEqual([]);
  });

  test("digits inside strings are left alone", () => {
    expect(parseJson('{"id":"12345678901234567890","n":12345678901234567890}')).toMatchObject({
      id: "12345678901234567890",
    });
  });

  test("trailing zeros beyond a double's digits are no difference", () => {
    expect(parseJson("1.00000000000000000000")).toBe(1);
  });

  test.each(["1e10001", "1e99999999999999999999", `1${"0".repeat(20_000)}1`, `0.${"3".repeat(5_000)}`])(
    "a number that nobody could compare in time is refused (%#)",
    (text) => expect(() => parseJson(`[${text}]`)).toThrow("too many digits"),
  );
});

describe("parseJson and hostile texts", () => {
  test.each(["[", '{"a":'])("20,000 levels of %s are refused, with and without big numbers", (open) => {
    for (const core of ["1", "12345678901234567890"]) {
      const text = open.repeat(20_000) + core + (open === "[" ? "]" : "}").repeat(20_000);
      expect(() => parseJson(text)).toThrow("nested deeper than 512 levels");
    }
  });

  test("512 levels are taken, and brackets in strings do not count", () => {
    expect(() => parseJson("[".repeat(512) + "]".repeat(512))).not.toThrow();
    expect(() => parseJson("[".repeat(513) + "]".repeat(513))).toThrow(JsonError);
    const brackets = '\\"[{'.repeat(2_000);
    expect(parseJson(`["${brackets}"]`)).toEqual(['"[{'.repeat(2_000)]);
  });

  test.each(['{"__proto__":{"x":1}}', '{"__proto__":{"x":12345678901234567890}}'])("%s stays plain data", (text) => {
    const value = parseJson(text);
    expect(Object.keys(value as object)).toEqual(["__proto__"]);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
    expect(stringifyJson(value)).toBe(text);
  });

  const faults: [text: string, position: number, message: string][] = [
    ["", 0, "the text is empty"],
    ["  \n", 3, "the text is empty"],
    ['{"a": [1,2,}', 11, 'expected a value at position 11, found "}"'],
    ['{"a": [1,2', 10, "ends too early, after 10 characters"],
    ['{"a": "b', 8, "ends too early, after 8 characters"],
    ['{"a"', 4, "ends too early"],
    ['{"a":', 5, "ends too early"],
    ['{"a":1,}', 7, "expected a name in double quotes"],
    ["{a:1}", 1, "expected a name in double quotes"],
    ['{"a" 1}', 5, 'expected ":"'],
    ["[1 2]", 3, 'expected "," or "]"'],
    ["[1,]", 3, "expected a value"],
    ["[01]", 1, "expected a value"],
    ["[tru]", 1, "expected a value"],
    ["nul", 3, "ends too early"],
    ["[-1.", 4, "ends too early"],
    ['["a\\', 4, "ends too early"],
    ['["a\\u00', 7, "ends too early"],
    ["nil", 0, "expected a value"],
    ['["a\nb"]', 3, "expected the rest of a string"],
    ['["\\x"]', 2, "expected the rest of a string"],
    ["{} x", 3, "expected the end of the text"],
    ["<html>", 0, 'expected a value at position 0, found "<"'],
  ];
  test.each(faults)("%j is refused at position %d", (text, position, message) => {
    const error = (() => {
      try {
        return parseJson(text);
      } catch (thrown) {
        return thrown;
      }
    })();
    expect(error).toBeInstanceOf(JsonError);
    expect(error).toMatchObject({ position, message: expect.stringContaining(message) });
  });

  test("a cut text names the place of the cut", () => {
    fc.assert(
      fc.property(fc.object(), fc.nat(), (value, cut) => {
        const text = JSON.stringify(value);
        const end = cut % text.length;
        expect(() => parseJson(text.slice(0, end))).toThrow(end === 0 ? "empty" : `after ${end} characters`);
      }),
    );
  });
});

describe("equalJson", () => {
  const equal: [string, string][] = [
    ["1", "1.0"],
    ["1", "1e0"],
    ["0", "-0"],
    ["100", "1E2"],
    ["12345678901234567890", "12345678901234567890.0"],
    ["12345678901234567890", "1234567890123456789e1"],
    ['{"a":1,"b":[1,2]}', '{"b":[1.0,2],"a":1}'],
    ['{"__proto__":1}', '{"__proto__":1}'],
    ['"\\u00e9"', '"é"'],
  ];
  test.each(equal)("%s equals %s", (a, b) => {
    expect(equalJson(parseJson(a), parseJson(b))).toBe(true);
    expect(canonicalJson(parseJson(a))).toBe(canonicalJson(parseJson(b)));
  });

  const different: [string, string][] = [
    ["12345678901234567890", "12345678901234567891"],
    ["12345678901234567890", "12345678901234567000"],
    ["1e400", "1e401"],
    ['"1"', "1"],
    ["[1,2]", "[2,1]"],
    ["[]", "{}"],
    ["[]", "null"],
    ["{}", "12345678901234567890"],
    ['{"a":null}', "{}"],
    ['{"__proto__":{}}', "{}"],
    ['{"__proto__":{}}', '{"a":{}}'],
    ["false", "0"],
    ['"é"', '"e\\u0301"'],
  ];
  test.each(different)("%s differs from %s", (a, b) => {
    expect(equalJson(parseJson(a), parseJson(b))).toBe(false);
    expect(equalJson(parseJson(b), parseJson(a))).toBe(false);
    expect(canonicalJson(parseJson(a))).not.toBe(canonicalJson(parseJson(b)));
  });

  test("agrees with canonicalJson on any two values", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const [left, right] = [a as Json, b as Json];
        expect(equalJson(left, right)).toBe(canonicalJson(left) === canonicalJson(right));
        expect(equalJson(left, JSON.parse(JSON.stringify(left)))).toBe(true);
      }),
    );
  });

  test("values made too deep by a plugin are refused, not recursed into", () => {
    const nest = () => Array.from({ length: 100_000 }).reduce<Json>((inner) => [inner], 1);
    expect(() => equalJson(nest(), nest())).toThrow("nested deeper");
    expect(() => canonicalJson(nest())).toThrow("nested deeper");
    expect(() => sanitiseJson(nest())).toThrow("nested deeper");
  });
});

test("numbers compare by exact value", () => {
  const rising = [
    "-1e500",
    "-12345678901234567891",
    "-12345678901234567890",
    "-1",
    "0",
    "1e-500",
    "0.1",
    "9007199254740992",
    "9007199254740993",
    "1e500",
  ];
  const numbers = rising.map((text) => parseJson(text) as number | ExactNumber);
  for (const [i, a] of numbers.entries()) {
    for (const [j, b] of numbers.entries()) expect(Math.sign(compareNumbers(a, b))).toBe(Math.sign(i - j));
  }
});

test("a double's decimal value is the one that it is written as", () => {
  expect(decimalOf(0.1)).toEqual({ units: 1n, exponent: -1 });
  expect(decimalOf(-1e21)).toEqual({ units: -1n, exponent: 21 });
});

describe("sanitiseJson", () => {
  test("replaces what Postgres refuses, in keys too", () => {
    const dirty = { "a\u0000": ["x\u0000y", "\ud800", "ok\udc00"], fine: "😀" };
    expect(sanitiseJson(dirty)).toEqual({ "a\ufffd": ["x\ufffdy", "\ufffd", "ok\ufffd"], fine: "😀" });
  });

  test("gives clean values back as they are, exact numbers and __proto__ included", () => {
    for (const text of ['{"a":[1,{"b":"c"}]}', "[12345678901234567890]"]) {
      const value = parseJson(text);
      expect(sanitiseJson(value)).toBe(value);
    }
    const odd = sanitiseJson(parseJson('{"__proto__":"\\u0000"}'));
    expect(stringifyJson(odd)).toBe('{"__proto__":"\ufffd"}');
  });
});
