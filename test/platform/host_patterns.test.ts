import { expect, test } from "bun:test";
import { boundFault, isWithin, normalPattern } from "../../src/platform/host_patterns.ts";

test.each([
  ["erp.example.com", "erp.example.com"],
  [" ERP.Example.com. ", "erp.example.com"],
  ["bücher.example", "xn--bcher-kva.example"],
  ["*.Example.com", "*.example.com"],
  ["erp.example.com:08443", "erp.example.com:8443"],
  ["10.0.0.5:80", "10.0.0.5:80"],
  ["[FD00::5]:8080", "[fd00::5]:8080"],
  ["localhost", "localhost"],
])("%s is the pattern %s", (text, normal) => {
  expect(normalPattern(text)).toBe(normal);
});

test.each([
  "",
  "*",
  "*.",
  "a.*.example.com",
  "https://erp.example.com",
  "erp.example.com/path",
  "user@erp.example.com",
  "erp.example.com:0",
  "erp.example.com:65536",
  "erp.example.com:x",
  "*.10.0.0.5",
  "fd00::5",
  "a b",
])("%p is no pattern", (text) => {
  expect(normalPattern(text)).toBeNull();
});

test.each([
  ["https://erp.example.com/x", true],
  ["http://erp.example.com:8080/", true],
  ["https://ERP.example.com./", true],
  ["https://a.b.example.org/", true],
  ["https://example.org/", false],
  ["https://evilexample.org/", false],
  ["https://erp.example.com.evil.example/", false],
  ["https://evil.example/erp.example.com", false],
  ["https://erp.example.com@evil.example/", false],
  ["https://[fd00::5]:8080/", true],
  ["https://[fd00::5]/", false],
  ["http://10.0.0.5/", true],
  ["http://012.0.0.5/", true],
  ["https://10.0.0.5/", false],
])("what is bound may go to %s: %p", (url, may) => {
  const hosts = ["erp.example.com", "*.example.org", "[fd00::5]:8080", "10.0.0.5:80"];
  expect(boundFault(hosts, url) === null).toBe(may);
  expect(boundFault(null, url)).toBeNull();
});

test("a refusal names the port where that is what keeps them apart", () => {
  expect(boundFault(["erp.example.com:443"], "http://erp.example.com/")).toContain(
    "must not go to erp.example.com:80.",
  );
  expect(boundFault(["erp.example.com"], "https://evil.example/")).toContain("must not go to evil.example.");
});

test.each<[string[] | null, string[] | null, boolean]>([
  [null, null, true],
  [null, ["a.example"], true],
  [["a.example"], null, false],
  [["a.example"], ["a.example"], true],
  [["a.example"], ["a.example:443"], true],
  [["a.example:443"], ["a.example"], false],
  [["a.example"], ["a.example", "b.example"], false],
  [["a.example", "b.example"], ["b.example"], true],
  [["*.example"], ["*.a.example", "b.example:1"], true],
  [["*.a.example"], ["*.example"], false],
  [["*.a.example"], ["a.example"], false],
  [["a.example"], ["*.a.example"], false],
])("of %p, %p is no more: %p", (wider, narrower, within) => {
  expect(isWithin(wider, narrower)).toBe(within);
});
