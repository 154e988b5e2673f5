import { z } from "zod";

/** One line of text. Postgres takes no NUL, and a control character in a name only serves to deceive. */
export function line(max: number) {
  return z
    .string()
    .trim()
    .max(max, `write at most ${max} characters`)
    .regex(/^\P{Cc}*$/u, "write no control characters");
}
