import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { CONDITION_OPS } from "../../src/watching/conditions.ts";
import { FORMATS, watchInput } from "../../src/watching/watch.ts";

const PAGE = readFileSync(new URL("../../docs/watching.md", import.meta.url), "utf8");
const LEAST = { name: "Test", request: { url: "https://example.com" }, schedule: { every: "30s" } };

const snippets = [...PAGE.matchAll(/```json\n(.*?)```/gs)].map(([, text = ""], index) => [index + 1, text] as const);

test("there are snippets to read", () => expect(snippets.length).toBeGreaterThan(10));

test.each(snippets)("snippet %d is a watch, or a part of one", (_number, text) => {
  const read = watchInput.safeParse({ ...LEAST, ...JSON.parse(text) });
  expect(read.error?.issues ?? []).toEqual([]);
});

test.each([...CONDITION_OPS, ...FORMATS])("%s is told of", (word) => expect(PAGE.toLowerCase()).toContain(word));
