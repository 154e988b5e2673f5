import { expect, test } from "bun:test";
import { nearest } from "../../src/platform/nearest.ts";

const known = ["limit", "cursor", "event_types", "PORT"];
const cases: [name: string, found: string | null][] = [
  ["limt", "limit"],
  ["limit", "limit"],
  ["event_type", "event_types"],
  ["eventtypes", "event_types"],
  ["PROT", "PORT"],
  ["colour", null],
  ["", null],
];

for (const [name, found] of cases) {
  test(`"${name}" ${found === null ? "is like none of them" : `was meant to be "${found}"`}`, () => {
    expect(nearest(name, known)).toBe(found);
  });
}
test("nothing is near when nothing is known", () => expect(nearest("x", [])).toBeNull());
