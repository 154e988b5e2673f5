import { expect, test } from "bun:test";
import { parseJson, stringifyJson } from "../../src/platform/json.ts";
import { mergePatch } from "../../src/platform/merge_patch.ts";

// RFC 7396, appendix A, and what our numbers add to it.
const CASES: [target: string, patch: string, merged: string][] = [
  [`{"a":"b"}`, `{"a":"c"}`, `{"a":"c"}`],
  [`{"a":"b"}`, `{"b":"c"}`, `{"a":"b","b":"c"}`],
  [`{"a":"b"}`, `{"a":null}`, `{}`],
  [`{"a":"b","b":"c"}`, `{"a":null}`, `{"b":"c"}`],
  [`{"a":["b"]}`, `{"a":"c"}`, `{"a":"c"}`],
  [`{"a":"c"}`, `{"a":["b"]}`, `{"a":["b"]}`],
  [`{"a":{"b":"c"}}`, `{"a":{"b":"d","c":null}}`, `{"a":{"b":"d"}}`],
  [`{"a":[{"b":"c"}]}`, `{"a":[1]}`, `{"a":[1]}`],
  [`["a","b"]`, `["c","d"]`, `["c","d"]`],
  [`{"a":"b"}`, `["c"]`, `["c"]`],
  [`{"a":"foo"}`, `null`, `null`],
  [`{"e":null}`, `{"a":1}`, `{"e":null,"a":1}`],
  [`[1,2]`, `{"a":"b","c":null}`, `{"a":"b"}`],
  [`{}`, `{"a":{"bb":{"ccc":null}}}`, `{"a":{"bb":{}}}`],
  [`{"body":{"n":1}}`, `{"body":{"n":12345678901234567890}}`, `{"body":{"n":12345678901234567890}}`],
  [`{"n":12345678901234567890}`, `{"m":1}`, `{"n":12345678901234567890,"m":1}`],
];

test.each(CASES)("%s patched by %s is %s", (target, patch, merged) => {
  expect(stringifyJson(mergePatch(parseJson(target), parseJson(patch)))).toBe(merged);
});
