import { describe, expect, test } from "bun:test";
import { parseJson } from "../../src/platform/json.ts";
import { compileWatch } from "../../src/watching/compile.ts";
import { bodiesToKeep, watchInput } from "../../src/watching/watch.ts";

const LEAST = {
  name: "w",
  request: { url: "https://source.example/x" },
  schedule: { every: "30s" },
  fields: { f: "$.f" },
};

/** `pointer: message` of each fault. */
function faults(partial: unknown): string[] {
  const body = typeof partial === "object" && partial !== null ? { ...LEAST, ...partial } : partial;
  const result = watchInput.safeParse(body);
  return (result.error?.issues ?? []).map(({ path, message }) => `/${path.join("/")}: ${message}`);
}

test("the least watch gets its defaults", () => {
  expect(watchInput.parse(LEAST)).toEqual({
    ...LEAST,
    request: { method: "GET", url: "https://source.example/x", headers: {}, query: {}, body: null },
    secret_id: null,
    items: null,
    pagination: null,
    conditions: [],
    event_type: "watch.changed",
    endpoint_ids: [],
    emit_initial: false,
    missing_after: 2,
    format: "json",
    plugin: null,
    plugin_options: {},
    keep_bodies: null,
    redact: false,
  });
});

test("the contract's example is taken", () => {
  const example = `{
    "name": "Order 42",
    "request": { "method": "GET", "url": "https://erp.example.com/api/orders/42", "headers": {}, "query": {}, "body": null },
    "secret_id": "sec_1",
    "schedule": { "every": "30s" },
    "fields": { "status": "$.order.status", "total": { "path": "$.order.total", "tolerance": { "absolute": 0.01 } } },
    "conditions": [ { "field": "status", "op": "becomes", "value": "paid" } ],
    "event_type": "order.paid",
    "endpoint_ids": []
  }`;
  const compiled = compileWatch(watchInput.parse(JSON.parse(example)));
  expect(compiled.schedule).toEqual({ kind: "every", everyMs: 30_000 });
  expect(compiled.conditions.map(({ text }) => text)).toEqual(['status becomes "paid"']);
  expect(compiled.fields.map(({ rowKey, againstStated }) => [rowKey, againstStated])).toEqual([
    ["f:status", false],
    ["f:total", true],
  ]);
});

const taken: [name: string, partial: object][] = [
  ["items alone", { fields: {}, items: { path: "$.l[*]", key: "$.id", fields: { s: "$.s" } } }],
  ["seconds as a number", { schedule: { every: 90 } }],
  ["cron with a time zone", { schedule: { cron: "0 9 * * 1-5", timezone: "Europe/Vienna" } }],
  ["an adaptive schedule", { schedule: { every: "60s", adaptive: { min: "10s", max: "1h" } } }],
  [
    "every kind of pagination",
    { items: { path: "$.l[*]", key: "$.id", fields: { s: "$.s" } }, pagination: { type: "cursor", path: "$.next" } },
  ],
  [
    "a POST with a body",
    {
      request: {
        url: "http://a.example",
        method: "POST",
        body: { query: "{ a }" },
        query: { page: 1, tags: ["a", "b"] },
      },
    },
  ],
  ["the built-in sample", { request: { url: "deltahook://sample" } }],
  ["a chain of plugins", { plugin: ["a", "b"], plugin_options: { x: [1] } }],
  [
    "a big number in a condition",
    parseJson('{"conditions":[{"field":"f","op":"crosses_above","value":12345678901234567890}]}') as object,
  ],
  ["a null in a condition", { conditions: [{ field: "f", op: "becomes", value: null }] }],
  ["the dialect plus", { fields: { f: { path: "$.a.b^", dialect: "plus" } } }],
];
test.each(taken)("%s is taken", (_name, partial) => {
  expect(faults(partial)).toEqual([]);
  compileWatch(watchInput.parse({ ...LEAST, ...partial }));
});

describe("refused, with the place and the reason", () => {
  const ITEMS = { path: "$.l[*]", key: "$.id", fields: { s: "$.s" } };
  const refused: [partial: object, fault: string][] = [
    [{ colour: "red" }, '/: Unrecognized key: "colour"'],
    [{ fields: {} }, "/fields: name at least one field, or items"],
    [{ fields: { f: "$.a[" } }, "/fields/f: not a JSONPath: unclosed bracketed selection at position 4"],
    [{ fields: { f: { path: "$.a b" } } }, "at position 4"],
    [
      { fields: { f: { path: "$[?(@.a)]", dialect: "plus" } } },
      '/fields/f/path: not a JSONPath: filters and scripts are not available in the dialect "plus"',
    ],
    [{ fields: { f: `$${".a".repeat(600)}` } }, "at most 1000 characters"],
    [{ fields: JSON.parse('{"f":"$.f","__proto__":"$.g"}') }, "__proto__ cannot be used as a name"],
    [{ fields: { "a\nb": "$.a" } }, "/fields/a\nb: a name holds no control characters"],
    [{ fields: { f: 5 } }, "/fields/f: a field is a JSONPath, or an object"],
    [{ fields: { f: { path: "$.f", pth: 1 } } }, '/fields/f: Unrecognized key: "pth"'],
    [
      { fields: Object.fromEntries(Array.from({ length: 201 }, (_, i) => [`f${i}`, "$.f"])) },
      "/fields: at most 200 entries",
    ],
    [{ fields: { f: { path: "$.f", tolerance: {} } } }, '/fields/f/tolerance: give "absolute"'],
    [{ fields: { f: { path: "$.f", tolerance: { absolute: -1 } } } }, "/fields/f/tolerance/absolute"],
    [{ fields: { f: { path: "$.f", missing_after: 0 } } }, "/fields/f/missing_after"],
    [{ items: { ...ITEMS, fields: { f: "$.s" } } }, '/items/fields/f: "f" is already a name in fields'],
    [{ items: { ...ITEMS, fields: {} } }, "/items/fields: name at least one field"],
    [{ items: { ...ITEMS, key: "id" } }, "/items/key: not a JSONPath"],
    [{ pagination: { type: "link" } }, "/pagination: pages are walked to collect items"],
    [{ items: ITEMS, pagination: { type: "cursor" } }, "/pagination/path"],
    [{ items: ITEMS, pagination: { type: "scroll" } }, "/pagination/type"],
    [{ conditions: [{ field: "g", op: "changes" }] }, '/conditions/0/field: no field is named "g"; there are: f'],
    [{ conditions: [{ field: "f", op: "explodes" }] }, "/conditions/0/op"],
    [{ conditions: [{ field: "f", op: "changes", value: 1 }] }, '/conditions/0/value: "changes" takes no value'],
    [{ conditions: [{ field: "f", op: "becomes" }] }, '/conditions/0/value: "becomes" needs a value'],
    [{ conditions: [{ field: "f", op: "crosses_above", value: "1" }] }, "/conditions/0/value"],
    [{ conditions: [{ field: "f", op: "increases_by", value: 0 }] }, "a number above 0"],
    [
      { conditions: [{ field: "f", op: "matches", value: "(a" }] },
      "/conditions/0/value: not a pattern: a group that is not closed at position 2",
    ],
    [
      { fields: { f: { path: "$.f", redact: true } }, conditions: [{ field: "f", op: "becomes", value: 1 }] },
      "/conditions/0/op",
    ],
    [{ redact: true, fields: { f: { path: "$.f", tolerance: { absolute: 1 } } } }, "/fields/f/tolerance"],
    [{ redact: true, keep_bodies: 5 }, "/keep_bodies: must be 0"],
    [{ schedule: { every: "500ms" } }, "/schedule/every: must be a duration from 1s to 30d"],
    [{ schedule: { every: "31d" } }, "/schedule/every"],
    [{ schedule: {} }, '/schedule: give either "every" or "cron"'],
    [{ schedule: { every: "1m", cron: "* * * * *" } }, '/schedule: give either "every" or "cron"'],
    [{ schedule: { cron: "* * *" } }, "/schedule/cron: not a cron expression of 5 fields"],
    [{ schedule: { cron: "* * * * *", timezone: "Vienna" } }, "/schedule/timezone"],
    [{ schedule: { every: "1m", adaptive: { min: "1h", max: "1m" } } }, "/schedule/adaptive/min"],
    [{ event_type: "watch.failing" }, "/event_type: this name is kept"],
    [{ event_type: "endpoint.paused" }, "/event_type: this name is kept"],
    [{ event_type: "a b" }, "/event_type"],
    [{ request: { url: "ftp://a.example" } }, "/request/url: must be an http or https address"],
    [{ request: { url: "https://user:pass@a.example" } }, "/request/url: credentials in the address"],
    [{ request: { url: "https://a.example", headers: { Authorization: "Bearer x" } } }, "create a secret"],
    [{ request: { url: "https://a.example", headers: { host: "x" } } }, "set by DeltaHook itself"],
    [{ request: { url: "https://a.example", headers: { "x-a": "a\r\nb" } } }, "no line breaks"],
    [{ request: { url: "https://a.example", body: "x" } }, "/request/body: a GET request has no body"],
    [{ request: { url: "https://a.example", method: "DELETE" } }, "/request/method"],
    [{ name: "" }, "/name"],
  ];
  test.each(refused)("%j", (partial, fault) => {
    expect(faults(partial).join("\n")).toContain(fault);
  });
});

test("bodies are kept for backtests, unless they would show a redacted field", () => {
  const keep = (partial: object) => bodiesToKeep(watchInput.parse({ ...LEAST, ...partial }));
  expect(keep({})).toBe(20);
  expect(keep({ keep_bodies: 3 })).toBe(3);
  expect(keep({ redact: true })).toBe(0);
  expect(keep({ fields: { f: { path: "$.f", redact: true } } })).toBe(0);
});
