import { randomBytes } from "node:crypto";
import type { Clock } from "../platform/clock.ts";
import type { Sql } from "../platform/database.ts";
import { uuidTime } from "../platform/ids.ts";
import type { JsonObject } from "../platform/json.ts";
import { mergePatch } from "../platform/merge_patch.ts";
import { type Reading, readBody } from "./bodies.ts";
import { listBodies, loadBody } from "./bodies_store.ts";
import { type CompiledWatch, compileWatch } from "./compile.ts";
import { eventData } from "./event_data.ts";
import type { Hash } from "./extract.ts";
import { judge, type Verdict } from "./judge.ts";
import { keyedHash } from "./redaction.ts";
import { intervalMs } from "./schedule.ts";
import type { StateChange, StateRow, WatchState } from "./state.ts";
import { readDefinition, shownWatch } from "./stored_watch.ts";
import type { WatchInput } from "./watch.ts";
import { watchNotFound, watchUuid } from "./watches.ts";
import { findWatch } from "./watches_store.ts";

/** What is tried on the kept bodies instead of the watch's own; as in a PATCH of the watch (RFC 7396). */
export type BacktestInput = { fields?: unknown; items?: unknown; conditions?: unknown };

export type BacktestEvent = { at: string; type: string; data: JsonObject };

export type Backtest = {
  /** Bodies that were kept, and since when. */
  bodies: number;
  since: string | null;
  /** The first 1,000 of `events_total`, oldest first. */
  events: BacktestEvent[];
  events_total: number;
  /** Polls that would not just have found everything unchanged. */
  polls: { at: string; outcome: Verdict["outcome"]; changes: number; problem: string | null; note: string | null }[];
};

/** One poll of a backtest. */
export type Step = { at: number; verdict: Verdict };

/** A body and how long it stood: from the poll that brought it until the next one was kept. Milliseconds since 1970. */
export type Standing = Reading & { from: number; until: number };

const MOST_EVENTS = 1_000;
/** As many polls as `missing_after` and `removed_after` can ask for. */
const MOST_REPEATS = 100;

/**
 * Judges bodies one after another, each against what those before have left. A body is polled again and again for as long
 * as it stood, until nothing more comes of it, since what is missing or removed counts only after some polls. Pure.
 */
export function createReplay(watch: CompiledWatch, pace: { everyMs: number; hash: Hash }): (body: Standing) => Step[] {
  let state: WatchState = new Map<string, StateRow>();

  return ({ pages: [document = null, ...morePages], complete, from, until }) => {
    const steps: Step[] = [];
    for (let at = from; steps.length === 0 || (at < until && steps.length < MOST_REPEATS); at += pace.everyMs) {
      const verdict = judge({ watch, state, document, morePages, complete, hash: pace.hash });
      steps.push({ at, verdict });
      if (verdict.outcome === "held" || isSettled(verdict)) break;
      state = advanced(state, verdict.state);
    }
    return steps;
  };
}

/** Runs the kept bodies of a watch through other fields, items or conditions, and tells which events would have come. */
export function createBacktest(deps: { sql: Sql; clock: Clock }) {
  const { sql, clock } = deps;

  return async (id: string, change: BacktestInput, accept: (merged: unknown) => WatchInput): Promise<Backtest> => {
    const watchId = watchUuid(id);
    const row = await findWatch(sql, watchId);
    if (!row) throw watchNotFound(id);
    const input = accept(mergePatch(shownWatch(readDefinition(row.definition)), change));
    const watch = compileWatch(input);
    const everyMs = intervalMs(watch.schedule, clock.now());
    const replay = createReplay(watch, { everyMs, hash: keyedHash(randomBytes(32).toString("base64")) });

    const ids = await listBodies(sql, watchId);
    const told = teller({ id, name: row.name }, input.event_type);
    for (const [index, poll] of ids.entries()) {
      // One at a time, since each may be large; one that was dropped meanwhile is left out.
      const body = await loadBody(sql, watchId, poll);
      if (!body) continue;
      const next = ids[index + 1];
      const until = next === undefined ? clock.now() : uuidTime(next);
      for (const step of replay({ ...(await readBody(body)), from: uuidTime(poll), until })) told.add(step);
    }
    const [first] = ids;
    return { bodies: ids.length, since: first === undefined ? null : timeOf(uuidTime(first)), ...told.all() };
  };
}

/** Writes steps as the API answers them. */
function teller(watch: { id: string; name: string }, type: string) {
  const polls: Backtest["polls"] = [];
  const events: BacktestEvent[] = [];
  let sequence = 0;
  let after: string | null = null;

  return {
    add({ at: ms, verdict }: Step) {
      const at = timeOf(ms);
      const { outcome, changes, problem, notes } = verdict;
      const note = notes.length === 0 ? null : notes.join("; ");
      if (outcome !== "unchanged" || problem !== null || note !== null) {
        polls.push({ at, outcome, changes, problem, note });
      }
      for (const draft of outcome === "held" ? [] : verdict.events) {
        sequence++;
        if (sequence > MOST_EVENTS) continue;
        events.push({ at, type, data: eventData(draft, { watch, sequence, window: { after, until: at } }) });
      }
      if (outcome !== "failed" && outcome !== "held") after = at;
    },
    all: () => ({ events, events_total: sequence, polls }),
  };
}

function isSettled({ state }: Verdict): boolean {
  return state.upserts.length + state.deletes.length === 0;
}

function advanced(state: WatchState, { upserts, deletes }: StateChange): WatchState {
  const next = new Map(state);
  for (const row of upserts) next.set(row.key, row);
  for (const key of deletes) next.delete(key);
  return next;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
