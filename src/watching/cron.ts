import { Cron } from "croner";

/** What is wrong with a cron schedule, and which property it is; `null` when it can be used. */
export function cronFault(cron: string, timezone: string): { property: "cron" | "timezone"; message: string } | null {
  if (!isTimezone(timezone)) {
    return { property: "timezone", message: `"${timezone}" is not an IANA time zone such as "Europe/Vienna"` };
  }
  try {
    if (nextCron(cron, timezone, Date.UTC(2024, 0, 1)) !== null) return null;
    return { property: "cron", message: "this never comes due" };
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^CronPattern: /, "") : String(error);
    return {
      property: "cron",
      message: `not a cron expression of 5 fields (minute hour day month weekday): ${reason}`,
    };
  }
}

/**
 * The first time after `afterMs` that a cron expression of 5 fields comes due, in milliseconds since 1970, or `null`
 * when there is none. Where clocks change croner's rule holds: a single fixed time that is skipped runs at the first
 * moment after the gap and a repeated one runs once; `*`, lists and steps skip the gap and run in both repeated hours.
 * @throws TypeError for an expression that does not parse.
 */
export function nextCron(cron: string, timezone: string, afterMs: number): number | null {
  return patternOf(cron, timezone).nextRun(new Date(afterMs))?.getTime() ?? null;
}

/** Parsing costs more than asking, and many watches share a schedule. */
const patterns = new Map<string, Cron>();

function patternOf(cron: string, timezone: string): Cron {
  const key = `${timezone} ${cron}`;
  const known = patterns.get(key);
  if (known) return known;
  const pattern = new Cron(cron, { timezone, mode: "5-part", paused: true });
  if (patterns.size >= 10_000) patterns.clear();
  patterns.set(key, pattern);
  return pattern;
}

function isTimezone(timezone: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: timezone });
    return true;
  } catch {
    return false;
  }
}
