import { expect, test } from "bun:test";
import { type IdKind, PREFIXES, parseId, publicId, uuidTime } from "../../src/platform/ids.ts";

const UUID = "0192f3aa-bbcc-7dde-8eef-0123456789ab";
const HEX = "0192f3aabbcc7dde8eef0123456789ab";

test.each(Object.entries(PREFIXES) as [IdKind, string][])("a %s is shown as %s_… and read back", (kind, prefix) => {
  expect(publicId(kind, UUID)).toBe(`${prefix}_${HEX}`);
  expect(parseId(kind, `${prefix}_${HEX}`)).toBe(UUID);
});

test("no two kinds share a prefix", () => {
  expect(new Set(Object.values(PREFIXES)).size).toBe(Object.keys(PREFIXES).length);
});

test.each([
  ["another kind", `ep_${HEX}`],
  ["a bare UUID", UUID],
  ["no prefix", HEX],
  ["too short", `evt_${HEX.slice(1)}`],
  ["too long", `evt_${HEX}0`],
  ["upper case", `evt_${HEX.toUpperCase()}`],
  ["no hex", `evt_${HEX.slice(1)}g`],
  ["dashes", `evt_${UUID}`],
  ["trailing newline", `evt_${HEX}\n`],
  ["nothing", ""],
])("%s is no event id", (_, id) => {
  expect(parseId("event", id)).toBeNull();
});

test("a UUIDv7 tells when it was made", () => {
  const at = Date.UTC(2026, 10, 21, 20, 22, 0, 123);
  expect(uuidTime(Bun.randomUUIDv7("hex", at))).toBe(at);
});
