import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { elementSlices, memberSlices, type Slice } from "../../src/platform/json_slices.ts";

const cut = (text: string, slice: Slice | undefined) => slice && text.slice(slice.start, slice.end);

test("a member's value is kept byte for byte", () => {
  const data = '{ "z": 1.0, "id": 12345678901234567890,\n"z": 2, "s": "\\u00e9 \\\\\\" }" }';
  const text = ` {"type":"a.b" , "data" :${data} ,"key":null}`;
  const members = memberSlices(text);
  expect(cut(text, members.get("data"))).toBe(data);
  expect(cut(text, members.get("type"))).toBe('"a.b"');
  expect(cut(text, members.get("key"))).toBe("null");
});

test("of a repeated member the last counts, names are unescaped, __proto__ is a name", () => {
  const text = '{"data":1,"d\\u0061ta":2.50,"__proto__":{"x":1},"":[]}';
  const members = memberSlices(text);
  expect(cut(text, members.get("data"))).toBe("2.50");
  expect(cut(text, members.get("__proto__"))).toBe('{"x":1}');
  expect(cut(text, members.get(""))).toBe("[]");
});

test("members of an element of a member, by absolute positions", () => {
  const text = '{"events":[ {"type":"a","data":1.0} , {"data":"]}"}, 7 ]}';
  const events = elementSlices(text, memberSlices(text).get("events")?.start);
  const data = events.slice(0, 2).map(({ start }) => cut(text, memberSlices(text, start).get("data")));
  expect(data).toEqual(["1.0", '"]}"']);
  expect(cut(text, events[2])).toBe("7");
});

describe("slices read back as what JSON.parse gives", () => {
  const spaced = fc
    .tuple(fc.jsonValue(), fc.constantFrom(0, 1, "\t", "\n\r "))
    .map(([value, indent]) => [value, JSON.stringify(value, null, indent)] as const);

  test("for objects", () => {
    const objects = fc.tuple(fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue()), fc.constantFrom(0, 2, "\t"));
    fc.assert(
      fc.property(objects, ([object, indent]) => {
        const text = JSON.stringify(object, null, indent);
        const members = memberSlices(text);
        const parsed = JSON.parse(text);
        expect([...members.keys()].sort()).toEqual(Object.keys(parsed).sort());
        for (const [name, slice] of members)
          expect(JSON.parse(text.slice(slice.start, slice.end))).toEqual(parsed[name]);
      }),
      { numRuns: 500 },
    );
  });

  test("for arrays", () => {
    fc.assert(
      fc.property(fc.array(spaced), (elements) => {
        const text = `[${elements.map(([, written]) => written).join(" , ")}]`;
        expect(elementSlices(text).map((slice) => cut(text, slice))).toEqual(
          elements.map(([, written]) => written.trim()),
        );
      }),
      { numRuns: 500 },
    );
  });
});

test("8 MiB in 500 events take well under a second", () => {
  const event = `{"type":"a.b","data":{"text":"${'\\"\\\\x'.repeat(3_300)}","list":[${"[1,2],".repeat(200)}0]}}`;
  const text = `{"events":[${Array(500).fill(event).join(",")}]}`;
  expect(text.length).toBeGreaterThan(8 * 2 ** 20);
  const began = performance.now();
  const events = elementSlices(text, memberSlices(text).get("events")?.start);
  for (const { start } of events) expect(memberSlices(text, start).size).toBe(2);
  expect(performance.now() - began).toBeLessThan(1_000);
});

test("quotes behind long runs of backslashes stay linear", () => {
  const text = JSON.stringify({ a: "\\".repeat(500_000), b: '\\"'.repeat(200_000) });
  const began = performance.now();
  expect(memberSlices(text).size).toBe(2);
  expect(performance.now() - began).toBeLessThan(500);
});
