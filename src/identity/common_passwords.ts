import { readFileSync } from "node:fs";

let loaded: Promise<ReadonlySet<string>> | undefined;

/**
 * The most common passwords of at least eight characters, in lower case: those of zxcvbn's dictionary, and our own list of
 * what that leaves out because zxcvbn finds it by rule (repeats, runs, years at the end). Read when first needed, since
 * most processes never set a password.
 */
export function commonPasswords(): Promise<ReadonlySet<string>> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<ReadonlySet<string>> {
  const { dictionary } = await import("@zxcvbn-ts/language-common");
  const own = readFileSync(new URL("./common_passwords.txt", import.meta.url), "utf8").split(/\s+/);
  return new Set([...dictionary["passwords-common"], ...own].filter((word) => word.length >= 8));
}
