import { z } from "zod";
import { isSystemType } from "../platform/system_types.ts";
import { type CheckUrl, durationInput, headersInput, idInput, retryInput, urlInput } from "./input.ts";

export const MOST_EVENTS = 500;
const MOST_RECIPIENTS = 100;

const eventType = z
  .string()
  .regex(/^[A-Za-z0-9_.:/-]{1,200}$/, { error: "must be 1 to 200 letters, digits and _ . : / -" })
  .refine((type) => !isSystemType(type), {
    error: "is the name of an event that DeltaHook itself states; choose another",
  });

export const idempotencyKey = z
  .string()
  .regex(/^[^\p{Cc}\p{Cs}]{1,255}$/u, { error: "must have 1 to 255 characters, none of them a control character" });

/** The body that states one event. `data` itself is taken from the text of the request, not from here. */
export function eventInput(checkUrl: CheckUrl) {
  return z
    .strictObject({
      type: eventType,
      data: z.unknown().refine((data) => data !== undefined, { error: "is required" }),
      endpoint_ids: z.array(idInput("endpoint")).max(MOST_RECIPIENTS).default([]),
      url: urlInput(checkUrl).optional(),
      headers: headersInput.optional(),
      retry: retryInput.optional(),
      timeout: durationInput(100, 300_000).optional(),
      dead_letter_retention: durationInput(3_600_000, 3650 * 86_400_000).optional(),
      idempotency_key: idempotencyKey.optional(),
    })
    .superRefine(({ url, endpoint_ids, headers, retry, timeout, dead_letter_retention }, context) => {
      const refuse = (name: string, message: string) => context.addIssue({ code: "custom", path: [name], message });
      if (url !== undefined && endpoint_ids.length > 0) refuse("url", 'cannot stand together with "endpoint_ids"');
      if (url?.startsWith("deltahook:")) refuse("url", "is built in: create an endpoint with this address instead");
      if (url === undefined && headers) refuse("headers", 'goes only with "url"; an endpoint has headers of its own');
      if (url === undefined && retry) refuse("retry", 'goes only with "url"; an endpoint has a policy of its own');
      if (url === undefined && timeout !== undefined) {
        refuse("timeout", 'goes only with "url"; an endpoint has one of its own');
      }
      if (url === undefined && dead_letter_retention !== undefined) {
        refuse("dead_letter_retention", 'goes only with "url"; for all others the setting RETAIN_DEAD_LETTERS holds');
      }
    });
}

export type EventInput = z.output<ReturnType<typeof eventInput>>;

export function eventBatchInput(checkUrl: CheckUrl) {
  return z.strictObject({ events: z.array(eventInput(checkUrl)).min(1).max(MOST_EVENTS) });
}

/** Whom to send an event to once more; empty or absent: those that it was owed to. */
export const replayInput = z
  .strictObject({ endpoint_ids: z.array(idInput("endpoint")).max(MOST_RECIPIENTS).default([]) })
  .optional()
  .transform((body) => body?.endpoint_ids ?? []);
