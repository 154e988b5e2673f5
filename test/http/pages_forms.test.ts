import { describe, expect, test } from "bun:test";
import { isCurl, parseCurl } from "../../src/http/pages/curl.ts";
import { bodyOf, formOf, patchOf } from "../../src/http/pages/endpoint_form.ts";
import { localPath, themeCookie, themeOf } from "../../src/http/pages/visitor.ts";
import { parseJson, stringifyJson } from "../../src/platform/json.ts";
import { mergePatch, patchBetween } from "../../src/platform/merge_patch.ts";
import { pretty } from "../../views/deliveries.tsx";
import { relative } from "../../views/pieces.tsx";

describe("what is pasted as a source", () => {
  const plain = { method: "GET", headers: {}, body: null, credential: null };
  const url = "https://erp.example.com/orders?a=1&b=2";
  const accepted: [name: string, text: string, request: object][] = [
    ["an address alone", ` curl ${url.replace("&", "\\&")} `, { ...plain, url }],
    [
      "a command with quotes and continued lines",
      `curl '${url}' \\\n  -H 'Accept: text/json' \\\n  --compressed`,
      {
        ...plain,
        url,
        headers: { accept: "text/json" },
      },
    ],
    [
      "a body makes it a POST",
      `curl ${JSON.stringify(url)} -d '{"a": "it''s"}'`.replace("''", ""),
      {
        ...plain,
        url,
        method: "POST",
        body: { a: "its" },
      },
    ],
    [
      "a method of its own, attached",
      `curl -XPUT --url=${url}`.replaceAll("&", "\\&"),
      { ...plain, url, method: "PUT" },
    ],
    [
      "a bearer token moves out",
      `curl ${JSON.stringify(url)} -H "Authorization: Bearer abc.def"`,
      {
        ...plain,
        url,
        credential: { kind: "bearer", value: "abc.def" },
      },
    ],
    [
      "user and password move out",
      `curl -u ada:se:cret '${url}'`,
      {
        ...plain,
        url,
        credential: { kind: "basic", value: { username: "ada", password: "se:cret" } },
      },
    ],
    [
      "what the transport sets by itself is dropped",
      `curl '${url}' -H 'Host: x' -H 'Content-Length: 3' -o out.json`,
      {
        ...plain,
        url,
      },
    ],
    ["no scheme, as curl has it", "curl localhost:3000/x", { ...plain, url: "http://localhost:3000/x" }],
  ];
  for (const [name, text, request] of accepted) {
    test(`${name}`, () => expect<object>(parseCurl(text)).toEqual(request));
  }

  const refused: [text: string, says: string][] = [
    ["hello world", "no command that begins with curl"],
    ["curl -X POST", "names no address"],
    ["curl http://a.example -d 'a=b'", "is not JSON"],
    ["curl http://a.example -H nothing", "has no colon"],
    ["curl -u ada http://a.example", "user:password"],
  ];
  for (const [text, says] of refused) {
    test(`refused: ${text || "nothing"}`, () => expect(() => parseCurl(text)).toThrow(says));
  }

  test("a body keeps every digit, and only a command is one", () => {
    expect(stringifyJson(parseCurl(`curl ${url} -d '{"n":12345678901234567890}'`).body)).toBe(
      '{"n":12345678901234567890}',
    );
    expect(["curl x", " curl\n", "https://a.example/curl", "curly"].map(isCurl)).toEqual([true, true, false, false]);
  });
});

test("an endpoint's form says what it was made of, and a patch of it takes out headers that are gone", () => {
  const endpoint = {
    ...({
      id: "ep_1",
      kind: "subscribed",
      secret_id: null,
      filter: null,
      plugin: ["a", "b"],
      plugin_options: { x: 1 },
    } as const),
    ...{ name: "N", url: "https://a.example", event_types: ["a.*"], headers: { "x-old": "1", "x-kept": "***" } },
    ...{ retry: { delays: ["5s", "1m"] }, timeout: "10s", rate_limit: { per: "1s", max: 5 }, max_in_flight: 3 },
    ...{ ordered: true, auto_pause: false },
  } as unknown as Parameters<typeof patchOf>[1];
  const { ordered, auto_pause, ...texts } = formOf(endpoint);
  const body = bodyOf({ ...texts, ...(ordered ? { ordered: "on" } : {}), ...(auto_pause ? { auto_pause: "on" } : {}) });
  expect(body).toMatchObject({
    retry: { delays: ["5s", "1m"] },
    rate_limit: { per: "1s", max: 5 },
    ordered: true,
    auto_pause: false,
  });
  expect(patchOf({ ...body, headers: { "x-kept": "***" }, plugin_options: {} }, endpoint)).toMatchObject({
    headers: { "x-old": null, "x-kept": "***" },
    plugin_options: { x: null },
  });
});

for (const [before, after] of [
  [{ a: 1, b: { c: 1, d: [1] } }, { b: { c: 2, d: [1] } }],
  [{ a: { b: 1 } }, { a: [1] }],
  [{}, { a: { b: 1 } }],
] as const) {
  test(`a patch between ${JSON.stringify(before)} and ${JSON.stringify(after)} leads from one to the other`, () => {
    expect<unknown>(mergePatch(before, patchBetween(before, after))).toEqual(after);
  });
}

test("a patch between two numbers that no double holds is the new one", () => {
  const patch = patchBetween(parseJson('{"n":12345678901234567890}'), parseJson('{"n":12345678901234567891}'));
  expect(stringifyJson(patch)).toBe('{"n":12345678901234567891}');
});

for (const [path, leadsTo] of [
  ["/events?type=a", "/events?type=a"],
  ["//elsewhere.example", "/"],
  ["/\\elsewhere.example", "/"],
  ["https://elsewhere.example", "/"],
  ["/a\nb", "/"],
  ["", "/"],
  [undefined, "/"],
] as const) {
  test(`after signing in, ${JSON.stringify(path)} leads to ${leadsTo}`, () => expect(localPath(path)).toBe(leadsTo));
}

test("a look is kept by its cookie, and only one of the three", () => {
  expect(themeOf(new Headers({ cookie: "a=b; deltahook_theme=dark" }))).toBe("dark");
  expect(themeOf(new Headers({ cookie: "deltahook_theme=<script>" }))).toBe("auto");
  expect(themeCookie("x; Path=/evil")).toStartWith("deltahook_theme=auto; Path=/;");
});

test("JSON is spread out without touching a digit or a character", () => {
  const text = '{"a":12345678901234567890,"b":[1.0,"x,{}: y\\""],"c":{},"d":[]}';
  expect(pretty(text).replace(/\n */g, "").replaceAll(": ", ":").replaceAll("x,{}:y", "x,{}: y")).toBe(text);
  expect(pretty(text).split("\n")[1]).toBe('  "a": 12345678901234567890,');
  expect(pretty("<html>")).toBe("<html>");
});

for (const [seconds, text] of [
  [-90, "1 min. ago"],
  [0, "now"],
  [12, "in 12 sec."],
  [-7200, "2 hr. ago"],
] as const) {
  test(`${seconds} seconds are told as “${text}”`, () => expect(relative(seconds * 1000, 0)).toBe(text));
}
