import { describe, expect, test } from "bun:test";
import { type Reply, readReply } from "../../src/watching/reply.ts";

type Body = string | Uint8Array;

function read(body: Body, options: { status?: number; type?: string } = {}): Reply {
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  return readReply({ status: options.status ?? 200, contentType: options.type ?? "", bytes }, { kind: "json" });
}

const bytes = (...values: number[]) => Uint8Array.from(values);
const utf16 = (text: string, mark: string) =>
  new Uint8Array(new Uint16Array([...(mark + text)].map((char) => char.charCodeAt(0))).buffer);

describe("what can be read", () => {
  const documents: [name: string, body: Body, type: string | undefined, document: unknown][] = [
    ["JSON", '{"a":1}', "application/json", { a: 1 }],
    ["without a content type", " [1]\n", undefined, [1]],
    ["JSON declared as HTML, as old servers do", '{"a":1}', "text/html; charset=utf-8", { a: 1 }],
    ["a UTF-8 byte order mark", "\ufeff{}", "application/json", {}],
    ["Latin-1 as declared", bytes(0x22, 0xe9, 0x22), "application/json; charset=ISO-8859-1", "é"],
    ["a quoted charset", bytes(0x22, 0xe9, 0x22), 'application/json; charset="windows-1252"', "é"],
    [
      "UTF-16 by its mark, whatever is declared",
      utf16('{"a":"é"}', "\ufeff"),
      "application/json; charset=utf-8",
      { a: "é" },
    ],
    [
      "GraphQL with data and errors",
      '{"data":{"a":1},"errors":[{"message":"partly"}]}',
      undefined,
      { data: { a: 1 }, errors: [{ message: "partly" }] },
    ],
    ["an empty list of errors", '{"errors":[]}', undefined, { errors: [] }],
    ["errors beside other members", '{"errors":["x"],"status":"bad"}', undefined, { errors: ["x"], status: "bad" }],
    ["null", "null", undefined, null],
  ];
  test.each(documents)("%s", (_name, body, type, document) => {
    expect(read(body, type === undefined ? {} : { type })).toEqual({ kind: "document", document: document as null });
  });

  test("304", () => expect(read("", { status: 304 })).toEqual({ kind: "not_modified" }));
});

const problems: [
  name: string,
  body: Body,
  options: { status?: number; type?: string },
  about: string,
  problem: string,
][] = [
  ["a login page", "\n<!DOCTYPE html><html><form>", {}, "body", "an HTML page (a login page?)"],
  ["a page declared as JSON", "<html>", { type: "application/json" }, "body", "an HTML page (a login page?)"],
  ["XML", '<?xml version="1.0"?><a/>', {}, "body", 'XML instead of JSON: set "format" to "xml"'],
  ["nothing", "", { status: 204 }, "body", "204 with an empty body"],
  ["only white space", " \r\n", {}, "body", "empty body"],
  ["a cut document", '{"a":[1,2', {}, "body", "ends too early, after 9 characters"],
  ["broken JSON", '{"a":,}', {}, "body", 'expected a value at position 5, found ","'],
  ["20,000 levels", "[".repeat(20_000), {}, "body", "nested deeper than 256 levels"],
  [
    "Latin-1 without saying so",
    bytes(0x22, 0xe9, 0x22),
    {},
    "body",
    "not UTF-8, and its Content-Type names no charset",
  ],
  [
    "Latin-1 declared as UTF-8",
    bytes(0x22, 0xe9, 0x22),
    { type: "application/json;charset=utf-8" },
    "body",
    'not in the charset that the source declares, "utf-8"',
  ],
  ["an unknown charset", "{}", { type: "application/json; charset=klingon" }, "body", 'declares the charset "klingon"'],
  ["GraphQL that refuses", '{"errors":[{"message":"no such field"}]}', {}, "body", "errors and no data: no such field"],
  [
    "GraphQL with null data",
    '{"data":null,"errors":[{"message":"x"}],"extensions":{}}',
    {},
    "body",
    "errors and no data: x",
  ],
  ["401", "", { status: 401 }, "auth", "check the watch's secret"],
  ["403", "{}", { status: 403 }, "auth", "may read"],
  ["404", "{}", { status: 404 }, "status", "check the address"],
  ["429", "{}", { status: 429 }, "throttled", "poll less often"],
  ["503", "{}", { status: 503 }, "throttled", "503"],
  ["500", "{}", { status: 500 }, "status", "a fault on its side"],
  ["302", "", { status: 302 }, "status", "use the final address"],
  ["418", "{}", { status: 418 }, "status", "418"],
];
test.each(problems)("%s fails with its cause", (_name, body, options, about, problem) => {
  expect(read(body, options)).toEqual({
    kind: "failed",
    about: about as "body",
    problem: expect.stringContaining(problem),
  });
});
