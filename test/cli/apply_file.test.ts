// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are the variables of the file
import { describe, expect, test } from "bun:test";
import { type ConfigDocument, readDocument } from "../../src/cli/as_code/document.ts";
import { readDeclaration } from "../../src/cli/as_code/file.ts";
import { escaped, fillIn } from "../../src/cli/as_code/variables.ts";
import { stringifyJson } from "../../src/platform/json.ts";

const ENVIRONMENT = { NAME: "value", EMPTY: "", BRACES: "{a}${NAME}" };

describe("variables", () => {
  const table: [text: string, filled: string][] = [
    ["${NAME}", "value"],
    ["a ${NAME} and ${NAME}", "a value and value"],
    ["${BRACES}", "{a}${NAME}"],
    ["${UNSET:-https://a.example:8080/x}", "https://a.example:8080/x"],
    ["${EMPTY:-default}", "default"],
    ["${EMPTY}", ""],
    ["${UNSET:-}", ""],
    ["$.order.status", "$.order.status"],
    ["$[?@.a == '$']", "$[?@.a == '$']"],
    ["$$", "$$"],
    ["$${NAME}", "${NAME}"],
    ["$$${NAME}", "$${NAME}"],
    ["$${a${NAME}", "${avalue"],
  ];
  test.each(table)("%s becomes %s", (text, filled) => {
    const refused: string[] = [];
    expect(fillIn(text, ENVIRONMENT, (message) => refused.push(message))).toBe(filled);
    expect(refused).toEqual([]);
  });

  const refusals: [text: string, says: string][] = [
    ["${UNSET}", "the environment variable UNSET is not set"],
    ["${1}", "${1} is no variable"],
    ["${}", "is no variable"],
    ["${NAME", "is no variable"],
    ["${NA ME}", "and $${ for the characters themselves"],
  ];
  test.each(refusals)("%s is refused", (text, says) => {
    const refused: string[] = [];
    fillIn(text, ENVIRONMENT, (message) => refused.push(message));
    expect(refused).toHaveLength(1);
    expect(refused[0]).toContain(says);
  });

  test.each(["${NAME}", "$${NAME}", "$", "$$", "${", "$$${${{", "$.a", "}{"])(
    "%s is written so that it is read back",
    (text) => {
      expect(fillIn(escaped(text), ENVIRONMENT, (message) => expect(message).toBe(""))).toBe(text);
    },
  );
});

describe("a file", () => {
  const read = (text: string) => readDocument(text, ENVIRONMENT);
  const jsonOf = (text: string) => stringifyJson(read(text).value);

  test("takes bare variables inside of flow mappings", () => {
    expect(jsonOf("{a: ${NAME}, b: [${UNSET:-x}, ${NAME}]}")).toBe('{"a":"value","b":["x","value"]}');
  });

  test("is not broken by what a variable holds", () => {
    expect(jsonOf("a: ${BRACES}\nb: 1")).toBe('{"a":"{a}${NAME}","b":1}');
  });

  test("keeps numbers exact, and values of variables texts", () => {
    expect(readDocument("[12345678901234567890, 0x1F, ${N}]", { N: "12" }).faults).toEqual([]);
    expect(stringifyJson(readDocument("[12345678901234567890, 0x1F, ${N}]", { N: "12" }).value)).toBe(
      '[12345678901234567890,31,"12"]',
    );
  });

  test("has anchors and merge keys", () => {
    expect(jsonOf("x-a: &a {every: 5m}\nb: {<<: *a, c: *a}")).toBe(
      '{"x-a":{"every":"5m"},"b":{"every":"5m","c":{"every":"5m"}}}',
    );
  });

  test("may be JSON", () => {
    expect(jsonOf('{"version": 1, "a": ["${NAME}", "\\u00e9"]}')).toBe('{"version":1,"a":["value","é"]}');
  });

  const faults: [text: string, place: string, says: string][] = [
    ["a: [1\nb: 2", "2:1", "not YAML: "],
    ["a: 1\na: 2", "2:1", "keys must be unique"],
    ["a: !env NAME", "1:4", "Unresolved tag"],
    ["a: 1\n---\nb: 1", "2:1", "multiple documents"],
    ["a:\n  - b: x\n    c: ${UNSET}", "3:8", "UNSET is not set"],
    ["a: .nan", "1:4", "must be a number that JSON can hold"],
    [
      `a: &a [1]\n${"b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]"}`,
      "1:1",
      "alias",
    ],
  ];
  test.each(faults)("%j is refused at its place", (text, place, says) => {
    const [fault] = read(text).faults;
    expect(`${fault?.line}:${fault?.column}`).toBe(place);
    expect(fault?.message).toContain(says);
  });

  test("knows the place of a pointer, or the nearest around it", () => {
    const document = read("version: 1\nwatches:\n  - name: a\n    fields: {b/c: $.a}\n  - {name: b}\n");
    const place = ({ at }: ConfigDocument, pointer: string) => {
      const { line, column } = at(pointer, "");
      return `${line}:${column}`;
    };
    expect(place(document, "/version")).toBe("1:1");
    expect(place(document, "/watches/0/fields/b~1c")).toBe("4:14");
    expect(place(document, "/watches/1")).toBe("5:5");
    expect(place(document, "/watches/1/schedule/every")).toBe("5:5");
    expect(place(document, "/nothing")).toBe("1:1");
  });
});

describe("a declaration is refused for", () => {
  const watch = { name: "a", request: { url: "https://a.example/" }, schedule: { every: "30s" }, fields: { a: "$.a" } };
  const endpoint = { name: "a", url: "https://a.example/" };
  const read = (file: unknown) =>
    readDeclaration(
      file,
      () => null,
      () => false,
    );
  const table: [says: string, pointer: string, file: unknown][] = [
    ["must be an object", "", null],
    ['write "version: 1"', "", {}],
    ['write "version: 1"', "/version", { version: 2 }],
    ['did you mean "watches"?', "/wtches", { version: 1, wtches: [] }],
    ["must be a list", "/watches", { version: 1, watches: { a: watch } }],
    ["must be an object", "/watches/0", { version: 1, watches: ["a"] }],
    ["is required", "/watches/0/name", { version: 1, watches: [{ ...watch, name: undefined }] }],
    ['did you mean "schedule"?', "/watches/0/shedule", { version: 1, watches: [{ ...watch, shedule: 1 }] }],
    ["not a JSONPath", "/watches/0/fields/a", { version: 1, watches: [{ ...watch, fields: { a: "$[" } }] }],
    [
      "must be a duration from 1s",
      "/watches/0/schedule/every",
      { version: 1, watches: [{ ...watch, schedule: { every: 0 } }] },
    ],
    ['write "secret"', "/watches/0/secret_id", { version: 1, watches: [{ ...watch, secret_id: "sec_1" }] }],
    ['write "endpoints"', "/watches/0/endpoint_ids", { version: 1, watches: [{ ...watch, endpoint_ids: [] }] }],
    ["the name of a secret", "/watches/0/secret", { version: 1, watches: [{ ...watch, secret: ["a"] }] }],
    ["a list of the names", "/watches/0/endpoints", { version: 1, watches: [{ ...watch, endpoints: "a" }] }],
    ["needs a name", "/endpoints/0", { version: 1, endpoints: [{ url: "https://a.example/" }] }],
    ["unknown property", "/endpoints/0/endpoints", { version: 1, endpoints: [{ ...endpoint, endpoints: [] }] }],
    [
      "must be an event type",
      "/endpoints/0/event_types/0",
      { version: 1, endpoints: [{ ...endpoint, event_types: ["a b"] }] },
    ],
    [
      "is set by DeltaHook itself",
      "/endpoints/0/headers/Webhook-Id",
      { version: 1, endpoints: [{ ...endpoint, headers: { "Webhook-Id": "a" } }] },
    ],
    ["/watches/0 is named", "/watches/1/name", { version: 1, watches: [watch, { ...watch, name: " a " }] }],
    ["must be a string", "/secrets/0/value", { version: 1, secrets: [{ name: "a", kind: "bearer", value: 1 }] }],
    ["unknown property", "/secrets/0/valeu", { version: 1, secrets: [{ name: "a", kind: "bearer", valeu: "x" }] }],
    [
      "is required",
      "/secrets/0/value/password",
      { version: 1, secrets: [{ name: "a", kind: "basic", value: { username: "b" } }] },
    ],
  ];
  test.each(table)("%s at %s", (says, pointer, file) => {
    const { faults } = read(file);
    expect(faults.map((fault) => fault.pointer)).toEqual([pointer]);
    expect(faults[0]?.message).toContain(says);
  });

  test("an unknown kind of secret, with and without a value", () => {
    for (const value of [undefined, "x"]) {
      expect(read({ version: 1, secrets: [{ name: "a", kind: "baerer", value }] }).faults).not.toEqual([]);
    }
    expect(read({ version: 1, secrets: [{ name: "a" }] }).faults).not.toEqual([]);
  });

  test("nothing, when all is right; x-… may hold what anchors name, and empty sections count", () => {
    const file = {
      version: 1,
      "x-common": 1,
      secrets: [{ name: "a", kind: "bearer" }],
      endpoints: null,
      watches: [watch],
    };
    const { faults, resources, kinds } = read(file);
    expect(faults).toEqual([]);
    expect(resources.map(({ kind, name, pointer }) => [kind, name, pointer])).toEqual([
      ["secret", "a", "/secrets/0"],
      ["watch", "a", "/watches/0"],
    ]);
    expect([...kinds]).toEqual(["secret", "endpoint", "watch"]);
  });

  test("an address that may not be asked", () => {
    const refuse = () => "not a public address";
    const oauth = { token_url: "https://a.example/", client_id: "a", client_secret: "b" };
    const file = {
      version: 1,
      secrets: [{ name: "a", kind: "oauth2_client_credentials", value: oauth }],
      endpoints: [endpoint],
      watches: [watch],
    };
    expect(readDeclaration(file, refuse, () => false).faults).toEqual([
      { pointer: "/secrets/0/value/token_url", message: "not a public address" },
      { pointer: "/endpoints/0/url", message: "not a public address" },
      { pointer: "/watches/0/request/url", message: "not a public address" },
    ]);
  });
});
