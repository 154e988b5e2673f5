import { z } from "zod";
import { formatDuration, parseDuration } from "../platform/durations.ts";
import { type IdKind, PREFIXES, parseId } from "../platform/ids.ts";
import { checkHeaders } from "../platform/outbound.ts";
import type { RetryPolicy } from "./retry.ts";

/** Says what is wrong with a URL that we shall call, as a sentence, or null. */
export type CheckUrl = (url: string) => string | null;

const DAY_MS = 86_400_000;
const MOST_HEADERS = 50;

/** Set by DeltaHook on each try (Standard Webhooks). */
const OWN_HEADERS = /^(?:webhook-.*|content-type|user-agent|x-deltahook-event)$/;

/** A duration as users write it → milliseconds within bounds. */
export function durationInput(leastMs: number, mostMs: number) {
  return z
    .union([z.string(), z.number()], { error: "must be a duration such as 500ms, 30s, 5m, 2h or 1d" })
    .transform((value, context) => {
      const ms = parseDuration(value);
      if (ms === null) return refuse(context, "must be a duration such as 500ms, 30s, 5m, 2h or 1d");
      if (ms >= leastMs && ms <= mostMs) return ms;
      return refuse(context, `must be from ${formatDuration(leastMs)} to ${formatDuration(mostMs)}`);
    });
}

/** A public id of one kind → its UUID. */
export function idInput(kind: IdKind) {
  return z
    .string()
    .transform((text, context) => parseId(kind, text) ?? refuse(context, `must be an id such as ${PREFIXES[kind]}_…`));
}

export function urlInput(checkUrl: CheckUrl) {
  return z
    .string()
    .max(4_000)
    .regex(/^[^\s\p{Cc}\p{Cs}]*$/u, { error: "must have no spaces and no control characters" })
    .superRefine((url, context) => {
      const fault = checkUrl(url);
      if (fault) context.addIssue({ code: "custom", message: fault });
    });
}

/** A name for people: any language, one line. */
export const nameInput = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, { error: "must have no control characters" });

/** Headers of one's own, names in lower case, so that no name can stand twice on the wire. */
export const headersInput = z
  .record(z.string().max(200), z.string().max(4_000))
  .transform((headers, context): Record<string, string> => {
    const names = Object.keys(headers);
    const lower = new Map(names.map((name) => [name.toLowerCase(), headers[name] ?? ""]));
    if (lower.size < names.length) refuse(context, "a header stands twice, in capitals and in small letters");
    if (lower.size > MOST_HEADERS) refuse(context, `must have at most ${MOST_HEADERS} headers`);
    for (const name of names) {
      const own = OWN_HEADERS.test(name.toLowerCase());
      const fault = own ? "is set by DeltaHook itself; take it out" : checkHeaders({ [name]: headers[name] ?? "" });
      if (fault) context.addIssue({ code: "custom", path: [name], message: fault });
    }
    return Object.fromEntries(lower);
  });

/** `{delays}` or `{attempts, first, factor, max}`. One object with rules, not a union, so that a fault names its place. */
export const retryInput = z
  .strictObject({
    delays: z
      .array(durationInput(0, 7 * DAY_MS))
      .max(50)
      .optional(),
    attempts: z.int().min(1).max(50).optional(),
    first: durationInput(0, 7 * DAY_MS).optional(),
    factor: z.number().min(1).max(10).optional(),
    max: durationInput(0, 7 * DAY_MS).optional(),
  })
  .transform(({ delays, attempts, first, factor, max }, context): RetryPolicy => {
    const grows = [attempts, first, factor, max].some((part) => part !== undefined);
    if (delays) return grows ? refuse(context, "has either delays, or attempts, first, factor and max") : { delays };
    if (attempts === undefined) return refuse(context, 'needs "delays", or "attempts" for delays that grow');
    return { attempts, first: first ?? 5_000, factor: factor ?? 2, max: max ?? DAY_MS };
  });

/** A retry policy as users write it. */
export function showRetry(policy: RetryPolicy) {
  if ("delays" in policy) return { delays: policy.delays.map(formatDuration) };
  const { attempts, first, factor, max } = policy;
  return { attempts, first: formatDuration(first), factor, max: formatDuration(max) };
}

function refuse(context: z.RefinementCtx, message: string): never {
  context.addIssue({ code: "custom", message });
  return z.NEVER;
}
