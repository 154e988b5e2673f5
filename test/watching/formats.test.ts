import { describe, expect, test } from "bun:test";
import type { Json } from "../../src/platform/json.ts";
import { compileWatch } from "../../src/watching/compile.ts";
import { judge } from "../../src/watching/judge.ts";
import { type Reply, readReply } from "../../src/watching/reply.ts";
import { listsIn } from "../../src/watching/xml.ts";
import { parseWatch } from "./support.ts";

const xml = (text: string, ...lists: string[]) => read(text, { kind: "xml", lists: new Set(lists) });
const csv = (text: string) => read(text, { kind: "csv" });

function read(text: string, format: Parameters<typeof readReply>[1]): Reply {
  return readReply({ status: 200, contentType: "", bytes: new TextEncoder().encode(text) }, format);
}

const document = (found: unknown) => ({ kind: "document" as const, document: found as Json });
const failed = (problem: string) => ({
  kind: "failed" as const,
  about: "body" as const,
  problem: expect.stringContaining(problem),
});

describe("XML becomes JSON", () => {
  const documents: [name: string, text: string, lists: string[], found: unknown][] = [
    ["text", '<?xml version="1.0"?>\n<a>1</a>', [], { a: "1" }],
    ["children by name", "<a><b>1</b><c> x </c></a>", [], { a: { b: "1", c: "x" } }],
    ["an empty element", "<a><b/><c></c></a>", [], { a: { b: "", c: "" } }],
    ["attributes and text", "<a id=\"4\" k='x'>t</a>", [], { a: { "@id": "4", "@k": "x", "#text": "t" } }],
    ["no guessing of numbers", "<a>007.10</a>", [], { a: "007.10" }],
    ["several of a name as a list", "<a><b>1</b><b>2</b></a>", [], { a: { b: ["1", "2"] } }],
    ["one of a name that is a list", "<a><b>1</b></a>", ["b"], { a: { b: ["1"] } }],
    ["entities of XML and character references", "<a>&lt;&amp;amp;&#65;&#x2019;</a>", [], { a: "<&amp;A’" }],
    ["a reference in an attribute", '<a b="&quot;&#10;x"/>', [], { a: { "@b": '"\nx' } }],
    ["unknown entities as they stand", "<a>&nbsp;x</a>", [], { a: "&nbsp;x" }],
    ["CDATA as it stands", "<a><![CDATA[<b>&amp;]]></a>", [], { a: "<b>&amp;" }],
    ["no comments or instructions", "<!-- c --><a><?x y?><!-- d -->1</a>", [], { a: "1" }],
    ["names with their prefix", '<s:a xmlns:s="u"><s:b>1</s:b></s:a>', [], { "s:a": { "@xmlns:s": "u", "s:b": "1" } }],
    ["a DTD is not obeyed", '<!DOCTYPE a [<!ENTITY e "boom">]><a>&e;</a>', [], { a: "&e;" }],
  ];
  test.each(documents)("%s", (_name, text, lists, found) => {
    expect(xml(text, ...lists)).toEqual(document(found));
  });

  test.each([
    ["as it declares itself", "", "ISO-8859-1", "é"],
    ["as its Content-Type says, whatever it declares", "application/xml; charset=windows-1251", "ISO-8859-1", "й"],
  ])("in the encoding %s", (_name, contentType, encoding, found) => {
    const bytes = Buffer.from(`<?xml version="1.0" encoding="${encoding}"?><a>\xe9</a>`, "latin1");
    expect(readReply({ status: 200, contentType, bytes }, { kind: "xml", lists: new Set() })).toEqual(
      document({ a: found }),
    );
  });

  const problems: [name: string, text: string, problem: string][] = [
    ["a tag that is not closed", "<a>\n<b>\n</a>", "line 3: Expected closing tag 'b'"],
    ["a cut document", "<a><b>1</b>", "line 1: "],
    ["a bare ampersand", "<a>\nx & y</a>", "line 2: "],
    ["JSON", '{"a":1}', "not XML, line 1"],
    ["two roots", "<a/><b/>", "2 root elements instead of one"],
    ["a login page", "<!DOCTYPE html><html><form/></html>", "an HTML page (a login page?)"],
    ["a login page as XHTML", '<?xml version="1.0"?><html><body/></html>', "an HTML page (a login page?)"],
    ["an external entity", '<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>', "External entities"],
    ["an element called constructor", "<a><constructor>1</constructor></a>", "constructor"],
    ["an element called __proto__", "<a><__proto__>1</__proto__></a>", "__proto__"],
    ["20,000 levels", "<a>".repeat(20_000) + "</a>".repeat(20_000), "nested tags"],
    ["2,000,001 characters", `<a>${"x".repeat(2_000_000)}</a>`, "more than the 2000000 of XML that are read"],
    ["a thousand laughs", `<!DOCTYPE a [${'<!ENTITY e "x">'.repeat(2_000)}]><a>&e;</a>`, "Entity count"],
  ];
  test.each(problems)("not %s", (_name, text, problem) => {
    expect(xml(text)).toEqual(failed(problem));
  });

  test.each([
    ["$.orders.order[*]", "order"],
    ["$.orders.order[0].status", "order"],
    ["$..item[?@.a == '1']", "item"],
    ["$['soap:Body']['m:row'][1:2]", "m:row"],
  ])("%s takes %s for a list", (path, name) => {
    expect([...listsIn([path])]).toEqual([name]);
  });

  test("a path without lists takes none", () => {
    expect(listsIn(["$.a.b", "$['@id']", "$.*", "$..a"])).toEqual(new Set());
  });
});

describe("CSV becomes a list of objects", () => {
  const documents: [name: string, text: string, found: unknown][] = [
    [
      "by the names of its first row",
      "id,status\r\n1,new\r\n2,\n",
      [
        { id: "1", status: "new" },
        { id: "2", status: "" },
      ],
    ],
    ["with quotes", 'id,note\n1,"a ""b"", c\nd"\n', [{ id: "1", note: 'a "b", c\nd' }]],
    ["with semicolons", "id;price\n1;2,50\n", [{ id: "1", price: "2,50" }]],
    ["with tabs", "id\tx\n1\t2", [{ id: "1", x: "2" }]],
    ["with a byte order mark", "\ufeffid\n1", [{ id: "1" }]],
    ["without empty lines", "id\n\n1\n\n", [{ id: "1" }]],
    ["empty when there is only the first row", "id,status\n", []],
  ];
  test.each(documents)("%s", (_name, text, found) => expect(csv(text)).toEqual(document(found)));

  test("a column called __proto__ is plain data", () => {
    const reply = csv("__proto__,a\n1,2");
    expect(JSON.stringify(reply)).toContain('{"__proto__":"1","a":"2"}');
  });

  const problems: [name: string, text: string, problem: string][] = [
    ["a row that is too long", "id,status\n1,new\n2,new,3\n", "line 3"],
    ["a row that is too short", "id,status\n1\n", "line 2"],
    ["a quote that is not closed", 'id\n"abc', "line 2"],
    ["a column named twice", "id,id\n1,2\n", 'line 1 names the column "id" twice'],
    ["a sentence", "Service unavailable", "one line that names no columns"],
    ["XML", "<a/>", 'XML instead of CSV: set "format" to "xml"'],
    ["a login page", "<html></html>", "an HTML page (a login page?)"],
    ["1,001 columns", `${Array.from({ length: 1_001 }, (_, index) => index).join()}\n`, "more than 1000 columns"],
  ];
  test.each(problems)("not %s", (_name, text, problem) => expect(csv(text)).toEqual(failed(problem)));
});

describe("a collection in XML", () => {
  const watch = compileWatch(
    parseWatch({
      request: { url: "https://example.com" },
      format: "xml",
      items: {
        path: "$.orders.order[*]",
        key: "$['@id']",
        fields: { status: "$.status" },
        removed_after: 1,
        guard: false,
      },
    }),
  );
  const poll = (text: string) => {
    const reply = readReply({ status: 200, contentType: "", bytes: new TextEncoder().encode(text) }, watch.format);
    if (reply.kind !== "document") throw new Error("no document");
    return { watch, document: reply.document, complete: true, hash: String };
  };
  const rows = (text: string) =>
    new Map(judge({ ...poll(text), state: null }).state.upserts.map((row) => [row.key, row] as const));

  test("of one element is a list of one", () => {
    expect([...rows('<orders><order id="1"><status>new</status></order></orders>').keys()]).toContain('i:"1"');
  });

  test("without elements is empty, since XML has no other way to say so", () => {
    const state = rows('<orders><order id="1"><status>new</status></order></orders>');
    const [event] = judge({ ...poll("<orders/>"), state }).events;
    expect(event?.item).toMatchObject({ key: "1", kind: "removed" });
  });

  test("of a document with another root is absent, which fails the poll", () => {
    const state = rows("<orders/>");
    expect(judge({ ...poll("<error>try later</error>"), state })).toMatchObject({ outcome: "failed" });
  });
});
