import { z } from "zod";
import { filter, typePattern } from "./endpoint_input.ts";
import { idInput } from "./input.ts";
import type { ListenAnswer } from "./listen_store.ts";

const MOST_TYPES = 50;
const MOST_ANSWERS = 32;
const MOST_BODY_CHARS = 16_384;
const MOST_HEADERS = 100;

/** What to listen for, as query parameters: event types as a comma list. `listener`: go on with that one. */
export const listenQuery = z.strictObject({
  event_types: z
    .string()
    .default("*")
    .transform((list) => list.split(",").map((pattern) => pattern.trim()))
    .pipe(z.array(typePattern).max(MOST_TYPES)),
  filter: filter.optional(),
  listener: idInput("endpoint").optional(),
});

export type ListenQuery = z.output<typeof listenQuery>;

/** Names in lower case, as those of any answer. */
const headers = z
  .record(z.string().min(1).max(200), z.string().max(4_000))
  .refine((fields) => Object.keys(fields).length <= MOST_HEADERS, {
    error: `must have at most ${MOST_HEADERS} headers`,
  })
  .transform((fields) =>
    Object.fromEntries(Object.entries(fields).map(([name, value]) => [name.toLowerCase(), value])),
  );

const answer = z
  .strictObject({
    request: idInput("request"),
    status: z.int().min(200).max(599).optional(),
    headers: headers.optional(),
    body: z.string().max(MOST_BODY_CHARS).optional(),
    error: z
      .string()
      .regex(/^[^\p{Cc}\p{Cs}]{1,500}$/u, { error: "must be a sentence of at most 500 characters in one line" })
      .optional(),
  })
  .transform(({ request, status, headers, body, error }, context): { request: string; answer: ListenAnswer } => {
    if (error === undefined && status !== undefined) {
      return { request, answer: { status, headers: headers ?? {}, body: body ?? "" } };
    }
    if (error !== undefined && [status, headers, body].every((part) => part === undefined)) {
      return { request, answer: { error } };
    }
    context.addIssue({ code: "custom", message: "has either a status, with headers and body, or an error" });
    return z.NEVER;
  });

/** What became of requests where they were forwarded to. */
export const answersInput = z.strictObject({ answers: z.array(answer).min(1).max(MOST_ANSWERS) });
