import { describe, expect, test } from "bun:test";
import { parseJson } from "../../src/platform/json.ts";
import { Replay, tell } from "./replay.ts";

type Row = [name: string, watch: object, polls: [document: string, told: string][]];

const one = { fields: { f: "$.f" } };
const quick = { fields: { f: "$.f" }, missing_after: 1 };
const when = (op: string, value?: unknown) => ({
  ...one,
  conditions: [{ field: "f", op, ...(value === undefined ? {} : { value }) }],
});
const tolerant = (tolerance: object) => ({ fields: { f: { path: "$.f", tolerance } } });
/** Documents `{"f": …}`. */
const f = (...polls: [value: string, told: string][]) =>
  polls.map(([value, told]): [string, string] => [`{"f":${value}}`, told]);

const fieldRows: Row[] = [
  ["the first success is a silent baseline", one, f(["1", "baseline"], ["1", "unchanged"])],
  [
    "emit_initial states it",
    { ...one, emit_initial: true },
    f(["1", "baseline: f appeared - -> 1"], ["1", "unchanged"]),
  ],
  [
    "emit_initial states null, and not what is missing",
    { fields: { f: "$.f", g: "$.g" }, emit_initial: true },
    f(["null", "baseline: f appeared - -> null"]),
  ],
  ["a text changes", one, f(['"a"', "baseline"], ['"b"', 'f changed "a" -> "b"'], ['"b"', "unchanged"])],
  [
    "a to b to a is two changes",
    one,
    f(['"a"', "baseline"], ['"b"', 'f changed "a" -> "b"'], ['"a"', 'f changed "b" -> "a"']),
  ],
  ["null to a value", one, f(["null", "baseline"], ["1", "f changed null -> 1"])],
  ["a value to null", one, f(["1", "baseline"], ["null", "f changed 1 -> null"], ["null", "unchanged"])],
  [
    "null is not missing",
    quick,
    [
      ['{"f":null}', "baseline"],
      ["{}", "f disappeared null -> -"],
      ['{"f":null}', "f appeared - -> null"],
    ],
  ],
  [
    "missing counts after 2 polls",
    one,
    [
      ['{"f":1}', "baseline"],
      ["{}", "unchanged"],
      ["{}", "f disappeared 1 -> -"],
      ["{}", "unchanged"],
    ],
  ],
  [
    "a flicker is no change",
    one,
    [
      ['{"f":1}', "baseline"],
      ["{}", "unchanged"],
      ['{"f":1}', "unchanged"],
      ["{}", "unchanged"],
      ['{"f":1}', "unchanged"],
    ],
  ],
  [
    "a change across a flicker",
    one,
    [
      ['{"f":1}', "baseline"],
      ["{}", "unchanged"],
      ['{"f":2}', "f changed 1 -> 2"],
    ],
  ],
  [
    "missing_after of the watch",
    { ...one, missing_after: 3 },
    [
      ['{"f":1}', "baseline"],
      ["{}", "unchanged"],
      ["{}", "unchanged"],
      ["{}", "f disappeared 1 -> -"],
    ],
  ],
  [
    "missing_after of the field wins",
    { fields: { f: { path: "$.f", missing_after: 1 } }, missing_after: 3 },
    [
      ['{"f":1}', "baseline"],
      ["{}", "f disappeared 1 -> -"],
    ],
  ],
  [
    "missing at first, then there",
    one,
    [
      ["{}", "baseline"],
      ["{}", "unchanged"],
      ['{"f":1}', "f appeared - -> 1"],
    ],
  ],
  [
    "gone and back again",
    quick,
    [
      ['{"f":1}', "baseline"],
      ["{}", "f disappeared 1 -> -"],
      ['{"f":1}', "f appeared - -> 1"],
    ],
  ],
  [
    "an empty text is a value",
    quick,
    [
      ['{"f":""}', "baseline"],
      ["{}", 'f disappeared "" -> -'],
      ['{"f":""}', 'f appeared - -> ""'],
    ],
  ],
  ["an empty list is not null", one, f(["[]", "baseline"], ["null", "f changed [] -> null"])],
  ["an empty list is not an empty object", one, f(["[]", "baseline"], ["{}", "f type_changed [] -> {}"])],
  ["false is not 0", one, f(["false", "baseline"], ["0", "f type_changed false -> 0"])],
  ["false is not null", one, f(["false", "baseline"], ["null", "f changed false -> null"])],
  ["a text becoming a number changes type", one, f(['"10"', "baseline"], ["10", 'f type_changed "10" -> 10'])],
  ["a number becoming a text changes type", one, f(["10", "baseline"], ['"10"', 'f type_changed 10 -> "10"'])],
  ["a value becoming a list changes type", one, f(["1", "baseline"], ["[1]", "f type_changed 1 -> [1]"])],
  ["1 is 1.0 is 1e0", one, f(["1", "baseline"], ["1.0", "unchanged"], ["1e0", "unchanged"], ["10e-1", "unchanged"])],
  ["0 is -0", one, f(["0", "baseline"], ["-0", "unchanged"])],
  [
    "the last digit of a big integer",
    one,
    f(
      ["12345678901234567890", "baseline"],
      ["12345678901234567890.0", "unchanged"],
      ["12345678901234567891", "f changed 12345678901234567890 -> 12345678901234567891"],
    ),
  ],
  [
    "a big integer and its rounding",
    one,
    f(["9007199254740993", "baseline"], ["9007199254740992", "f changed 9007199254740993 -> 9007199254740992"]),
  ],
  [
    "a big number is a number",
    one,
    f(["1", "baseline"], ["12345678901234567890", "f changed 1 -> 12345678901234567890"]),
  ],
  [
    "beyond a double's range",
    one,
    f(["1e400", "baseline"], ["10e399", "unchanged"], ["1e401", "f changed 1e400 -> 1e401"]),
  ],
  [
    "floats by their text",
    one,
    f(["0.1", "baseline"], ["0.10", "unchanged"], ["0.1000000000000000001", "f changed 0.1 -> 0.1000000000000000001"]),
  ],
  ["unicode escapes are the same text", one, f(['"\\u00e9😀"', "baseline"], ['"é\\ud83d\\ude00"', "unchanged"])],
  ["unicode forms are different texts", one, f(['"é"', "baseline"], ['"e\\u0301"', 'f changed "\u00e9" -> "e\u0301"'])],
  [
    "what Postgres refuses is replaced",
    one,
    f(['"a\\u0000"', "baseline"], ['"a\\u0000"', "unchanged"], ['"\\ud800"', 'f changed "a\ufffd" -> "\ufffd"']),
  ],
  [
    "the order of members is no change",
    one,
    f(['{"a":1,"b":{"c":2,"d":3}}', "baseline"], ['{"b":{"d":3,"c":2},"a":1.0}', "unchanged"]),
  ],
  ["the order of a list is a change", one, f(["[1,2]", "baseline"], ["[2,1]", "f changed [1,2] -> [2,1]"])],
  [
    "deep inside",
    one,
    f(['{"a":[{"b":null}]}', "baseline"], ['{"a":[{"b":0}]}', 'f changed {"a":[{"b":null}]} -> {"a":[{"b":0}]}']),
  ],
  ["a member more", one, f(['{"a":1}', "baseline"], ['{"a":1,"b":null}', 'f changed {"a":1} -> {"a":1,"b":null}'])],
  [
    "of a repeated member the last counts",
    one,
    [
      ['{"f":1,"f":2}', "baseline"],
      ['{"f":2}', "unchanged"],
      ['{"f":2,"f":1}', "f changed 2 -> 1"],
    ],
  ],
  [
    "a __proto__ member is data",
    { fields: { f: "$.f.__proto__" } },
    f(['{"__proto__":{"a":1}}', "baseline"], ['{"__proto__":{"a":2}}', 'f changed {"a":1} -> {"a":2}']),
  ],
  [
    "a path with several matches gives their list",
    { fields: { f: "$.l[*].id" } },
    [
      ['{"l":[{"id":1}]}', "baseline"],
      ['{"l":[{"id":1},{"id":2}]}', "f changed [1] -> [1,2]"],
      ["{}", "f changed [1,2] -> []"],
    ],
  ],
  [
    "or the first of them",
    { fields: { f: { path: "$.l[?@.id == 2].s", take: "first" } }, missing_after: 1 },
    [
      ['{"l":[{"id":2,"s":"a"}]}', "baseline"],
      ['{"l":[{"id":2,"s":"b"}]}', 'f changed "a" -> "b"'],
      ['{"l":[]}', 'f disappeared "b" -> -'],
    ],
  ],
  [
    "the whole document",
    { fields: { f: "$" } },
    [
      ["[1]", "baseline"],
      ["[1,2]", "f changed [1] -> [1,2]"],
    ],
  ],
  [
    "two fields, one event",
    { fields: { a: "$.a", b: "$.b" } },
    [
      ['{"a":1,"b":1}', "baseline"],
      ['{"a":2,"b":2}', "a changed 1 -> 2, b changed 1 -> 2"],
      ['{"a":2,"b":3}', "b changed 2 -> 3"],
    ],
  ],
  [
    "tolerance: within is no change",
    tolerant({ absolute: 0.01 }),
    f(["1.00", "baseline"], ["1.01", "unchanged"], ["0.99", "unchanged"]),
  ],
  [
    "tolerance: the bound is exact, unlike 1.01 - 1 in doubles",
    tolerant({ absolute: 0.01 }),
    f(["1", "baseline"], ["1.01", "unchanged"], ["1.010000000000001", "f changed 1 -> 1.010000000000001"]),
  ],
  [
    "tolerance: slow drift still fires, with what was stated as previous",
    tolerant({ absolute: 1 }),
    f(
      ["10", "baseline"],
      ["10.6", "unchanged"],
      ["11.2", "f changed 10 -> 11.2"],
      ["11.8", "unchanged"],
      ["12.3", "f changed 11.2 -> 12.3"],
    ),
  ],
  [
    "tolerance: there and back is nothing",
    tolerant({ absolute: 1 }),
    f(["10", "baseline"], ["10.9", "unchanged"], ["10", "unchanged"], ["9.1", "unchanged"]),
  ],
  [
    "tolerance in percent",
    tolerant({ percent: 5 }),
    f(["200", "baseline"], ["210", "unchanged"], ["210.5", "f changed 200 -> 210.5"]),
  ],
  [
    "tolerance: either bound suffices",
    tolerant({ absolute: 1, percent: 1 }),
    f(["1000", "baseline"], ["1009", "unchanged"], ["1011", "f changed 1000 -> 1011"]),
  ],
  ["tolerance in percent of 0", tolerant({ percent: 50 }), f(["0", "baseline"], ["0.001", "f changed 0 -> 0.001"])],
  [
    "tolerance with numbers in texts",
    tolerant({ absolute: 1 }),
    f(['"10"', "baseline"], ['"10.5"', "unchanged"], ["10.5", 'f type_changed "10" -> 10.5']),
  ],
  [
    "tolerance and a text",
    tolerant({ absolute: 1 }),
    f(["10", "baseline"], ['"n/a"', 'f type_changed 10 -> "n/a"'], ["10", 'f type_changed "n/a" -> 10']),
  ],
  [
    "tolerance on big integers",
    tolerant({ absolute: 2 }),
    f(
      ["12345678901234567890", "baseline"],
      ["12345678901234567892", "unchanged"],
      ["12345678901234567893", "f changed 12345678901234567890 -> 12345678901234567893"],
    ),
  ],
];

const conditionRows: Row[] = [
  ["changes", when("changes"), f(["1", "baseline"], ["2", "f changed 1 -> 2"])],
  [
    "changes: not when another field does",
    { fields: { f: "$.f", g: "$.g" }, conditions: [{ field: "f", op: "changes" }] },
    [
      ['{"f":1,"g":1}', "baseline"],
      ['{"f":1,"g":2}', "unchanged"],
      ['{"f":2,"g":3}', "f changed 1 -> 2, g changed 2 -> 3"],
    ],
  ],
  [
    "becomes",
    when("becomes", "paid"),
    f(
      ['"new"', "baseline"],
      ['"sent"', "unchanged"],
      ['"paid"', 'f changed "sent" -> "paid"'],
      ['"paid"', "unchanged"],
      ['"new"', "unchanged"],
      ['"paid"', 'f changed "new" -> "paid"'],
    ),
  ],
  ["becomes: not when it is at first", when("becomes", "paid"), f(['"paid"', "baseline"], ['"paid"', "unchanged"])],
  ["becomes: by exact value", when("becomes", 1), f(["0", "baseline"], ["1.0", "f changed 0 -> 1"])],
  ["becomes null", when("becomes", null), f(["1", "baseline"], ["null", "f changed 1 -> null"])],
  [
    "becomes: by appearing",
    when("becomes", 1),
    [
      ["{}", "baseline"],
      ['{"f":1}', "f appeared - -> 1"],
    ],
  ],
  [
    "leaves",
    when("leaves", "ok"),
    f(['"ok"', "baseline"], ['"bad"', 'f changed "ok" -> "bad"'], ['"worse"', "unchanged"]),
  ],
  [
    "leaves: by disappearing",
    when("leaves", "ok"),
    [
      ['{"f":"ok"}', "baseline"],
      ["{}", "unchanged"],
      ["{}", 'f disappeared "ok" -> -'],
    ],
  ],
  [
    "increases",
    when("increases"),
    f(["1", "baseline"], ["0", "unchanged"], ["1", "f changed 0 -> 1"], ["1", "unchanged"]),
  ],
  [
    "increases: numbers in texts",
    when("increases"),
    f(['"9.50"', "baseline"], ['"10.00"', 'f changed "9.50" -> "10.00"']),
  ],
  [
    "increases: not from a text that is none",
    when("increases"),
    f(['"n/a"', "baseline"], ["5", "unchanged"], ["6", "f changed 5 -> 6"]),
  ],
  [
    "increases: the last digit",
    when("increases"),
    f(
      ["12345678901234567890", "baseline"],
      ["12345678901234567891", "f changed 12345678901234567890 -> 12345678901234567891"],
    ),
  ],
  ["decreases", when("decreases"), f(["2", "baseline"], ["3", "unchanged"], ["1", "f changed 3 -> 1"])],
  [
    "increases_by adds up, from what was stated",
    when("increases_by", 10),
    f(
      ["100", "baseline"],
      ["106", "unchanged"],
      ["109.99", "unchanged"],
      ["110", "f changed 100 -> 110"],
      ["119", "unchanged"],
      ["120", "f changed 110 -> 120"],
    ),
  ],
  [
    "increases_by: after a fall",
    when("increases_by", 10),
    f(["100", "baseline"], ["50", "unchanged"], ["60", "unchanged"], ["111", "f changed 100 -> 111"]),
  ],
  [
    "increases_by: the first number is the reference",
    when("increases_by", 10),
    f(["null", "baseline"], ["5", "unchanged"], ["14", "unchanged"], ["15", "f changed 5 -> 15"]),
  ],
  [
    "decreases_by",
    when("decreases_by", 0.2),
    f(["1", "baseline"], ["0.9", "unchanged"], ["0.8", "f changed 1 -> 0.8"]),
  ],
  [
    "changes_by_percent, both ways",
    when("changes_by_percent", 10),
    f(
      ["100", "baseline"],
      ["109", "unchanged"],
      ["110", "f changed 100 -> 110"],
      ["99.1", "unchanged"],
      ["99", "f changed 110 -> 99"],
    ),
  ],
  [
    "changes_by_percent of a negative number",
    when("changes_by_percent", 50),
    f(["-10", "baseline"], ["-14", "unchanged"], ["-15", "f changed -10 -> -15"]),
  ],
  ["changes_by_percent of 0", when("changes_by_percent", 50), f(["0", "baseline"], ["0.01", "f changed 0 -> 0.01"])],
  [
    "crosses_above",
    when("crosses_above", 100),
    f(
      ["99", "baseline"],
      ["100", "unchanged"],
      ["100.01", "f changed 100 -> 100.01"],
      ["200", "unchanged"],
      ["50", "unchanged"],
      ["101", "f changed 50 -> 101"],
    ),
  ],
  [
    "crosses_below",
    when("crosses_below", 0),
    f(["1", "baseline"], ["0", "unchanged"], ["-0.1", "f changed 0 -> -0.1"], ["-5", "unchanged"]),
  ],
  [
    "matches",
    when("matches", "^(paid|shipped)"),
    f(
      ['"new"', "baseline"],
      ['"paid-1"', 'f changed "new" -> "paid-1"'],
      ['"paid-1"', "unchanged"],
      ['"void"', "unchanged"],
    ),
  ],
  [
    "matches: a number as it is written",
    when("matches", "^5\\d\\d$"),
    f(["200", "baseline"], ["503", "f changed 200 -> 503"]),
  ],
  [
    "all must hold",
    {
      fields: { a: "$.a", b: "$.b" },
      conditions: [
        { field: "a", op: "becomes", value: 1 },
        { field: "b", op: "increases_by", value: 5 },
      ],
    },
    [
      ['{"a":0,"b":0}', "baseline"],
      ['{"a":0,"b":9}', "unchanged"],
      ['{"a":1,"b":9}', "a changed 0 -> 1, b changed 0 -> 9"],
    ],
  ],
  [
    "seen moves on while the conditions hold back",
    when("becomes", "c"),
    f(['"a"', "baseline"], ['"b"', "unchanged"], ['"c"', 'f changed "b" -> "c"']),
  ],
];

const items = (extra: object = {}, rest: object = {}) => ({
  items: { path: "$.l[*]", key: "$.id", fields: { s: "$.s" }, ...extra },
  ...rest,
});
/** Documents `{"l": […]}`; `a1` is `{"id":"a","s":1}`. */
const l = (...polls: [items: string, told: string][]) =>
  polls.map(([list, told]): [string, string] => [
    `{"l":[${list
      .split(" ")
      .filter(Boolean)
      .map(([id, ...s]) => `{"id":"${id}","s":${s.join("")}}`)}]}`,
    told,
  ]);

const itemRows: Row[] = [
  ["the first list is a silent baseline", items(), l(["a1 b1", "baseline"], ["a1 b1", "unchanged"])],
  [
    "emit_initial states it as added",
    items({}, { emit_initial: true }),
    l(["a1 b1", 'baseline: added "a"; added "b"']),
  ],
  ["an empty list is a baseline too", items(), l(["", "baseline"], ["", "unchanged"], ["a1", 'added "a"'])],
  ["reordering is no change", items(), l(["a1 b1 c1", "baseline"], ["c1 a1 b1", "unchanged"])],
  [
    "an item changes",
    items(),
    l(["a1 b1", "baseline"], ["a1 b2", 'item "b" (s changed 1 -> 2)'], ["a1 b2", "unchanged"]),
  ],
  [
    "an item changes there and back",
    items(),
    l(["a1", "baseline"], ["a2", 'item "a" (s changed 1 -> 2)'], ["a1", 'item "a" (s changed 2 -> 1)']),
  ],
  ["an item is added", items(), l(["a1", "baseline"], ["b1 a1", 'added "b"'], ["a1 b1", "unchanged"])],
  [
    "an item is removed after 2 polls",
    items(),
    l(["a1 b1 c1", "baseline"], ["a1 b1", "unchanged"], ["a1 b1", 'removed "c"'], ["a1 b1", "unchanged"]),
  ],
  [
    "a flickering item is no change",
    items(),
    l(["a1 b1", "baseline"], ["a1", "unchanged"], ["a1 b1", "unchanged"], ["a1", "unchanged"], ["a1 b1", "unchanged"]),
  ],
  [
    "removed_after 1",
    items({ removed_after: 1 }),
    l(["a1 b1", "baseline"], ["a1", 'removed "b"'], ["a1 b1", 'added "b"']),
  ],
  [
    "removed_after 3",
    items({ removed_after: 3 }),
    l(["a1 b1", "baseline"], ["a1", "unchanged"], ["a1", "unchanged"], ["a1", 'removed "b"']),
  ],
  [
    "several at once, one event each",
    items({ removed_after: 1 }),
    l(["a1 b1 c1", "baseline"], ["a2 b1 d1", 'item "a" (s changed 1 -> 2); added "d"; removed "c"']),
  ],
  [
    "several at once, together",
    items({ removed_after: 1, events: "together" }),
    l(
      ["a1 b1 c1", "baseline"],
      [
        "a2 b1 d1",
        'together changed "a", added "d", removed "c" ("a".s changed 1 -> 2, "d".s added - -> 1, "c".s removed 1 -> -)',
      ],
    ),
  ],
  [
    "a window never states removals",
    items({ window: true, removed_after: 1 }),
    l(["a1 b1 c1", "baseline"], ["d1 a1 b1", 'added "d"'], ["d1 a1 b1", "unchanged"], ["a1 b1 c1", "unchanged"]),
  ],
  ["a duplicate key fails", items(), l(["a1 b1", "baseline"], ["a1 a2", "failed"], ["a1 b1", "unchanged"])],
  [
    "a missing key fails",
    items(),
    [
      ['{"l":[{"id":1,"s":1}]}', "baseline"],
      ['{"l":[{"s":2}]}', "failed"],
      ['{"l":[{"id":1,"s":1}]}', "unchanged"],
    ],
  ],
  ["a key that is null fails", items(), [['{"l":[{"id":null,"s":1}]}', "failed"]]],
  [
    "a failed poll takes no field along",
    items({}, { fields: { f: "$.f" } }),
    [
      ['{"f":1,"l":[]}', "baseline"],
      ['{"f":2,"l":[{}]}', "failed"],
      ['{"f":2,"l":[]}', "f changed 1 -> 2"],
    ],
  ],
  [
    'keys 1 and "1" are two items',
    items(),
    [
      ['{"l":[{"id":1,"s":1},{"id":"1","s":1}]}', "baseline"],
      ['{"l":[{"id":"1","s":2},{"id":1,"s":1}]}', 'item "1" (s changed 1 -> 2)'],
    ],
  ],
  [
    "big keys keep their digits",
    items(),
    [
      ['{"l":[{"id":12345678901234567890,"s":1},{"id":12345678901234567891,"s":1}]}', "baseline"],
      [
        '{"l":[{"id":12345678901234567891,"s":2},{"id":12345678901234567890,"s":1}]}',
        "item 12345678901234567891 (s changed 1 -> 2)",
      ],
    ],
  ],
  [
    "a list that is absent is not empty",
    items(),
    [
      ['{"l":[{"id":1,"s":1}]}', "baseline"],
      ["{}", "failed"],
      ['{"l":[{"id":1,"s":1}]}', "unchanged"],
    ],
  ],
  [
    "a list that is null is empty",
    items({ removed_after: 1, guard: false }),
    [
      ['{"l":[{"id":1,"s":1}]}', "baseline"],
      ['{"l":null}', "removed 1"],
    ],
  ],
  ["a path to the list itself", items({ path: "$.l" }), l(["a1", "baseline"], ["a2", 'item "a" (s changed 1 -> 2)'])],
  [
    "more than half removed is held, again and again",
    items({ removed_after: 1 }),
    l(
      ["a1 b1 c1", "baseline"],
      ["a1", 'held: removed "b"; removed "c"'],
      ["a1", 'held: removed "b"; removed "c"'],
      ["a1 b1 c1", "unchanged"],
    ),
  ],
  [
    "half removed is not",
    items({ removed_after: 1 }),
    l(["a1 b1 c1 d1", "baseline"], ["a1 b1", 'removed "c"; removed "d"']),
  ],
  [
    "guard: false never holds",
    items({ removed_after: 1, guard: false }),
    l(["a1 b1", "baseline"], ["", 'removed "a"; removed "b"']),
  ],
  [
    "a field missing in an item counts after 2 polls",
    items(),
    [
      ['{"l":[{"id":1,"s":1}]}', "baseline"],
      ['{"l":[{"id":1}]}', "unchanged"],
      ['{"l":[{"id":1}]}', "item 1 (s disappeared 1 -> -)"],
      ['{"l":[{"id":1}]}', "unchanged"],
      ['{"l":[{"id":1,"s":1}]}', "item 1 (s appeared - -> 1)"],
    ],
  ],
  [
    "a field flickering in an item",
    items(),
    [
      ['{"l":[{"id":1,"s":1}]}', "baseline"],
      ['{"l":[{"id":1}]}', "unchanged"],
      ['{"l":[{"id":1,"s":1}]}', "unchanged"],
      ['{"l":[{"id":1}]}', "unchanged"],
    ],
  ],
  [
    "conditions on an item's field",
    items({}, { conditions: [{ field: "s", op: "becomes", value: 3 }] }),
    l(
      ["a1 b1", "baseline"],
      ["a2 b3", 'item "b" (s changed 1 -> 3)'],
      ["a3 b3 c3", 'item "a" (s changed 2 -> 3); added "c"'],
      ["a3 b3 c3 d1", "unchanged"],
    ),
  ],
  [
    "conditions on removal",
    items({ removed_after: 1 }, { conditions: [{ field: "s", op: "leaves", value: 1 }] }),
    l(["a1 b2 c1 d1", "baseline"], ["c1 d1", 'removed "a"']),
  ],
  [
    "drift in an item adds up",
    items({}, { conditions: [{ field: "s", op: "increases_by", value: 5 }] }),
    l(
      ["a1", "baseline"],
      ["a4 b1", "unchanged"],
      ["a6 b4", 'item "a" (s changed 1 -> 6)'],
      ["a6 b6", 'item "b" (s changed 1 -> 6)'],
    ),
  ],
  [
    "tolerance in an item",
    items({ fields: { s: { path: "$.s", tolerance: { absolute: 1 } } } }),
    l(["a1", "baseline"], ["a2", "unchanged"], ["a3", 'item "a" (s changed 1 -> 3)']),
  ],
  [
    "fields and items side by side",
    items({}, { fields: { n: "$.n" } }),
    [
      ['{"n":1,"l":[{"id":1,"s":1}]}', "baseline"],
      ['{"n":2,"l":[{"id":1,"s":2}]}', "n changed 1 -> 2; item 1 (s changed 1 -> 2)"],
    ],
  ],
];

for (const [title, rows] of [
  ["fields", fieldRows],
  ["conditions", conditionRows],
  ["items", itemRows],
] as const) {
  describe(title, () => {
    test.each(rows)("%s", (_name, watch, polls) => {
      const replay = new Replay(watch);
      const told = polls.map(([document]) => tell(replay.poll(parseJson(document))));
      expect(told).toEqual(polls.map(([, expected]) => expected));
    });
  });
}
