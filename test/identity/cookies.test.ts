import { describe, expect, test } from "bun:test";
import { endedSessionCookie, readSessionCookie, sessionCookie } from "../../src/identity/cookies.ts";

describe("the session cookie", () => {
  test("has the __Host- name and Secure on https", () => {
    expect(sessionCookie("abc", true)).toBe(
      "__Host-deltahook=abc; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax; Secure",
    );
    expect(sessionCookie("abc", false)).toBe("deltahook=abc; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax");
    expect(endedSessionCookie(false)).toContain("Max-Age=0");
  });

  test.each([
    ["deltahook=abc", false, "abc"],
    ["theme=dark; deltahook=abc; other=1", false, "abc"],
    ["__Host-deltahook=abc", true, "abc"],
    ["deltahook=abc", true, null],
    ["__Host-deltahook=abc", false, null],
    ["xdeltahook=abc", false, null],
    ["deltahook=", false, null],
    [undefined, false, null],
  ])("is read from %p (https: %p)", (header, https, token) => {
    expect(readSessionCookie(header, https)).toBe(token);
  });
});
