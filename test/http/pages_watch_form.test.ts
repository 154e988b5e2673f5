import { describe, expect, test } from "bun:test";
import { formOfWatch, placeOf, watchBodyOf, watchFormOf, wordedAs } from "../../src/http/pages/watch_form.ts";
import type { AppError } from "../../src/platform/errors.ts";
import { parseJson, stringifyJson } from "../../src/platform/json.ts";
import { type WatchInput, watchInput } from "../../src/watching/watch.ts";

const source = "https://a.example/b";

test("lines become fields, conditions and endpoints; the name is the address", () => {
  const body = watchBodyOf(
    watchFormOf({
      source,
      every: "30s",
      fields: 'status = $.a.status\r\n\r\n total=$.total {"tolerance": {"percent": 5}}',
      conditions: 'status becomes paid\ntotal crosses_above 12345678901234567890\n"of two words" changes',
      ep_1: "on",
    }),
  );
  expect(body).toMatchObject({
    name: "a.example/b",
    schedule: { every: "30s" },
    fields: { status: "$.a.status", total: { path: "$.total", tolerance: { percent: 5 } } },
    endpoint_ids: ["ep_1"],
  });
  expect(stringifyJson(body.conditions)).toBe(
    '[{"field":"status","op":"becomes","value":"paid"},{"field":"total","op":"crosses_above","value":12345678901234567890},{"field":"of two words","op":"changes"}]',
  );
});

test("an empty form says nothing but the defaults", () => {
  const body = watchBodyOf(watchFormOf({ source, fields: "a = $.a" }));
  expect(watchInput.parse(body)).toEqual(
    watchInput.parse({
      name: "a.example/b",
      request: { url: source },
      schedule: { every: "1m" },
      fields: { a: "$.a" },
    }),
  );
});

test("five words are a cron line", () => {
  const form = watchFormOf({ every: "0 9 * * 1-5", timezone: "Europe/Berlin" });
  expect(watchBodyOf(form).schedule).toEqual({ cron: "0 9 * * 1-5", timezone: "Europe/Berlin" });
});

for (const [name, fields, place] of [
  ["a line without a path", { fields: "status" }, "/fields"],
  ["a name twice", { fields: "a = $.a\na = $.b" }, "/fields"],
  ["a condition of one word", { conditions: "status" }, "/conditions"],
  ["an element's line without a path", { items_path: "$[*]", items_fields: "x = y" }, "/items_fields"],
  ["a header without a colon", { headers: "accept" }, "/headers"],
  ["a parameter without a value", { query: "limit" }, "/query"],
  ["a body that is not JSON", { body: "{" }, "/body"],
  ["options that are not JSON", { plugin_options: "a" }, "/plugin_options"],
] as const) {
  test(`refused at its place: ${name}`, () => {
    try {
      watchBodyOf(watchFormOf({ source, ...fields }));
      throw new Error("nothing was thrown");
    } catch (error) {
      expect((error as AppError).faults[0]?.pointer).toBe(place);
    }
  });
}

const plain = { name: "W", request: { url: source }, schedule: { every: "30s" }, fields: { a: "$.a" } };
const items = { path: "$.orders[*]", key: "$.id", fields: { status: "$.status" } };

describe("a watch is in its form, and the form is the watch again:", () => {
  const EXPRESSIBLE: [name: string, part: object][] = [
    ["a plain one", {}],
    [
      "a request with everything",
      { request: { method: "POST", url: source, headers: { "X-Api-Key": "***" }, body: {} } },
    ],
    [
      "parameters of all kinds",
      { request: { url: source, query: { a: "x", b: 5, c: "5", d: true, e: ["1", "2"], f: "" } } },
    ],
    [
      "a body with long numbers",
      { request: { method: "PUT", url: source, body: parseJson('[12345678901234567890, null, "x"]') } },
    ],
    ["an address with a quote", { request: { url: "https://a.example/it's?q=%20" } }],
    ["a number of seconds", { schedule: { every: 90 } }],
    ["a cron line of a zone", { schedule: { cron: "0 9 * * 1-5", timezone: "Europe/Berlin" } }],
    ["an adaptive schedule", { schedule: { every: "1m", adaptive: { min: "10s", max: 600 } } }],
    ["a tolerance", { fields: { a: { path: "$.a", tolerance: { absolute: 0.01, percent: 1 } } } }],
    ["another dialect", { fields: { a: { path: "$.a^", dialect: "plus", take: "first", missing_after: 3 } } }],
    ["an object that says no more than a path", { fields: { a: { path: "$.a" }, b: "$.b" } }],
    ["a path with braces and signs", { fields: { "a.b c": "$['{']", d: "$[?@.x == ' {\"y\"']" } }],
    ["a redacted field", { fields: { a: { path: "$.a", redact: true } } }],
    [
      "conditions",
      {
        conditions: [
          { field: "a", op: "becomes", value: "true" },
          { field: "a", op: "becomes", value: null },
        ],
      },
    ],
    ["a condition on a name with a space", { fields: { "a b": "$.a" }, conditions: [{ field: "a b", op: "changes" }] }],
    [
      "a list with everything",
      { items: { ...items, events: "together", removed_after: 5, window: true, guard: false } },
    ],
    ["pages by links", { items, pagination: { type: "link" } }],
    ["pages by links in the reply", { items, pagination: { type: "link", path: "$.next", max_pages: 3 } }],
    ["pages by a cursor", { items, pagination: { type: "cursor", path: "$.c", param: "after" } }],
    ["numbered pages", { items, pagination: { type: "page", first: 0 } }],
    ["pages by an offset", { items, pagination: { type: "offset", limit: 20, limit_param: "n", max_pages: 7 } }],
    ["a format", { format: "csv" }],
    ["a plugin in a list", { plugin: ["one"], plugin_options: { a: 1 } }],
    ["plugins", { plugin: ["one", "two"], plugin_options: { one: { a: 1 }, two: {} } }],
    ["the rest", { missing_after: 1, keep_bodies: 0, redact: true, emit_initial: true, event_type: "order.paid" }],
    ["endpoints and a credential", { endpoint_ids: ["ep_2", "ep_1"], secret_id: "sec_1" }],
  ];
  for (const [name, part] of EXPRESSIBLE) {
    test(name, () => {
      const watch = watchInput.parse({ ...plain, ...part });
      const form = formOfWatch(watch);
      if (!form) throw new Error("the form has no place for it");
      // As a browser sends it back: boxes that are not ticked are absent.
      const { endpoint_ids, ...rest } = form;
      const sent = Object.entries(rest).flatMap(([field, value]): [string, string][] => {
        if (typeof value === "string") return [[field, value.replaceAll("\n", "\r\n")]];
        return value ? [[field, "on"]] : [];
      });
      const typed = watchFormOf(Object.fromEntries([...sent, ...endpoint_ids.map((id) => [id, "on"])]));
      const read = wordedAs(watch, watchInput.parse(watchBodyOf(typed)));
      expect(parseJson(stringifyJson(read))).toEqual(parseJson(stringifyJson(watch)));
    });
  }
});

describe("a watch that its form cannot hold has none, so that no save loses a part of it:", () => {
  const INEXPRESSIBLE: [name: string, part: Partial<Record<keyof WatchInput, unknown>>][] = [
    ["a name with an equals sign and a dollar", { fields: { "a = $b": "$.a" } }],
    ["a name with spaces around it", { fields: { " a": "$.a" } }],
    ["a path on two lines", { fields: { a: "$\n.a" } }],
    ["a parameter named with an equals sign", { request: { url: source, query: { "a=b": "c" } } }],
    ["a header's value with a space at its end", { request: { url: source, headers: { a: "b " } } }],
  ];
  for (const [name, part] of INEXPRESSIBLE) {
    test(name, () => expect(formOfWatch(watchInput.parse({ ...plain, ...part }))).toBeNull());
  }
});

test.each([
  ["/request/url", "source", null],
  ["/request/headers/x", "headers", "x"],
  ["/fields/a~1b/path", "fields", "a/b"],
  ["/items/fields/a", "items_fields", "a"],
  ["/items/key", "items_key", null],
  ["/conditions/1/value", "conditions", "condition 2"],
  ["/schedule/cron", "every", null],
  ["/schedule/adaptive/max", "adaptive_max", null],
  ["/pagination/limit_param", "page_limit_param", null],
  ["/pagination", "pagination", null],
  ["/endpoint_ids/0", "form", null],
  ["/plugin_options/a", "plugin_options", null],
])("a fault at %s is told at the field %s", (pointer, field, line) => {
  expect(placeOf(pointer)).toEqual({ field, line });
});
