import { publicId } from "../platform/ids.ts";
import { stringifyJson } from "../platform/json.ts";
import { backoffMs } from "./backoff.ts";
import type { EventDraft, Verdict } from "./judge.ts";
import { FRESH_PACE, intervalMs, learnPace, nextPoll, type Pace, phaseOf } from "./schedule.ts";
import type { Failure } from "./send.ts";
import type { StateChange } from "./state.ts";
import type { Due } from "./store.ts";
import type { KnownWatch } from "./watch_cache.ts";

/** What one run of a watch's request came to, for the log. Times are milliseconds since 1970. */
export type PollFacts = {
  id: string;
  startedAt: number;
  ms: number;
  lagMs: number;
  bytes: number;
  status: number | null;
};

export type Outcome = "baseline" | "unchanged" | "changed" | "held" | "failed";

export type SystemEvent = {
  type: "watch.failing" | "watch.recovered" | "watch.auth_failed" | "watch.held";
  data: string;
};

/** What a poll leaves behind, to be recorded in one transaction. */
export type Finding = {
  watch: { id: string; name: string; eventType: string; endpointIds: readonly string[] };
  job: string;
  /** The state that was judged; recorded only while it still stands. */
  stateVersion: number;
  poll: PollFacts;
  outcome: Outcome;
  changes: number;
  problem: string | null;
  note: string | null;
  state: StateChange;
  drafts: readonly EventDraft[];
  systemEvents: readonly SystemEvent[];
  status: {
    failures: number;
    failing: boolean;
    authFailed: boolean;
    /** What waits for a person to confirm or discard it, as JSON text; `keep` leaves what is there. */
    held: string | null | "keep";
  };
  nextPollAt: number | null;
  slow: boolean;
  pace: string | null;
};

/** What was held back: the poll, what it would have stated and recorded. */
export type Held = {
  poll_id: string;
  at: string;
  changes: number;
  problem: string | null;
  drafts: readonly EventDraft[];
  state: StateChange;
};

/** A pace as it is stored: with the time that it was learned. */
type StoredPace = Pace & { at: number };

const FAILING_AFTER = 3;
/** A watch is slow when a poll took longer than the one, and quick again below the other. */
const SLOW_FROM_MS = 2_000;
const QUICK_BELOW_MS = 1_000;

const NOTHING: StateChange = { upserts: [], deletes: [] };

/** Whether there is nothing to write down but a line in the log. */
export function isQuiet(due: Due, verdict: Verdict): boolean {
  return (
    verdict.outcome === "unchanged" &&
    verdict.problem === null &&
    verdict.notes.length === 0 &&
    verdict.state.upserts.length === 0 &&
    verdict.state.deletes.length === 0 &&
    isHealthy(due)
  );
}

/** Whether nothing is left over from failed or held polls. */
export function isHealthy(due: Due): boolean {
  return due.failures === 0 && !due.failing && !due.authFailed && !due.held && !due.troubled;
}

export function isSlow(due: Due, ms: number): boolean {
  return ms > SLOW_FROM_MS || (due.slow && ms >= QUICK_BELOW_MS);
}

/** When a watch is polled after a success, and what its adaptive schedule has learned. */
export function nextAfter(
  due: Due,
  watch: KnownWatch,
  poll: { startedAt: number; endedAt: number; moved: boolean },
): { nextPollAt: number | null; pace: string | null } {
  const { schedule } = watch.compiled;
  if (schedule.kind === "every") return { nextPollAt: due.nextPollAt, pace: null };
  const phase = phaseOf(due.id);
  if (schedule.kind === "cron") return { nextPollAt: nextPoll(schedule, { nowMs: poll.endedAt, phase }), pace: null };
  const before = due.pace === null ? null : (JSON.parse(due.pace) as StoredPace);
  const elapsedMs = before === null ? 0 : Math.max(0, poll.startedAt - before.at);
  const pace = learnPace(before ?? FRESH_PACE, { elapsedMs, changed: poll.moved });
  return {
    nextPollAt: nextPoll(schedule, { nowMs: poll.endedAt, phase, pace }),
    pace: JSON.stringify({ ...pace, at: poll.startedAt } satisfies StoredPace),
  };
}

/** What a poll with a document leaves behind. */
export function findingOf(due: Due, watch: KnownWatch, job: string, poll: PollFacts, verdict: Verdict): Finding {
  const isHeld = verdict.outcome === "held";
  const next = nextAfter(due, watch, {
    startedAt: poll.startedAt,
    endedAt: poll.startedAt + poll.ms,
    moved: verdict.moved,
  });
  const notes = due.held && !isHeld ? [...verdict.notes, "the held poll was overtaken by this one"] : verdict.notes;
  const systemEvents: SystemEvent[] = [];
  if (due.failing) systemEvents.push(systemEvent("watch.recovered", due, poll, { failures: due.failures }));
  if (isHeld && !due.held) {
    systemEvents.push(systemEvent("watch.held", due, poll, { problem: verdict.problem, changes: verdict.changes }));
  }
  return {
    watch: identity(due, watch),
    job,
    stateVersion: due.stateVersion,
    poll,
    outcome: verdict.outcome,
    changes: verdict.changes,
    problem: verdict.problem,
    note: notes.length === 0 ? null : notes.join("; "),
    state: isHeld ? NOTHING : verdict.state,
    drafts: isHeld ? [] : verdict.events,
    systemEvents,
    status: { failures: 0, failing: false, authFailed: false, held: isHeld ? writeHeld(poll, verdict) : null },
    nextPollAt: next.nextPollAt,
    slow: isSlow(due, poll.ms),
    pace: next.pace,
  };
}

/** What a failed poll leaves behind: the state stays as it is, and the next try is further away. */
export function failureFinding(
  due: Due,
  watch: KnownWatch,
  job: string,
  poll: PollFacts,
  failure: Failure & { holdUntil: number | null; random: number },
): Finding {
  const endedAt = poll.startedAt + poll.ms;
  const nextPollAt = nextTry(due, watch, endedAt, failure);
  const failures = due.failures + 1;
  const isAuth = failure.about === "auth";
  const isFailing = due.failing || failures >= FAILING_AFTER;
  const problem = `${sentence(failure.problem)} Next try at ${time(nextPollAt)}.`;
  const systemEvents: SystemEvent[] = [];
  const told = { problem, failures, next_poll_at: time(nextPollAt) };
  if (isAuth && !due.authFailed) systemEvents.push(systemEvent("watch.auth_failed", due, poll, told));
  if (isFailing && !due.failing) systemEvents.push(systemEvent("watch.failing", due, poll, told));
  return {
    watch: identity(due, watch),
    job,
    stateVersion: due.stateVersion,
    poll,
    outcome: "failed",
    changes: 0,
    problem,
    note: null,
    state: NOTHING,
    drafts: [],
    systemEvents,
    status: { failures, failing: isFailing, authFailed: due.authFailed || isAuth, held: "keep" },
    nextPollAt,
    slow: isSlow(due, poll.ms),
    pace: null,
  };
}

/** A cron schedule that comes due before the backoff ends keeps its time. */
function nextTry(
  due: Due,
  watch: KnownWatch,
  endedAt: number,
  failure: { holdUntil: number | null; random: number },
): number {
  const { schedule } = watch.compiled;
  const wait = backoffMs({ intervalMs: intervalMs(schedule, endedAt), failures: due.failures, random: failure.random });
  const scheduled = schedule.kind === "cron" ? nextPoll(schedule, { nowMs: endedAt, phase: 0 }) : null;
  const next = Math.min(endedAt + wait, scheduled ?? Number.POSITIVE_INFINITY);
  return Math.max(next, failure.holdUntil ?? 0);
}

function identity(due: Due, { input }: KnownWatch): Finding["watch"] {
  return { id: due.id, name: due.name, eventType: input.event_type, endpointIds: input.endpoint_ids };
}

function systemEvent(type: SystemEvent["type"], due: Due, poll: PollFacts, told: object): SystemEvent {
  const watch = { id: publicId("watch", due.id), name: due.name };
  return { type, data: stringifyJson({ watch, at: time(poll.startedAt), ...told }) };
}

function writeHeld(poll: PollFacts, verdict: Verdict): string {
  const held: Held = {
    poll_id: poll.id,
    at: time(poll.startedAt),
    changes: verdict.changes,
    problem: verdict.problem,
    drafts: verdict.events,
    state: verdict.state,
  };
  return stringifyJson(held);
}

function sentence(text: string): string {
  const trimmed = text.trim();
  return /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
