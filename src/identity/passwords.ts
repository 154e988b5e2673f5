import { hash, verify } from "@node-rs/argon2";
import { AppError } from "../platform/errors.ts";
import { commonPasswords } from "./common_passwords.ts";

export const PASSWORD_MIN = 8;
export const PASSWORD_MAX = 128;

/** OWASP's least for argon2id, which is this package's default algorithm: 19 MiB, 2 passes, 1 lane. */
const COST = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };
/** Of random bytes that nobody kept, at the same cost. */
const NOBODYS_HASH =
  "$argon2id$v=19$m=19456,t=2,p=1$Mnre2x7BnegUQZPyw+zriw$4wt14dmUuIFIMuiEQ50rnlz63JXEa8zZtnZ8Da0AXEo";
/** Logins must not eat the machine: each hash takes a core and 19 MiB. */
const HASHES_AT_ONCE = 2;
const HASHES_WAITING = 64;

let running = 0;
const waiting: (() => void)[] = [];

/** @throws AppError (503) when too many are waiting. */
export function hashPassword(password: string): Promise<string> {
  return inTurn(() => hash(normalize(password), COST));
}

/** Whether it is the password; takes as long when there is no hash to compare with (`null`). */
export async function verifyPassword(known: string | null, password: string): Promise<boolean> {
  const same = await inTurn(() => verify(known ?? NOBODYS_HASH, normalize(password)));
  return same && known !== null;
}

/**
 * The rules of OWASP ASVS 5, 6.2: length only, no composition, and none of the most common.
 * @returns what is wrong and what to write instead, or null.
 */
export async function passwordFault(password: string, email?: string): Promise<string | null> {
  const length = [...normalize(password)].length;
  if (length < PASSWORD_MIN) return `write at least ${PASSWORD_MIN} characters; several words make a good password`;
  if (length > PASSWORD_MAX) return `write at most ${PASSWORD_MAX} characters`;
  const plain = normalize(password).toLowerCase();
  if ((await commonPasswords()).has(plain)) return "this is one of the most common passwords; choose another";
  if (new Set(plain).size === 1) return "this is one character repeated; choose another";
  if (email !== undefined && plain === email.trim().toLowerCase()) return "this is the email address; choose another";
  return null;
}

/** The same password typed on another keyboard may come decomposed (RFC 8265, 4.2). */
function normalize(password: string): string {
  return password.normalize("NFC");
}

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= HASHES_AT_ONCE) await turn();
  else running++;
  try {
    return await work();
  } finally {
    // The place is handed on, not given back: nobody can slip in between.
    const next = waiting.shift();
    if (next) next();
    else running--;
  }
}

function turn(): Promise<void> {
  if (waiting.length >= HASHES_WAITING) {
    const message = "Too many people are signing in at once; try again in a few seconds.";
    throw new AppError("unavailable", message, { retryAfterSeconds: 5 });
  }
  return new Promise((resolve) => waiting.push(resolve));
}
