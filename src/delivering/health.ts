/** What an endpoint's row of health holds. Times are milliseconds since 1970. */
export type Health = {
  pausedReason: "manual" | "gone" | "failing" | null;
  pausedSince: number | null;
  holdUntil: number | null;
  failingSince: number | null;
  warned: number;
  windowAt: number | null;
  windowTries: number;
  windowFailures: number;
  probeAt: number | null;
  probeStep: number;
};

/** What a batch of tries told about one endpoint. */
export type Tally = {
  successes: number;
  failures: number;
  gone: boolean;
  holdUntil: number | null;
  /** What the probe of a failing endpoint told, if one was among them. */
  probe: "passed" | "failed" | null;
};

export type HealthEvent =
  | { type: "endpoint.failing"; percent: number; since: number }
  | { type: "endpoint.paused"; reason: "gone" | "failing" }
  | { type: "endpoint.resumed" };

const WINDOW_MS = 5 * 60_000;
const WINDOW_TRIES = 10;
const WINDOW_SHARE = 0.7;
const GIVE_UP_AFTER_MS = 5 * 86_400_000;
const WARNINGS = [50, 70, 90];
const FIRST_PROBE_MS = 30_000;
const LAST_PROBE_MS = 10 * 60_000;

/**
 * The next state of an endpoint's health, and what to tell about it. One success ends a row of failures; a paused
 * endpoint goes on only by its probe, or it would flap with each try still in flight. Throttling (429, 503 with Retry-After) holds, and counts for nothing.
 */
export function nextHealth(
  health: Health,
  tally: Tally,
  now: number,
  autoPause: boolean,
): { health: Health; events: HealthEvent[] } {
  const next = { ...health };
  if (tally.holdUntil !== null) next.holdUntil = Math.max(tally.holdUntil, health.holdUntil ?? 0);
  if (tally.gone) return pauseFor(next, "gone", now);
  if (tally.successes > 0) Object.assign(next, { failingSince: null, warned: 0 });
  if (health.pausedReason === "failing" && tally.probe === "passed") return resume(next);
  countWindow(next, tally, now);
  if (tally.failures === 0) return { health: next, events: [] };
  if (tally.successes === 0) next.failingSince ??= now;
  if (health.pausedReason === "failing" && tally.probe === "failed") postponeProbe(next, now);
  if (health.pausedReason !== null || !autoPause) return { health: next, events: [] };
  if (breakerTrips(next) || (next.failingSince !== null && now - next.failingSince >= GIVE_UP_AFTER_MS)) {
    return pauseFor(next, "failing", now);
  }
  return { health: next, events: warnings(next, now) };
}

/** Opens at the first failure; successes count only while it is open, so that a calm endpoint costs no write. */
function countWindow(health: Health, tally: Tally, now: number): void {
  if (health.windowAt !== null && now - health.windowAt >= WINDOW_MS) {
    Object.assign(health, { windowAt: null, windowTries: 0, windowFailures: 0 });
  }
  if (health.windowAt === null && tally.failures === 0) return;
  health.windowAt ??= now;
  health.windowTries += tally.successes + tally.failures;
  health.windowFailures += tally.failures;
}

function breakerTrips(health: Health): boolean {
  return health.windowTries >= WINDOW_TRIES && health.windowFailures >= health.windowTries * WINDOW_SHARE;
}

function pauseFor(health: Health, reason: "gone" | "failing", now: number): { health: Health; events: HealthEvent[] } {
  if (health.pausedReason !== null && !(reason === "gone" && health.pausedReason === "failing"))
    return { health, events: [] };
  const probeAt = reason === "failing" ? now + FIRST_PROBE_MS : null;
  return {
    health: {
      ...health,
      pausedReason: reason,
      pausedSince: now,
      probeAt,
      probeStep: 0,
      windowAt: null,
      windowTries: 0,
      windowFailures: 0,
    },
    events: [{ type: "endpoint.paused", reason }],
  };
}

function resume(health: Health): { health: Health; events: HealthEvent[] } {
  return {
    health: {
      ...health,
      pausedReason: null,
      pausedSince: null,
      probeAt: null,
      probeStep: 0,
      windowAt: null,
      windowTries: 0,
      windowFailures: 0,
    },
    events: [{ type: "endpoint.resumed" }],
  };
}

function postponeProbe(health: Health, now: number): void {
  health.probeStep++;
  health.probeAt = now + Math.min(LAST_PROBE_MS, FIRST_PROBE_MS * 2 ** health.probeStep);
}

function warnings(health: Health, now: number): HealthEvent[] {
  if (health.failingSince === null) return [];
  const since = health.failingSince;
  const percent = ((now - since) / GIVE_UP_AFTER_MS) * 100;
  const due = WARNINGS.filter((warning) => warning > health.warned && percent >= warning);
  health.warned = due.at(-1) ?? health.warned;
  return due.slice(-1).map((warning) => ({ type: "endpoint.failing", percent: warning, since }));
}
