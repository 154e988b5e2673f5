import { describe, expect, test } from "bun:test";
import { parseOptions } from "@node-rs/argon2";
import { commonPasswords } from "../../src/identity/common_passwords.ts";
import { hashPassword, passwordFault, verifyPassword } from "../../src/identity/passwords.ts";

describe("passwords", () => {
  test.each([
    ["kürzer7", "at least 8"],
    ["🔑🔑🔑🔑🔑🔑🔑", "at least 8"],
    ["x1".repeat(65), "at most 128"],
    ["password123", "most common"],
    ["QWERTYuiop", "most common"],
    ["12341234", "most common"],
    ["Trustno1", "most common"],
    ["zzzzzzzzzzz", "one character repeated"],
    ["Ada@Example.com", "the email address"],
  ])("refuse %s", async (password, cause) => {
    expect(await passwordFault(password, "ada@example.com")).toContain(cause);
  });

  test.each(["no digits or capitals needed", "🔑🚪🏠🌳🐈🚲☕📚", "x1".repeat(64), "        leading spaces count"])(
    "take %s, for there are no rules of composition",
    async (password) => {
      expect(await passwordFault(password, "ada@example.com")).toBeNull();
    },
  );

  test("know more of the most common than the 3,000 of ASVS, all in lower case and long enough to matter", async () => {
    const common = [...(await commonPasswords())];
    expect(common.length).toBeGreaterThanOrEqual(15_000);
    expect(common.filter((word) => word !== word.toLowerCase() || word.length < 8)).toEqual([]);
  });

  test("are hashed by argon2id with m=19456, t=2, p=1 and a salt of their own", async () => {
    const [one, two] = await Promise.all([hashPassword("the same words"), hashPassword("the same words")]);
    expect(one).toStartWith("$argon2id$");
    expect(parseOptions(one)).toMatchObject({ memoryCost: 19_456, timeCost: 2, parallelism: 1 });
    expect(one).not.toBe(two);
  });

  test("are recognised, composed or decomposed, and nothing else is", async () => {
    const hash = await hashPassword("Zoë's bücher");
    expect(await verifyPassword(hash, "Zoë's bücher".normalize("NFD"))).toBe(true);
    expect(await verifyPassword(hash, "zoë's bücher")).toBe(false);
    expect(await verifyPassword(null, "Zoë's bücher")).toBe(false);
  });

  test("are hashed in turn, and a flood is turned away with a time to come back", async () => {
    const flood = await Promise.allSettled(Array.from({ length: 90 }, () => verifyPassword(null, "x")));
    const refused = flood.filter((result) => result.status === "rejected");
    expect(refused.length).toBe(90 - 2 - 64);
    expect(refused[0]?.reason).toMatchObject({ code: "unavailable", retryAfterSeconds: 5 });
    expect(await verifyPassword(null, "x")).toBe(false);
  });
});
