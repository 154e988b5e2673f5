import { describe, expect, test } from "bun:test";
import { type Json, MAX_REPLY_DEPTH, parseJson, stringifyJson } from "../../src/platform/json.ts";
import { eventData } from "../../src/watching/event_data.ts";
import { judge } from "../../src/watching/judge.ts";
import { apply, Replay, tell, watchOf } from "./replay.ts";

const ITEMS = { path: "$.l[*]", key: "$.id", fields: { s: "$.s" }, removed_after: 1 };
const list = (count: number, s = 0): Json => ({ l: Array.from({ length: count }, (_, id) => ({ id, s })) });

describe("what is recorded", () => {
  test("nothing, for an unchanged poll", () => {
    const replay = new Replay({ fields: { f: "$.f" }, items: ITEMS });
    replay.poll({ f: 1, ...(list(3) as object) });
    const again = replay.poll({ f: 1, ...(list(3) as object) });
    expect(again.state).toEqual({ upserts: [], deletes: [] });
    expect(again).toMatchObject({ outcome: "unchanged", moved: false, changes: 0, problem: null });
  });

  test("only the rows that differ", () => {
    const replay = new Replay({ fields: { f: "$.f", g: "$.g" }, items: ITEMS });
    replay.poll({ f: 1, g: 1, ...(list(5) as object) });
    const l = [
      { id: 0, s: 0 },
      { id: 1, s: 9 },
      { id: 2, s: 0 },
      { id: 3, s: 0 },
      { id: 7, s: 0 },
    ];
    const { state, changes } = replay.poll({ f: 1, g: 2, l });
    expect(state.upserts.map(({ key }) => key)).toEqual(["f:g", "i:1", "i:7"]);
    expect(state.deletes).toEqual(["i:4"]);
    expect(changes).toBe(4);
  });

  test("a difference that the conditions keep back is seen, noted and not stated", () => {
    const replay = new Replay({ fields: { f: "$.f" }, conditions: [{ field: "f", op: "becomes", value: "paid" }] });
    replay.poll({ f: "a" });
    const verdict = replay.poll({ f: "b" });
    expect(verdict).toMatchObject({ outcome: "unchanged", changes: 0, moved: true });
    expect(verdict.notes).toEqual(['"f" changed, kept back by the conditions: f becomes "paid"']);
    expect(replay.state.get("f:f")).toMatchObject({ seen: { v: "b" }, stated: { v: "a" } });
  });

  test("the state that is handed in is never altered", () => {
    const replay = new Replay({ fields: { f: "$.f" }, items: ITEMS });
    replay.poll({ f: 1, ...(list(3) as object) });
    const before = stringifyJson([...replay.state]);
    const input = { watch: replay.watch, state: replay.state, complete: true, hash: String };
    judge({ ...input, document: { f: 2, ...(list(2, 5) as object) } });
    expect(stringifyJson([...replay.state])).toBe(before);
  });
});

describe("a watch that is changed", () => {
  test("a new field takes its reference silently while the others go on", () => {
    const replay = new Replay({ fields: { a: "$.a" } });
    replay.poll({ a: 1, b: 1 });
    replay.watch = watchOf({ fields: { a: "$.a", b: "$.b" } });
    const verdict = replay.poll({ a: 2, b: 2 });
    expect(tell(verdict)).toBe("a changed 1 -> 2");
    expect(verdict.notes).toEqual(['field "b": first reference taken']);
    expect(tell(replay.poll({ a: 2, b: 3 }))).toBe("b changed 2 -> 3");
  });

  test("another path takes a new reference for that field alone, and says so", () => {
    const replay = new Replay({ fields: { a: "$.a", b: "$.b" } });
    replay.poll({ a: 1, b: 1, c: 5 });
    replay.watch = watchOf({ fields: { a: "$.c", b: "$.b" } });
    const verdict = replay.poll({ a: 2, b: 2, c: 6 });
    expect(tell(verdict)).toBe("b changed 1 -> 2");
    expect(verdict.notes[0]).toContain('field "a": new reference taken');
  });

  test("another request takes new references for all; another name, schedule or tolerance for none", () => {
    const replay = new Replay({ fields: { a: "$.a" }, items: ITEMS });
    replay.poll({ a: 1, ...(list(2) as object) });
    replay.watch = watchOf({
      fields: { a: { path: "$.a", tolerance: { absolute: 1 } } },
      items: ITEMS,
      name: "x",
      schedule: { every: 5 },
    });
    expect(tell(replay.poll({ a: 9, ...(list(2) as object) }))).toBe("a changed 1 -> 9");
    replay.watch = watchOf({ fields: { a: "$.a" }, items: ITEMS, request: { url: "https://source.example/y" } });
    const verdict = replay.poll({ a: 5, ...(list(3, 7) as object) });
    expect(verdict.outcome).toBe("unchanged");
    expect(verdict.notes).toHaveLength(2);
    expect(tell(replay.poll({ a: 6, ...(list(3, 7) as object) }))).toBe("a changed 5 -> 6");
  });

  test("a field added to items, or re-pathed, is taken silently; the others go on", () => {
    const replay = new Replay({ items: ITEMS });
    replay.poll({ l: [{ id: 1, s: 1, t: 1 }] });
    replay.watch = watchOf({ items: { ...ITEMS, fields: { s: "$.s", t: "$.t" } } });
    expect(tell(replay.poll({ l: [{ id: 1, s: 2, t: 2 }] }))).toBe("item 1 (s changed 1 -> 2)");
    expect(tell(replay.poll({ l: [{ id: 1, s: 2, t: 3 }] }))).toBe("item 1 (t changed 2 -> 3)");
    replay.watch = watchOf({ items: ITEMS });
    expect(tell(replay.poll({ l: [{ id: 1, s: 2, t: 4 }] }))).toBe("unchanged");
    expect(replay.state.get("i:1")?.seen).toEqual({ v: { s: 2 } });
  });

  test("rows of what a watch no longer has are deleted", () => {
    const replay = new Replay({ fields: { a: "$.a", b: "$.b" }, items: ITEMS });
    replay.poll({ a: 1, b: 1, ...(list(2) as object) });
    replay.watch = watchOf({ fields: { a: "$.a" }, items: ITEMS });
    replay.poll({ a: 1, b: 1, ...(list(2) as object) });
    expect([...replay.state.keys()].sort()).toEqual(["c:items", "f:a", "i:0", "i:1"]);
    replay.watch = watchOf({ fields: { a: "$.a" } });
    replay.poll({ a: 1 });
    expect([...replay.state.keys()]).toEqual(["f:a"]);
  });
});

describe("a held poll", () => {
  test("carries what would be stated; confirming and discarding both take its values", () => {
    const replay = new Replay({ fields: { f: "$.f" }, items: ITEMS });
    replay.poll({ f: 1, ...(list(4) as object) });
    const held = replay.poll({ f: 2, ...(list(1) as object) });
    expect(held.outcome).toBe("held");
    expect(held.problem).toBe("3 of 4 items are gone, more than half: confirm to state them as removed, or discard");
    expect(tell(held)).toBe("held: f changed 1 -> 2; removed 1; removed 2; removed 3");
    replay.state = apply(replay.state, held.state);
    expect(tell(replay.poll({ f: 2, ...(list(1) as object) }))).toBe("unchanged");
  });

  test("more than 1,000 changed items are held, 1,000 are not, together or each", () => {
    for (const events of ["each", "together"]) {
      const replay = new Replay({ items: { ...ITEMS, events } });
      replay.poll(list(1_001));
      expect(replay.poll(list(1_001, 1)).outcome).toBe("held");
      const l = (list(1_001, 1) as { l: Json[] }).l.with(0, { id: 0, s: 0 });
      expect(replay.poll({ l }).outcome).toBe("changed");
    }
  });
});

describe("pages", () => {
  const page = (...ids: number[]): Json => ({ l: ids.map((id) => ({ id, s: 0 })) });

  test("removals are only found in a complete walk", () => {
    const replay = new Replay({ items: ITEMS });
    replay.poll(page(1, 2), { pages: [page(3, 4)] });
    expect(tell(replay.poll(page(1, 2), { complete: false }))).toBe("unchanged");
    expect(tell(replay.poll(page(1, 2, 5), { complete: false }))).toBe("added 5");
    expect(tell(replay.poll(page(1, 2), { pages: [page(3, 5)] }))).toBe("removed 4");
  });

  test("an item that slid onto the next page during the walk is one item, unless it differs", () => {
    const replay = new Replay({ items: ITEMS });
    expect(replay.poll(page(1, 2), { pages: [page(2, 3)] }).outcome).toBe("baseline");
    expect(replay.state.size).toBe(4);
    const other = { l: [{ id: 2, s: 1 }] };
    expect(replay.poll(page(1, 2), { pages: [other] })).toMatchObject({
      outcome: "failed",
      problem: expect.stringContaining("page 2"),
    });
    expect(replay.poll(page(1), { pages: [page(2, 2)] }).outcome).toBe("failed");
  });

  test("an incomplete first walk is no reference, except for a window", () => {
    const incomplete = { complete: false };
    expect(new Replay({ items: ITEMS }).poll(page(1), incomplete)).toMatchObject({
      outcome: "failed",
      problem: expect.stringContaining("max_pages"),
    });
    expect(new Replay({ items: { ...ITEMS, window: true } }).poll(page(1), incomplete).outcome).toBe("baseline");
  });
});

test("redacted values are compared, and appear nowhere", () => {
  const replay = new Replay({
    fields: { f: { path: "$.f", redact: true }, g: "$.g" },
    items: { ...ITEMS, fields: { s: { path: "$.s", redact: true } } },
  });
  const verdicts = [
    replay.poll({ f: "topsecret1", g: 1, l: [{ id: 1, s: "topsecret3" }] }),
    replay.poll({ f: "topsecret1", g: 1, l: [{ id: 1, s: "topsecret3" }] }),
    replay.poll({ f: "topsecret2", g: 1, l: [{ id: 1, s: "topsecret4" }] }),
  ];
  expect(verdicts.map(({ outcome }) => outcome)).toEqual(["baseline", "unchanged", "changed"]);
  expect(verdicts[2]?.events[0]?.changes[0]).toMatchObject({
    kind: "changed",
    current: { redacted: expect.any(String) },
  });
  expect(stringifyJson([...verdicts, ...replay.state])).not.toContain("topsecret");
});

test("a field that cannot be read keeps its last known value, and says why", () => {
  const tooMany = { f: `$.l[${Array(490).fill("*").join()}]` };
  const l = Array<Json>(2_100).fill(0);
  const replay = new Replay({ fields: { ...tooMany, g: "$.g" } });
  replay.poll({ l: [1], g: 1 });
  const before = replay.state.get("f:f");
  const verdict = replay.poll({ l, g: 2 });
  expect(tell(verdict)).toBe("g changed 1 -> 2");
  expect(verdict.problem).toBe('field "f" could not be read: the path matches more than 1000000 values');
  expect(replay.state.get("f:f")).toEqual(before);
  expect(new Replay({ fields: tooMany }).poll({ l })).toMatchObject({ outcome: "failed", state: { upserts: [] } });
});

describe("large collections", () => {
  test("50,000 items: one change costs one row and little time", () => {
    const replay = new Replay({ items: ITEMS });
    replay.poll(list(50_000));
    const l = (list(50_000) as { l: Json[] }).l.with(7, { id: 7, s: 1 });
    const began = performance.now();
    const { state, events } = replay.poll({ l });
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(state.upserts.map(({ key }) => key)).toEqual(["i:7"]);
    expect(events).toHaveLength(1);
  });

  test("a window remembers a bounded number of items, the latest", () => {
    const replay = new Replay({ items: { ...ITEMS, window: true } });
    for (let first = 0; first < 3_000; first += 100) {
      replay.poll({ l: Array.from({ length: 100 }, (_, i) => ({ id: first + i, s: 0 })) });
    }
    expect(replay.state.size).toBe(1 + 100 + 1_000);
    expect(replay.state.has("i:2000")).toBe(true);
    expect(replay.state.has("i:100")).toBe(false);
  });
});

test("the deepest value that a source may answer is read back from state and events", () => {
  const deep = (leaf: string) => `${"[".repeat(MAX_REPLY_DEPTH)}${leaf}${"]".repeat(MAX_REPLY_DEPTH)}`;
  const replay = new Replay({ fields: { one: "$", all: "$[*]" } });
  replay.poll(parseJson(deep("1"), MAX_REPLY_DEPTH));
  const verdict = replay.poll(parseJson(deep("2"), MAX_REPLY_DEPTH));
  expect(verdict).toMatchObject({ outcome: "changed", changes: 2, problem: null });
  expect(() => parseJson(stringifyJson([...replay.state, verdict]))).not.toThrow();
});

test("an event's data is as the contract shows it", () => {
  const context = {
    watch: { id: "watch_1", name: "Order 42" },
    sequence: 7,
    window: { after: "2026-11-21T20:21:30.100Z", until: "2026-11-21T20:22:00.100Z" },
  };
  const replay = new Replay({ fields: { status: "$.order.status" }, items: ITEMS });
  replay.poll(parseJson('{"order":{"status":"pending"},"l":[]}'));
  const { events } = replay.poll(parseJson('{"order":{"status":"paid"},"l":[{"id":12345678901234567890,"s":1.50}]}'));
  const data = events.map((draft) => stringifyJson(eventData(draft, context)));
  const head = `"watch":{"id":"watch_1","name":"Order 42"},"sequence":7,"window":${JSON.stringify(context.window)}`;
  expect(data).toEqual([
    `{${head},"changes":[{"field":"status","path":"$.order.status","kind":"changed","previous":"pending","current":"paid"}]}`,
    `{${head},"changes":[{"field":"s","path":"$.s","kind":"added","current":1.5}],"item":{"key":12345678901234567890,"kind":"added","current":{"s":1.5}}}`,
  ]);
});
