import { readFileSync } from "node:fs";

/** The most common passwords of at least eight characters, in lower case, as leaks have shown them again and again. */
export const COMMON_PASSWORDS: ReadonlySet<string> = new Set(
  readFileSync(new URL("./common_passwords.txt", import.meta.url), "utf8")
    .split(/\s+/)
    .filter(Boolean),
);
