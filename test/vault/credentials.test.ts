import { describe, expect, test } from "bun:test";
import { applyCredential, headerSecrets, redactor } from "../../src/vault/credentials.ts";

const url = "https://erp.example.com/api?a=1%2C2&b=x%20y#part";
const request = { url, headers: { accept: "application/json", AUTHORIZATION: "Basic old" } };

describe("applying a credential", () => {
  test("bearer sets Authorization, and wins over the request's own", () => {
    const applied = applyCredential({ kind: "bearer", token: "t0ken" }, request);
    expect(applied.headers).toEqual({ accept: "application/json", authorization: "Bearer t0ken" });
    expect(applied.secretHeaders).toEqual(["authorization"]);
    expect(applied.url).toBe(url);
  });

  test("basic encodes user name and password as UTF-8 (RFC 7617, section 2.1)", () => {
    const applied = applyCredential({ kind: "basic", username: "test", password: "123£" }, request);
    expect(applied.headers.authorization).toBe("Basic dGVzdDoxMjPCow==");
  });

  test("header puts its value under its own name", () => {
    const applied = applyCredential({ kind: "header", name: "X-Key", value: "v" }, request);
    expect(applied.headers).toEqual({ ...request.headers, "X-Key": "v" });
    expect(applied.secretHeaders).toEqual(["x-key"]);
  });

  test.each([
    ["https://a.example/x", "https://a.example/x?k%20y=v%26w"],
    ["https://a.example/x?", "https://a.example/x?k%20y=v%26w"],
    [url, "https://erp.example.com/api?a=1%2C2&b=x%20y&k%20y=v%26w#part"],
    ["https://a.example/x?k+y=old&z=1", "https://a.example/x?z=1&k%20y=v%26w"],
  ])("query adds its parameter to %s and leaves the others as they are", (given, expected) => {
    const applied = applyCredential({ kind: "query", name: "k y", value: "v&w" }, { url: given, headers: {} });
    expect(applied.url).toBe(expected);
    expect(applied.redact(applied.url)).not.toContain("v%26w");
  });
});

describe("redacting", () => {
  const secret = 'p/ä s+w="ö&rd?';
  const bytes = Buffer.from(secret, "utf8");
  const redact = redactor([secret]);

  test.each([
    ["raw", secret],
    ["percent-encoded", encodeURIComponent(secret)],
    ["percent-encoded in lower case", encodeURIComponent(secret).replace(/%../g, (byte) => byte.toLowerCase())],
    ["form-encoded", new URLSearchParams({ s: secret }).toString().slice(2)],
    ["as a URL writes it", new URL(`https://a.example/?${encodeURI(secret)}`).search.slice(1)],
    ["in JSON", JSON.stringify(secret).slice(1, -1)],
    ["Base64", bytes.toString("base64")],
    ["Base64 for URLs", bytes.toString("base64url")],
  ])("takes out the secret written %s", (_how, written) => {
    expect(redact(`before ${written} after`)).toBe("before *** after");
  });

  test("takes out a whole Basic value, and leaves other text alone", () => {
    const applied = applyCredential({ kind: "basic", username: "u", password: "hunter2hunter2" }, request);
    expect(applied.redact(`got ${applied.headers.authorization}`)).toBe("got Basic ***");
    expect(applied.redact("connection refused")).toBe("connection refused");
  });

  test("is not misled by special characters of patterns, nor by an empty secret", () => {
    expect(redactor(["a.c"])("abc a.c")).toBe("abc ***");
    expect(redactor([""])("abc")).toBe("abc");
  });
});

describe("a credential that others say back", () => {
  const secret = "s3cr3t/value+with=all?";
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const spelt: [how: string, text: string][] = [
    ["in capitals", secret.toUpperCase()],
    ["percent-encoded twice", encodeURIComponent(encodeURIComponent(secret))],
    ["in hexadecimal", Buffer.from(secret).toString("hex")],
    ["in Base64 behind one byte", base64(`u${secret}.`)],
    ["in Base64 behind two bytes", base64(`u:${secret}.`)],
    ["in Base64 behind many", base64(`Bearer ${secret} and more`)],
  ];
  test.each(spelt)("is taken out %s", (_how, text) => {
    const left = redactor([secret])(`before ${text} after`);
    expect(left).toContain("***");
    expect(Buffer.from(left.replaceAll("***", ""), "base64").toString()).not.toContain(secret.slice(2, 8));
    expect(left.toLowerCase()).not.toContain(secret.slice(2, 8));
  });

  const headers: [value: string, secrets: string[]][] = [
    ["Bearer abcdefghij", ["Bearer abcdefghij", "abcdefghij"]],
    [`Basic ${base64("user:pass word")}`, ["pass word"]],
    ["session=abcdefghij; path=/", ["abcdefghij"]],
    ["short", ["short"]],
  ];
  test.each(headers)("of a header is its value and what of it stands alone: %s", (value, secrets) => {
    for (const each of secrets) expect(headerSecrets(value)).toContain(each);
    expect(headerSecrets(value)).not.toContain("Bearer");
    expect(headerSecrets(value)).not.toContain("path");
  });
});
