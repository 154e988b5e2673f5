import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { JSONPathEnvironment } from "json-p3";
import { type Json, parseJson, stringifyJson } from "../../src/platform/json.ts";
import { type CompiledPath, compilePath, isPathFault, type PathDialect } from "../../src/platform/jsonpath.ts";

function path(text: string, dialect: PathDialect = "rfc9535"): CompiledPath {
  const compiled = compilePath(text, dialect);
  if (isPathFault(compiled)) throw new Error(compiled.message);
  return compiled;
}

const STORE = parseJson(`{"store":{"book":[
  {"category":"reference","author":"Nigel Rees","title":"Sayings of the Century","price":8.95},
  {"category":"fiction","author":"Evelyn Waugh","title":"Sword of Honour","price":12.99},
  {"category":"fiction","author":"Herman Melville","title":"Moby Dick","isbn":"0-553-21311-3","price":8.99},
  {"category":"fiction","author":"J. R. R. Tolkien","title":"The Lord of the Rings","isbn":"0-395-19395-8","price":22.99}],
  "bicycle":{"color":"red","price":399}}}`);

const examples: [path: string, values: string][] = [
  ["$.store.bicycle.color", '["red"]'],
  ["$['store']['bicycle']['color']", '["red"]'],
  ["$.store.book[*].author", '["Nigel Rees","Evelyn Waugh","Herman Melville","J. R. R. Tolkien"]'],
  ["$..price", "[8.95,12.99,8.99,22.99,399]"],
  ["$.store.book[-1].title", '["The Lord of the Rings"]'],
  ["$.store.book[-5].title", "[]"],
  ["$.store.book[0,1].price", "[8.95,12.99]"],
  ["$.store.book[:2].price", "[8.95,12.99]"],
  ["$.store.book[::-2].price", "[22.99,12.99]"],
  ["$.store.book[?@.isbn].price", "[8.99,22.99]"],
  ["$.store.book[?@.price < 10].title", '["Sayings of the Century","Moby Dick"]'],
  ["$.store.book[?@.price >= 22.990].title", '["The Lord of the Rings"]'],
  ["$.store.book[?@.price < $.store.bicycle.price].price", "[8.95,12.99,8.99,22.99]"],
  ["$.store.book[?@.category == 'fiction' && !(@.price > 10)].title", '["Moby Dick"]'],
  ["$.store.book[?match(@.author, 'H.*')].price", "[8.99]"],
  ["$.store.book[?search(@.author, 'R')].price", "[8.95,22.99]"],
  ["$.store.book[?length(@.author) == 10].price", "[8.95]"],
  ["$.store[?count(@.*) == 2].color", '["red"]'],
  ["$.store.book[?value(@..isbn) == '0-553-21311-3'].price", "[8.99]"],
  ["$.store.nothing", "[]"],
  ["$.constructor", "[]"],
  ["$.store.book.length", "[]"],
];
test.each(examples)("%s", (text, values) => {
  expect(path(text).values(STORE)).toEqual(JSON.parse(values));
});

test("matches carry normalised paths", () => {
  const document = parseJson(`{"a":[{"it's":1}],"":{"\\n":2}}`);
  expect(path('$.a[-1]["it\'s"]').matches(document)).toEqual([{ path: "$['a'][0]['it\\'s']", value: 1 }]);
  expect(path("$..[?@ == 2]").matches(document)).toEqual([{ path: "$['']['\\n']", value: 2 }]);
});

const faults: [path: string, position: number, message: string][] = [
  ["", 0, "write $ for the whole document"],
  ["a.b", 0, "a path starts with $"],
  ["$[", 2, "unclosed bracketed selection"],
  ["$.a[0", 5, "unclosed bracketed selection"],
  ["$.a..", 5, "bald descendant segment"],
  ["$.a[?@.b ==]", 11, "unexpected end of expression"],
  ["$.a[?@.b == ]", 12, ""],
  ["$.a[?unknown(@)]", 5, "no such function"],
  ["$.a[?length(@.*) == 1]", 12, ""],
  ["$[9007199254740993]", 2, "out of range"],
  ["$.a b", 4, ""],
  ["$['a", 4, ""],
  ["$.a[01]", 4, ""],
  ["$.a[?@.b = 1]", 9, ""],
  ["$..a^", 4, ""],
];
test.each(faults)("%j is refused at position %d", (text, position, message) => {
  const fault = compilePath(text);
  if (!isPathFault(fault)) throw new Error(`${text} was taken`);
  expect(fault.position).toBe(position);
  expect(fault.message).toContain(message);
  if (text !== "") expect(fault.message).toContain(`at position ${position}`);
});

describe("exact numbers", () => {
  const document = parseJson(
    `{"list":[{"id":12345678901234567890,"n":1},{"id":12345678901234567891,"n":2}],"big":1e400}`,
  );

  test("come out as leaves", () => {
    expect(stringifyJson(path("$..*").values(document).slice(1, 3))).toBe('[1e400,{"id":12345678901234567890,"n":1}]');
    expect(path("$.big.*").values(document)).toEqual([]);
    expect(path("$.big.text").first(document)).toBeUndefined();
  });

  const filters: [path: string, ids: number[]][] = [
    ["$.list[?@.id == 12345678901234567890].n", [1]],
    ["$.list[?@.id != 12345678901234567890].n", [2]],
    ["$.list[?@.id > 12345678901234567890].n", [2]],
    ["$.list[?@.id >= 12345678901234567890].n", [1, 2]],
    ["$.list[?@.id < 10].n", []],
    ["$.list[?@.id == $.list[1].id].n", [2]],
    ["$[?@[?@.id == 12345678901234567891]][*].n", [1, 2]],
    ["$[?@[?@.id == 12345678901234567892]][*].n", []],
    ["$.list[?length(@.id) == 0].n", []],
    ["$.list[?!(@.id == 12345678901234567891)].n", [1]],
  ];
  test.each(filters)("%s", (text, ids) => expect(path(text).values(document)).toEqual(ids));
});

test("a prototype's members are never found, a __proto__ member is", () => {
  const document = parseJson('{"a":{"__proto__":{"b":1}}}');
  expect(path("$.a.__proto__.b").first(document)).toBe(1);
  expect(path("$['__proto__']").first({})).toBeUndefined();
  expect(path("$.a.__proto__.b", "plus").first(document)).toBe(1);
});

test("singular paths are told from those that can match several", () => {
  const singular = ["$", "$.a", "$['a'][0]", "$[-1]"];
  const plural = ["$.*", "$..a", "$[0,1]", "$[0:1]", "$[?@.a]", "$['a','b']"];
  for (const text of singular) expect(path(text).singular).toBe(true);
  for (const text of plural) expect(path(text).singular).toBe(false);
  for (const text of ["$.a.b", "$.a[0]", "$.a.b^", "$.a~"]) expect(path(text, "plus").singular).toBe(true);
  for (const text of ["$.*", "$..a", "$[0,1]", "$[0:1]", "$['a','b']", "$.a@string()"]) {
    expect(path(text, "plus").singular).toBe(false);
  }
});

test("paths of names, indices and wildcards, which are followed without json-p3's nodes, find what it finds", () => {
  const environment = new JSONPathEnvironment();
  const segments = fc.array(fc.constantFrom(".*", "[*]", "[0]", "[-1]", "[1]", "['']", ".a"), { maxLength: 4 });
  fc.assert(
    fc.property(fc.jsonValue(), segments, (document, parts) => {
      const text = `$${parts.join("")}`;
      const expected = environment.query(text, document as never).values() as Json[];
      expect(path(text).values(document as Json)).toEqual(expected);
      expect(path(text).first(document as Json)).toEqual(expected[0]);
    }),
    { numRuns: 2_000 },
  );
});

test("lists of 200,000 and documents 512 deep are walked", () => {
  const long: Json = Array.from({ length: 200_000 }, (_, id) => ({ id }));
  expect(path("$[*].id").values(long)).toHaveLength(200_000);
  const deep = parseJson(`${"[".repeat(511)}{"x":1}${"]".repeat(511)}`);
  expect(path("$..x").values(deep)).toEqual([1]);
});

test("a filter's pattern cannot freeze the process", () => {
  const began = performance.now();
  expect(path("$[?search(@.s, '(a+)+b')]").values([{ s: "a".repeat(5_000) }])).toEqual([]);
  expect(performance.now() - began).toBeLessThan(1_500);
});

const CHAIN = JSON.parse(`${"[".repeat(200)}1${"]".repeat(200)}`) as Json;
const LIST: Json = Array.from({ length: 20_000 }, (_, id) => ({ id }));

describe("a path whose work grows with the square of a document or more is given up after a second", () => {
  const costly: [text: string, document: Json][] = [
    ["$..*..*..*", CHAIN],
    ["$..*..*..*..nothing", CHAIN],
    ["$[?count($..*) > 1]", LIST],
    ["$[?count($[?count($.*) < 0]) > 1]", LIST],
    ["$[?$..nothing]", LIST],
  ];
  test.each(costly)("%s", (text, document) => {
    const began = performance.now();
    expect(() => path(text).values(document)).toThrow(/longer than 1 s|more than 1000000 values/);
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  test.each(["$..*..*", "$..a..b", "$.*^.*", "$..id^[*]", "$..id^['a','b']"])(
    "%s in the dialect plus is refused",
    (text) => {
      expect(compilePath(text, "plus")).toMatchObject({ message: expect.stringContaining("could take hours") });
    },
  );

  test.each(["$..id^", "$..id^^.name", "$..*^^^~"])("%s in the dialect plus is not", (text) => {
    expect(isPathFault(compilePath(text, "plus"))).toBe(false);
  });
});

describe("the dialect plus", () => {
  const document = { a: { b: [{ id: 1, name: "x" }], c: "text" } };
  const found: [path: string, values: unknown[]][] = [
    ["$.a.c", ["text"]],
    ["$.a.b[0].name", ["x"]],
    ["$.a.b[0].id^", [{ id: 1, name: "x" }]],
    ["$.a.*~", ["b", "c"]],
    ["$.a.*@string()", ["text"]],
    ["$.a.nothing", []],
  ];
  test.each(found)("%s", (text, values) => expect(path(text, "plus").values(document)).toEqual(values as Json[]));

  test("matches carry paths", () => {
    expect(path("$.a.b[0].id", "plus").matches(document)).toEqual([{ path: "$['a']['b'][0]['id']", value: 1 }]);
  });

  const refused: [path: string, position: number][] = [
    ["$.a[?(@.id == 1)]", 4],
    ["$.a[(@.length-1)]", 4],
    ["$..[?(@.constructor.constructor('x')())]", 4],
    ["$[", 1],
    ["$.a]", 3],
    ["$['a", 2],
    ["$.a@unknown()", 3],
    ["$.a@string(1)", 3],
    ["$.a[b,(1)]", 6],
    ["", 0],
  ];
  test.each(refused)("%j is refused at position %d", (text, position) => {
    expect(compilePath(text, "plus")).toMatchObject({ position });
  });
});
