import type { Clock } from "../platform/clock.ts";
import type { Sql } from "../platform/database.ts";
import { messageOf } from "../platform/errors.ts";
import { publicId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Rollups } from "../platform/rollups.ts";
import type { Vault } from "../vault/vault.ts";
import type { Answered, Asked } from "./ask.ts";
import { writeReading } from "./bodies.ts";
import { type Call, canBeConditional, FULL_POLL_MS } from "./call.ts";
import type { Hash } from "./extract.ts";
import { type Finding, failureFinding, findingOf, isQuiet, isSlow, nextAfter, type PollFacts } from "./finding.ts";
import type { Patience } from "./hosts.ts";
import { judge, type Verdict } from "./judge.ts";
import { holdOf } from "./limits.ts";
import type { Lines } from "./lines.ts";
import type { Recorder } from "./record.ts";
import { openHash } from "./redaction.ts";
import { toldProblem } from "./reply.ts";
import type { Answer, Failure } from "./send.ts";
import type { WatchState } from "./state.ts";
import { NO_STATE, readState } from "./state_text.ts";
import { type Due, loadState } from "./store.ts";
import type { KnownWatch } from "./watch_cache.ts";

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

export type Conclusions = {
  /** Judges what was answered and writes down what came of it. */
  conclude(call: Call, facts: PollFacts, asked: Answered): Promise<PollEnd | NotPolled>;
  /** Leaves the watch for another time. */
  giveBack(call: Call, refusal: NotPolled): NotPolled;
};

export type ConclusionDeps = {
  sql: Sql;
  clock: Clock;
  log: Log;
  rollups: Pick<Rollups, "count" | "observe">;
  patience: Patience;
  recorder: Recorder;
  lines: Lines;
  vault: Vault;
  random(): number;
};

/** States of up to so many rows stay in memory. */
const SMALL_STATE = 50;

/** What comes of an answer: judge → record, or a line in the log when there is nothing to tell. */
export function createConclusions(deps: ConclusionDeps): Conclusions {
  const { clock, lines, recorder, rollups } = deps;

  async function conclude(call: Call, facts: PollFacts, asked: Answered): Promise<PollEnd | NotPolled> {
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
    if (call.watch.keepBodies > 0 && asked.body !== call.watch.keptBody) keepBody(call, facts.id, asked);
    call.watch.hash ??= await openHash(deps.vault, call.watch.id, call.watch.input);
    const verdict = verdictOf(call, asked, state, call.watch.hash);
    if ("about" in verdict) return recordFailure(call, facts, verdict, holdUntil);
    if (!isQuiet(call.due, verdict)) return record(call, findingOf(call.due, call.watch, call.job, facts, verdict));
    // The first page of several says nothing about the others.
    if (call.watch.input.pagination === null) call.watch.quiet = { version: call.due.stateVersion, body: asked.body };
    return recordQuiet(call, facts, "unchanged", asked.answer);
  }

  /** A source may say back what it was sent: a body that holds a credential is not kept. */
  function keepBody({ watch, due }: Call, id: string, asked: Asked & { kind: "document" }): void {
    const { document, morePages, complete, body: digest } = asked;
    const text = writeReading({ pages: [document, ...morePages], complete });
    watch.keptBody = digest;
    if (redacted(watch, text) !== text) return;
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

  function giveBack({ due, job }: Call, refusal: NotPolled): NotPolled {
    const slow = due.slow || refusal.why === "crowded_out";
    lines.settled({ watchId: due.id, job, nextPollAt: refusal.retryAt, slow, pace: null });
    return refusal;
  }

  return { conclude, giveBack };
}

const COUNTER = {
  unchanged: "polls_unchanged",
  baseline: "polls_unchanged",
  changed: "polls_changed",
  held: "polls_held",
  failed: "polls_failed",
} as const;

/** A source may say back what it was sent, and what it says is kept. */
function redacted({ ready }: KnownWatch, text: string): string {
  return ready ? ready.redact(text) : text;
}

function validatorOf(watch: KnownWatch, value: string | undefined): string | null {
  return value === undefined || redacted(watch, value) !== value ? null : value;
}

function mayBeDueWhileClaimed({ nextPollAt, busyUntil }: Due): boolean {
  return nextPollAt !== null && nextPollAt < busyUntil;
}
