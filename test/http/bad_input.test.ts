import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type CallOptions, type TestApp, testApp } from "./support.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp();
});
afterAll(() => app.close());

const editor = { as: "editor" } as const;
const chunks = (size: number, count: number) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      for (let i = 0; i < count; i++) controller.enqueue(new Uint8Array(size).fill(0x20));
      controller.close();
    },
  });

type Case = [name: string, method: string, path: string, options: CallOptions, status: number, detail: RegExp];

const cases: Case[] = [
  ["a body that is cut off", "POST", "/v1/probe/x", { ...editor, body: '{"name":' }, 400, /not JSON.*ends too early/],
  ["a fault on a later line", "POST", "/v1/probe/x", { ...editor, body: '{\n  "name": x}' }, 400, /line 2, column 11/],
  ["an empty body", "POST", "/v1/probe/x", editor, 400, /body is missing.*application\/json/],
  ["nesting without end", "POST", "/v1/probe/x", { ...editor, body: "[".repeat(100_000) }, 400, /nested deeper/],
  ["a string for an object", "POST", "/v1/probe/x", { ...editor, body: '"x"' }, 422, /must be an object, not a string/],
  ["null for an object", "POST", "/v1/probe/x", { ...editor, body: "null" }, 422, /must be an object, not null/],
  [
    "a number for a string",
    "POST",
    "/v1/probe/x",
    { ...editor, body: { name: 1 } },
    422,
    /\/name: must be a string, not a number/,
  ],
  ["a missing property", "POST", "/v1/probe/x", { ...editor, body: {} }, 422, /\/name: is required/],
  ["an empty string", "POST", "/v1/probe/x", { ...editor, body: { name: "" } }, 422, /\/name: must not be empty/],
  [
    "too long a string",
    "POST",
    "/v1/probe/x",
    { ...editor, body: { name: "x".repeat(11) } },
    422,
    /at most 10 characters/,
  ],
  [
    "a fraction for a whole number",
    "POST",
    "/v1/probe/x",
    { ...editor, body: { name: "a", size: 1.5 } },
    422,
    /\/size: must be a whole number/,
  ],
  [
    "a number out of range",
    "POST",
    "/v1/probe/x",
    { ...editor, body: { name: "a", size: 6 } },
    422,
    /\/size: must be at most 5/,
  ],
  [
    "a number beyond a double",
    "POST",
    "/v1/probe/x",
    { ...editor, body: '{"name":"a","size":12345678901234567890}' },
    422,
    /\/size: must be/,
  ],
  [
    "a word that is no choice",
    "POST",
    "/v1/probe/x",
    { ...editor, body: { name: "a", kind: "blue" } },
    422,
    /one of "red", "green"/,
  ],
  [
    "an unknown property",
    "POST",
    "/v1/probe/x",
    { ...editor, body: { name: "a", sise: 1 } },
    422,
    /\/sise: unknown property; did you mean "size"\?/,
  ],
  [
    "an unknown property of a form among several",
    "POST",
    "/v1/probe/x",
    { ...editor, body: { name: "a", path: { path: "$", tolerence: 1 } } },
    422,
    /\/path\/tolerence: unknown property; did you mean "tolerance"/,
  ],
  [
    "a fault inside a list",
    "POST",
    "/v1/probe/x",
    { ...editor, body: { name: "a", list: [{ key: "k" }, { key: 2 }] } },
    422,
    /\/list\/1\/key: must be a string/,
  ],
  [
    "a prototype",
    "POST",
    "/v1/probe/x",
    { ...editor, body: '{"name":"a","__proto__":{"admin":true}}' },
    422,
    /\/__proto__: unknown property/,
  ],
  [
    "10 MB at once",
    "POST",
    "/v1/probe/x",
    { ...editor, body: `{"name":"${"x".repeat(10_000_000)}"}` },
    413,
    /larger than the 1048576 bytes/,
  ],
  [
    "10 MB announced",
    "POST",
    "/v1/probe/x",
    { ...editor, body: "{}", headers: { "content-length": "10000000" } },
    413,
    /larger than/,
  ],
  [
    "no content-type",
    "POST",
    "/v1/probe/x",
    { ...editor, body: "{}", headers: { "content-type": "" } },
    415,
    /no content-type.*application\/json/,
  ],
  [
    "a form for JSON",
    "POST",
    "/v1/probe/x",
    { ...editor, body: "name=a", headers: { "content-type": "application/x-www-form-urlencoded" } },
    415,
    /send the body as application\/json/,
  ],
  ["no credentials", "GET", "/v1/secrets", {}, 401, /Authorization: Bearer/],
  [
    "a key that nobody has",
    "GET",
    "/v1/secrets",
    { headers: { authorization: "Bearer dhk_nobodyhasthiskey" } },
    401,
    /API key is not known/,
  ],
  [
    "another scheme",
    "GET",
    "/v1/secrets",
    { headers: { authorization: "Basic YTpi" } },
    401,
    /Authorization header cannot be read/,
  ],
  [
    "a forged login token",
    "GET",
    "/v1/secrets",
    { headers: { authorization: "Bearer eyJhbGciOiJub25lIn0.e30." } },
    401,
    /log in again/,
  ],
  ["a session that ended", "GET", "/v1/secrets", { headers: { cookie: "deltahook=gone" } }, 401, /session has ended/],
  [
    "a role that is too low",
    "POST",
    "/v1/secrets",
    { as: "viewer", body: {} },
    403,
    /has the role viewer; this needs editor/,
  ],
  ["a path with a typo", "GET", "/v1/secretz", editor, 404, /nothing at \/v1\/secretz\. Did you mean \/v1\/secrets\?/],
  ["a path with an id and a typo", "GET", "/v1/secretz/sec_1", editor, 404, /Did you mean \/v1\/secrets\/sec_1\?/],
  ["a path like no other", "GET", "/wp-login.php", {}, 404, /openapi\.json/],
  ["an id of another kind", "GET", "/v1/secrets/usr_0192f3a17c4470008000000000000001", editor, 404, /no secret/],
  ["an id that is not there", "GET", "/v1/secrets/sec_0192f3a17c4470008000000000000001", editor, 404, /no secret/],
  ["broken percent-encoding", "GET", "/v1/secrets/%zz", editor, 400, /percent-encoded/],
  ["U+0000 in the path", "GET", "/v1/secrets/a%00b", editor, 400, /percent-encoded/],
  ["another method", "DELETE", "/v1/secrets", editor, 405, /GET, HEAD, POST/],
  ["a cursor from nowhere", "GET", "/v1/secrets?cursor=abc", editor, 422, /\/cursor: is not a cursor/],
  [
    "a limit that is too high",
    "GET",
    "/v1/secrets?limit=201",
    editor,
    422,
    /\/limit: must be a whole number from 1 to 200/,
  ],
  ["a limit that is no number", "GET", "/v1/secrets?limit=many", editor, 422, /\/limit: must be a whole number/],
  ["an unknown parameter", "GET", "/v1/secrets?limitt=5", editor, 422, /did you mean "limit"/],
  ["a parameter where there are none", "GET", "/v1/secrets/sec_1?x=1", editor, 422, /no query parameter "x"/],
  ["a parameter given twice", "GET", "/v1/secrets?limit=1&limit=2", editor, 422, /"limit" twice/],
  [
    "a window that is no duration",
    "GET",
    "/v1/stats?window=soon",
    editor,
    422,
    /\/window: must be a duration from 1m to 7d/,
  ],
];

describe("what cannot be used is refused with a sentence", () => {
  for (const [name, method, path, options, status, detail] of cases) {
    test(`${status}: ${name}`, async () => {
      const { json, headers, ...answer } = await app.call(method, path, options);
      expect({ status: answer.status, detail: json?.detail }).toEqual({
        status,
        detail: expect.stringMatching(detail),
      });
      expect(headers.get("content-type")).toBe("application/problem+json");
      expect(json).toMatchObject({ status, type: expect.any(String), title: expect.any(String) });
    });
  }
});

test("every fault of a body is named at once, each with its JSON Pointer", async () => {
  const { json } = await app.call("POST", "/v1/probe/x", { as: "editor", body: { name: 1, size: "2", "a/b~c": 3 } });
  expect(json.errors.map((fault: { pointer: string }) => fault.pointer).sort()).toEqual(["/a~1b~0c", "/name", "/size"]);
});

test("405 lists what is possible in Allow, 401 says how to log in in WWW-Authenticate, 415 what is accepted in Accept", async () => {
  expect((await app.call("DELETE", "/v1/secrets", editor)).headers.get("allow")).toBe("GET, HEAD, POST");
  expect((await app.call("GET", "/v1/secrets")).headers.get("www-authenticate")).toStartWith("Bearer");
  const form = { ...editor, body: "a=b", headers: { "content-type": "text/plain" } };
  expect((await app.call("POST", "/v1/probe/x", form)).headers.get("accept")).toBe("application/json");
});

test("nothing is stored of what was refused", async () => {
  for (const body of [
    "{",
    "{}",
    { name: "x", kind: "bearer", value: "v", extra: 1 },
    { name: "x", kind: "odd", value: 1 },
  ]) {
    expect((await app.call("POST", "/v1/secrets", { ...editor, body })).status).toBeWithin(400, 423);
  }
  const [row] = await app.database.sql`select count(*)::int as n from deltahook.secrets`;
  expect(row).toEqual({ n: 0 });
});

test("a body without a length is counted as it comes", async () => {
  const send = (body: ReadableStream<Uint8Array>) =>
    app.server.handle(
      new Request("http://127.0.0.1:8080/v1/probe/x", {
        method: "POST",
        headers: { authorization: `Bearer ${app.keys.editor}`, "content-type": "application/json" },
        body,
      }),
    );
  expect((await send(chunks(65_536, 15))).status).toBe(400); // blanks: no JSON, but small enough
  expect((await send(chunks(65_536, 17))).status).toBe(413);
});

test("bytes that are no UTF-8 are refused, since replacing them would change what was sent", async () => {
  const response = await app.server.handle(
    new Request("http://127.0.0.1:8080/v1/probe/x", {
      method: "POST",
      headers: { authorization: `Bearer ${app.keys.editor}`, "content-type": "application/json" },
      body: new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]),
    }),
  );
  expect(response.status).toBe(400);
  expect(await response.text()).toContain("UTF-8");
});

test("what is right goes through, with exact numbers and the sender's own text", async () => {
  const body = '{ "name" : "ok", "size": 2.0 }';
  const { status, json } = await app.call("POST", "/v1/probe/a%2Fb", { ...editor, body });
  expect({ status, json }).toEqual({ status: 200, json: { id: "a/b", body: { name: "ok", size: 2 }, text: body } });
});
