import { z } from "zod";
import { parseDuration } from "../platform/durations.ts";
import { cronFault } from "./cron.ts";
import type { Schedule } from "./schedule.ts";

const LEAST_MS = 1_000;
const MOST_MS = 30 * 86_400_000;

const interval = z.union([z.string(), z.number()]).refine(isInterval, {
  error: 'must be a duration from 1s to 30d, such as "30s", "5m" or a number of seconds',
});

/**
 * A watch's `schedule` as users write it: `{every}`, `{every, adaptive: {min, max}}` or `{cron, timezone?}`. One object
 * with rules, not a union, so that a fault names its own place.
 */
export const scheduleInput = z
  .strictObject({
    every: interval.optional(),
    adaptive: z.strictObject({ min: interval, max: interval }).optional(),
    cron: z.string().max(200).optional(),
    timezone: z.string().max(100).optional(),
  })
  .superRefine((schedule, context) => {
    const refuse = (message: string, ...path: string[]) => context.addIssue({ code: "custom", path, message });
    const { every, adaptive, cron, timezone } = schedule;
    if ((every === undefined) === (cron === undefined)) return refuse('give either "every" or "cron"');
    if (cron !== undefined) {
      if (adaptive) refuse('"adaptive" goes with "every", not with "cron"', "adaptive");
      const fault = cronFault(cron, timezone ?? "UTC");
      if (fault) refuse(fault.message, fault.property);
      return;
    }
    if (timezone !== undefined) refuse('"timezone" goes with "cron", not with "every"', "timezone");
    // Zod comes here with members that were refused before, too: those are no durations.
    const [min, max] = [parseDuration(adaptive?.min), parseDuration(adaptive?.max)];
    if (min !== null && max !== null && min > max) refuse("min must not be above max", "adaptive", "min");
  });

export type ScheduleInput = z.infer<typeof scheduleInput>;

/** The schedule to run by; the input must have been validated. */
export function scheduleOf({ every, adaptive, cron, timezone }: ScheduleInput): Schedule {
  if (cron !== undefined) return { kind: "cron", cron, timezone: timezone ?? "UTC" };
  const everyMs = msOf(every);
  if (!adaptive) return { kind: "every", everyMs };
  return { kind: "adaptive", everyMs, minMs: msOf(adaptive.min), maxMs: msOf(adaptive.max) };
}

function isInterval(value: unknown): boolean {
  const ms = parseDuration(value);
  return ms !== null && ms >= LEAST_MS && ms <= MOST_MS;
}

function msOf(duration: unknown): number {
  const ms = parseDuration(duration);
  if (ms === null) throw new TypeError(`not a duration: ${duration}`);
  return ms;
}
