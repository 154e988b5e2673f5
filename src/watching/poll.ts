import type { Clock } from "../platform/clock.ts";
import type { Answered, Ask, Asked } from "./ask.ts";
import { askOf, type Call, type Group, quietBodyOf } from "./call.ts";
import { type ConclusionDeps, createConclusions, type NotPolled, type PollEnd } from "./conclude.ts";
import type { PollFacts } from "./finding.ts";
import type { Flight, Flights } from "./flights.ts";
import type { Governor } from "./governor.ts";
import type { Lane } from "./lanes.ts";
import type { KillPoint } from "./record.ts";
import type { Due } from "./store.ts";
import type { KnownWatch } from "./watch_cache.ts";

export type PollDeps = ConclusionDeps & {
  clock: Clock;
  governor: Governor;
  flights: Flights;
  ask(ask: Ask): Promise<Asked>;
  timeoutMs: number;
  at(point: KillPoint): void;
};

/** What is crowded out of the fast lane comes back to the slow one after this. */
const SLOW_LANE_MS = 1_000;

/** Polls claimed watches that ask the same, with one request: place → ask → conclude. Throws only for our own faults. */
export function createPoll(deps: PollDeps): (group: Group) => Promise<(PollEnd | NotPolled)[]> {
  const { clock, flights, governor } = deps;
  const { conclude, giveBack } = createConclusions(deps);

  async function poll(group: Group): Promise<(PollEnd | NotPolled)[]> {
    const [first] = group;
    const refusal = await takePlace(first).finally(first.started);
    if (refusal) return group.map((call) => giveBack(call, refusal));
    const startedAt = clock.now();
    const begun = group.map((call) => ({ call, facts: factsOf(call.due, startedAt) }));
    const { asked, ms, flight } = await ask(group, startedAt);
    deps.at("answered");
    if (asked.kind === "aborted") return group.map((call) => giveBack(call, whyAborted(flight)));
    const ends = begun.map(({ call, facts }) => {
      // The credential is the same, so what it must hide is.
      call.watch.ready = first.watch.ready;
      return conclude(call, { ...facts, ms }, answerFor(call, asked));
    });
    return allOf(ends);
  }

  async function ask(group: Group, startedAt: number): Promise<{ asked: Asked; ms: number; flight: Flight }> {
    const [{ lane, watch }] = group;
    const flight = flights.begin(lane);
    const msSoFar = () => Math.round(performance.now() - flight.startedAt);
    try {
      const asked = await deps.ask(askOf(group, startedAt, flight.controller.signal));
      return { asked, ms: msSoFar(), flight };
    } finally {
      flights.end(flight);
      governor.leave(watch.source, msSoFar());
    }
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

  function factsOf(due: Due, startedAt: number): PollFacts {
    const lagMs = Math.max(0, Math.round(startedAt - due.dueAt));
    return { id: clock.uuid(), startedAt, ms: 0, lagMs, bytes: 0, status: null };
  }

  function whyAborted({ crowdedOut }: Flight): NotPolled {
    if (!crowdedOut) return { why: "stopped", retryAt: clock.now() };
    return { why: "crowded_out", retryAt: clock.now() + SLOW_LANE_MS };
  }

  return poll;
}

/** A reply that was read for others may be known to change nothing here. */
function answerFor(call: Call, asked: Answered): Answered {
  if (asked.kind !== "document" || asked.body !== quietBodyOf(call) || asked.answer.status !== 200) return asked;
  return { kind: "same_body", answer: asked.answer, bytes: asked.bytes };
}

/** All have ended by now; the first of our own faults is passed on, so that the job is tried again. */
async function allOf<T>(work: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(work);
  return Promise.all(work);
}
