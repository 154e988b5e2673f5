import { HookshotError } from "./error.ts";
import type { Duration } from "./types.ts";

const UNITS: Record<string, number> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A duration as users write it → milliseconds. `name` says in an error what it was for. */
export function milliseconds(duration: Duration, name: string): number {
  const [, count, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(String(duration).trim()) ?? [];
  if (count !== undefined) return Math.round(Number(count) * (UNITS[unit] ?? 1_000));
  throw new HookshotError(
    "invalid",
    `${name} ${JSON.stringify(duration)}: write a duration such as 500ms, 30s, 5m, 2h or 1d, or a number of seconds.`,
  );
}
