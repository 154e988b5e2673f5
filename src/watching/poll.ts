import type { Clock } from "../platform/clock.ts";
import type { Sql } from "../platform/database.ts";
import { messageOf } from "../platform/errors.ts";
import { publicId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Rollups } from "../platform/rollups.ts";
import type { Vault } from "../vault/vault.ts";
import type { Ask, Asked } from "./ask.ts";
import { writeReading } from "./bodies.ts";
import type { Hash } from "./extract.ts";
import {
  type Finding,
  failureFinding,
  findingOf,
  isHealthy,
  isQuiet,
  isSlow,
  nextAfter,
  type PollFacts,
} from "./finding.ts";
import type { Flights } from "./flights.ts";
import type { Governor } from "./governor.ts";
import type { Patience } from "./hosts.ts";
import { judge, type Verdict } from "./judge.ts";
import type { Lane } from "./lanes.ts";
import { holdOf } from "./limits.ts";
import type { Lines } from "./lines.ts";
import type { KillPoint, Recorder } from "./record.ts";
import { openHash } from "./redaction.ts";
import { toldProblem } from "./reply.ts";
import type { Answer, Failure } from "./send.ts";
import type { WatchState } from "./state.ts";
import { NO_STATE, readState } from "./state_text.ts";
import { type Due, type Known, loadState } from "./store.ts";
import type { KnownWatch } from "./watch_cache.ts";

/** One claimed watch, and where its poll runs. */
export type Call = {
  due: Due;
  watch: KnownWatch;
  /** What the loader was told is in memory already. */
  known: Known;
  job: string;
  lane: Lane;
  signal: AbortSignal;
  /** Called once, when the poll waits for no place any more. */
  started(): void;
};

/** How a poll went, as its line in the log has it. */
export type PollEnd = {
  poll: PollFacts;
  outcome: Finding["outcome"] | "not_modified";
  changes: number;
  problem: string | null;
  note: string | null;
  nextPollAt: number | null;
};

/** Why there was no poll, or none that counts; it is tried again at `retryAt`. */
export type NotPolled = { why: "host_busy" | "no_time" | "stopped" | "crowded_out" | "overtaken"; retryAt: number };

export type PollDeps = {
  sql: Sql;
  clock: Clock;
  log: Log;
  rollups: Pick<Rollups, "count" | "observe">;
  governor: Governor;
  patience: Patience;
  flights: Flights;
  ask(ask: Ask): Promise<Asked>;
  recorder: Recorder;
  lines: Lines;
  vault: Vault;
  timeoutMs: number;
  random(): number;
  at(point: KillPoint): void;
};

const FULL_POLL_MS = 24 * 3_600_000;
/** What is crowded out of the fast lane comes back to the slow one after this. */
const SLOW_LANE_MS = 1_000;
/** States of up to so many rows stay in memory. */
const SMALL_STATE = 50;

/** Polls one claimed watch: place → ask → judge → record. Throws only for our own faults. */
export function createPoll(deps: PollDeps): (call: Call) => Promise<PollEnd | NotPolled> {
  const { clock, flights, governor, lines, recorder, rollups } = deps;

  async function poll(call: Call): Promise<PollEnd | NotPolled> {
    const refusal = await takePlace(call).finally(call.started);
    if (refusal) return giveBack(call, refusal);
    const facts = factsOf(call.due);
    const flight = flights.begin(call.lane);
    let asked: Asked;
    try {
      asked = await deps.ask(askOf(call, facts.startedAt, flight.controller.signal));
    } finally {
      facts.ms = Math.round(performance.now() - flight.startedAt);
      flights.end(flight);
      governor.leave(call.watch.source, facts.ms);
    }
    deps.at("answered");
    if (asked.kind === "aborted") {
      if (!flight.crowdedOut) return giveBack(call, { why: "stopped", retryAt: clock.now() });
      return giveBack(call, { why: "crowded_out", retryAt: clock.now() + SLOW_LANE_MS });
    }
    return conclude(call, facts, asked);
  }

  /** A place at the host and in the lane; otherwise why there is none. */
  async function takePlace({ due, watch, lane, signal }: Call): Promise<NotPolled | null> {
    try {
      const admission = governor.enter(watch.source, signal);
      const admitted = typeof admission === "object" ? await admission : admission;
      if (admitted !== true) return { why: "host_busy", retryAt: admitted };
      if (!lane.tryEnter()) await enterLane(watch, lane, signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      return { why: "stopped", retryAt: clock.now() };
    }
    // Past the end of its claim another node may poll the same watch.
    if (clock.now() + deps.timeoutMs <= due.busyUntil) return null;
    lane.leave();
    governor.leave(watch.source, 0);
    return { why: "no_time", retryAt: clock.now() };
  }

  async function enterLane(watch: KnownWatch, lane: Lane, signal: AbortSignal): Promise<void> {
    try {
      await lane.enter(signal);
    } catch (error) {
      governor.leave(watch.source, 0);
      throw error;
    }
  }

  function giveBack({ due, job }: Call, refusal: NotPolled): NotPolled {
    const slow = due.slow || refusal.why === "crowded_out";
    lines.settled({ watchId: due.id, job, nextPollAt: refusal.retryAt, slow, pace: null });
    return refusal;
  }

  function factsOf(due: Due): PollFacts {
    const startedAt = clock.now();
    const lagMs = Math.max(0, Math.round(startedAt - due.dueAt));
    return { id: clock.uuid(), startedAt, ms: 0, lagMs, bytes: 0, status: null };
  }

  async function conclude(
    call: Call,
    facts: PollFacts,
    asked: Exclude<Asked, { kind: "aborted" }>,
  ): Promise<PollEnd | NotPolled> {
    rollups.observe("poll_lag_ms", facts.lagMs);
    rollups.observe("poll_ms", facts.ms);
    const holdUntil = asked.answer ? learnHold(call.watch, asked.answer) : null;
    if (asked.kind === "failed") {
      facts.status = asked.status;
      facts.bytes = asked.answer?.body.byteLength ?? 0;
      return recordFailure(call, facts, asked.failure, holdUntil);
    }
    facts.status = asked.answer.status;
    facts.bytes = asked.bytes;
    if (asked.kind === "same_body") return recordQuiet(call, facts, "unchanged", asked.answer);
    if (asked.kind === "not_modified") return recordQuiet(call, facts, "not_modified", asked.answer);
    const state = await stateOf(call);
    if (state === null) return giveBack(call, { why: "overtaken", retryAt: clock.now() });
    if (call.watch.keepBodies > 0 && asked.body !== call.watch.keptBody) keepBody(call, facts, asked);
    call.watch.hash ??= await openHash(deps.vault, call.watch.id, call.watch.input);
    const verdict = verdictOf(call, asked, state, call.watch.hash);
    if ("about" in verdict) return recordFailure(call, facts, verdict, holdUntil);
    if (!isQuiet(call.due, verdict)) return record(call, findingOf(call.due, call.watch, call.job, facts, verdict));
    // The first page of several says nothing about the others.
    if (call.watch.input.pagination === null) call.watch.quiet = { version: call.due.stateVersion, body: asked.body };
    return recordQuiet(call, facts, "unchanged", asked.answer);
  }

  /** A source may say back what it was sent: no credential is kept. */
  function keepBody({ watch, due }: Call, { id }: PollFacts, asked: Asked & { kind: "document" }): void {
    const { document, morePages, complete, body: digest } = asked;
    const text = redacted(watch, writeReading({ pages: [document, ...morePages], complete }));
    watch.keptBody = digest;
    lines.body({ id, watchId: due.id, revision: due.revision, keep: watch.keepBodies, digest, text });
  }

  function learnHold({ source }: KnownWatch, { status, headers }: Answer): number | null {
    const learned = holdOf(status, headers, clock.now());
    if (learned) deps.patience.hold(source, learned);
    return learned?.untilMs ?? null;
  }

  function verdictOf(
    { watch }: Call,
    asked: Asked & { kind: "document" },
    state: WatchState,
    hash: Hash,
  ): Verdict | Failure {
    const { document, morePages, complete } = asked;
    try {
      const verdict = judge({ watch: watch.compiled, state, document, morePages, complete, hash });
      return verdict.outcome === "failed"
        ? { about: "body", problem: verdict.problem ?? "the reply cannot be used" }
        : verdict;
    } catch (error) {
      deps.log.error("a reply could not be judged", { watch: publicId("watch", watch.id), problem: messageOf(error) });
      return { about: "body", problem: "DeltaHook itself failed on this reply; its log has the cause" };
    }
  }

  async function stateOf({ due, watch, known }: Call): Promise<WatchState | null> {
    if (due.state === null && known.stateVersion !== due.stateVersion) return NO_STATE;
    if (due.state === null && watch.state?.version === due.stateVersion) return watch.state.rows;
    const loaded = due.state === null ? await loadState(deps.sql, due.id, due.stateVersion) : due;
    if (loaded === null) return null;
    const rows = readState(loaded.state);
    watch.state = rows.size <= SMALL_STATE ? { version: due.stateVersion, rows } : null;
    return rows;
  }

  async function record(call: Call, finding: Finding): Promise<PollEnd | NotPolled> {
    const recorded = await recorder.record(finding);
    if (!recorded) return giveBack(call, { why: "overtaken", retryAt: finding.nextPollAt ?? clock.now() });
    rollups.count(COUNTER[finding.outcome]);
    const { poll: facts, outcome, changes, problem, note, nextPollAt } = finding;
    return { poll: facts, outcome, changes, problem, note, nextPollAt };
  }

  function recordFailure(call: Call, facts: PollFacts, failure: Failure, holdUntil: number | null) {
    const { due, watch, job } = call;
    const told = { ...failure, problem: toldProblem(failure.problem, watch.ready?.redact) };
    return record(call, failureFinding(due, watch, job, facts, { ...told, holdUntil, random: deps.random() }));
  }

  /** Nothing to tell and nothing new to remember, but for what the next request needs. */
  function recordQuiet(call: Call, facts: PollFacts, outcome: "unchanged" | "not_modified", answer: Answer): PollEnd {
    const { due, watch, job } = call;
    const next = nextAfter(due, watch, { startedAt: facts.startedAt, endedAt: clock.now(), moved: false });
    const { id, ms, lagMs, bytes, status } = facts;
    lines.unchanged({ id, watchId: due.id, nextPollAt: next.nextPollAt, ms, lagMs, bytes, status, outcome });
    const slow = isSlow(due, ms);
    if (slow !== due.slow || watch.compiled.schedule.kind !== "every" || mayBeDueWhileClaimed(due)) {
      const given = watch.compiled.schedule.kind === "every" ? null : next.nextPollAt;
      lines.settled({ watchId: due.id, job, nextPollAt: given, slow, pace: next.pace });
    }
    if (outcome === "unchanged") keepValidators(call, facts, answer);
    rollups.count("polls_unchanged");
    return { poll: facts, outcome, changes: 0, problem: null, note: null, nextPollAt: next.nextPollAt };
  }

  function keepValidators({ due, watch }: Call, facts: PollFacts, { headers }: Answer): void {
    if (!canBeConditional(watch)) return;
    const etag = validatorOf(watch, headers.etag);
    const lastModified = validatorOf(watch, headers["last-modified"]);
    const isKnown = etag === due.etag && lastModified === due.lastModified;
    if (isKnown && (etag ?? lastModified) === null) return;
    if (isKnown && due.fullPollAt !== null && facts.startedAt - due.fullPollAt < FULL_POLL_MS) return;
    const { id: watchId, stateVersion } = due;
    lines.validators({ watchId, stateVersion, etag, lastModified, fullPollAt: facts.startedAt });
  }

  return poll;
}

const COUNTER = {
  unchanged: "polls_unchanged",
  baseline: "polls_unchanged",
  changed: "polls_changed",
  held: "polls_held",
  failed: "polls_failed",
} as const;

function askOf({ due, watch }: Call, nowMs: number, signal: AbortSignal): Ask {
  const secret = due.secretId === null ? null : { id: due.secretId, revision: due.secretRevision };
  const isSettled = watch.quiet?.version === due.stateVersion && isHealthy(due);
  return {
    watch,
    secret,
    conditions: conditionsOf(due, watch, nowMs),
    quietBody: isSettled ? (watch.quiet?.body ?? null) : null,
    signal,
  };
}

/** RFC 9110, section 13. A full poll every 24 h, since some sources get their validators wrong. */
function conditionsOf(due: Due, watch: KnownWatch, nowMs: number): Record<string, string> | null {
  if ((due.etag === null && due.lastModified === null) || !canBeConditional(watch) || !isHealthy(due)) return null;
  if (due.fullPollAt === null || nowMs - due.fullPollAt >= FULL_POLL_MS) return null;
  const conditions: Record<string, string> = {};
  if (due.etag !== null) conditions["if-none-match"] = due.etag;
  if (due.lastModified !== null) conditions["if-modified-since"] = due.lastModified;
  return conditions;
}

/** A source may say back what it was sent, and what it says is kept. */
function redacted({ ready }: KnownWatch, text: string): string {
  return ready ? ready.redact(text) : text;
}

function validatorOf(watch: KnownWatch, value: string | undefined): string | null {
  return value === undefined || redacted(watch, value) !== value ? null : value;
}

/** The first page of several says nothing about the others. */
function canBeConditional({ request, input }: KnownWatch): boolean {
  return request.method === "GET" && input.pagination === null;
}

function mayBeDueWhileClaimed({ nextPollAt, busyUntil }: Due): boolean {
  return nextPollAt !== null && nextPollAt < busyUntil;
}
