import type { Clock } from "../platform/clock.ts";
import type { Sql } from "../platform/database.ts";
import { messageOf } from "../platform/errors.ts";
import { publicId, uuidTime } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { QueueTask } from "../platform/queue.ts";
import type { Flights } from "./flights.ts";
import { createLane, type Lane } from "./lanes.ts";
import type { Lines } from "./lines.ts";
import type { Call, NotPolled, PollEnd } from "./poll.ts";
import type { KillPoint } from "./record.ts";
import { type Due, loadDue } from "./store.ts";
import { CHUNK } from "./tick_store.ts";
import { knownOf, type WatchCache } from "./watch_cache.ts";

export type Chunks = {
  tasks: { poll: QueueTask; poll_slow: QueueTask };
  /** How long the jobs begun of late had waited in the queue. */
  backlogMs(): number;
  /** Polls one watch that the caller has claimed under that job; null when it is gone. */
  pollOne(claim: { id: string; job: string; signal: AbortSignal }): Promise<PollEnd | NotPolled | null>;
};

/** What was seen longer ago says nothing about the queue now. */
const BACKLOG_FADES_MS = 2_000;

/**
 * Runs the jobs of the tick. A chunk is only a lease on its watches: each is recorded as it finishes, and what is limited
 * is polls in flight, not chunks, so that a straggler holds nothing but its own place.
 */
export function createChunks(deps: {
  sql: Sql;
  clock: Clock;
  log: Log;
  cache: WatchCache;
  flights: Flights;
  lines: Lines;
  lanes: { fast: Lane; slow: Lane };
  poll(call: Call): Promise<PollEnd | NotPolled>;
  at(point: KillPoint): void;
}): Chunks {
  const { sql, clock, cache, flights, lines, lanes } = deps;
  // Chunks whose watches still wait for a place: more of them would only fill the memory.
  const intake = createLane(Math.ceil(lanes.fast.size / CHUNK) + 2);
  let backlog = { ms: 0, seenAt: 0 };

  const poll: QueueTask = async (payload, signal) => {
    const { job, watches } = readPayload(payload);
    backlog = { ms: clock.now() - uuidTime(job), seenAt: performance.now() };
    if (!intake.tryEnter()) await intake.enter(signal).catch(() => {});
    if (signal.aborted) return giveBack(job, watches);
    await whileUnderway(signal, () => pollChunk(job, watches, { lane: lanes.fast, signal, started: intake.leave }));
  };

  const pollSlow: QueueTask = async (payload, signal) => {
    const { job, watches } = readPayload(payload);
    await whileUnderway(signal, () => pollChunk(job, watches, { lane: lanes.slow, signal, started: () => {} }));
  };

  /** Stopped before it began: the watches are due again at once. */
  async function giveBack(job: string, ids: readonly string[]): Promise<void> {
    for (const id of ids) lines.settled({ watchId: id, job, nextPollAt: clock.now(), slow: false, pace: null });
    await lines.flushed();
  }

  async function whileUnderway<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.addEventListener("abort", flights.abortAll);
    try {
      return await work();
    } finally {
      signal.removeEventListener("abort", flights.abortAll);
    }
  }

  async function pollChunk(
    job: string,
    ids: readonly string[],
    how: { lane: Lane; signal: AbortSignal; started(): void },
  ): Promise<(PollEnd | NotPolled | null)[]> {
    let waiting = 1;
    const started = () => {
      if (--waiting === 0) how.started();
    };
    try {
      const calls = await load(job, ids, { ...how, started });
      waiting += calls.length;
      deps.at("loaded");
      const polls = Promise.allSettled(calls.map(deps.poll));
      started();
      return settledOf(await polls);
    } catch (error) {
      if (waiting > 0) how.started();
      throw error;
    } finally {
      await lines.flushed();
    }
  }

  async function load(
    job: string,
    ids: readonly string[],
    how: Pick<Call, "lane" | "signal" | "started">,
  ): Promise<Call[]> {
    const found = new Map(ids.map((id) => [id, cache.find(id)]));
    const known = new Map(ids.map((id) => [id, knownOf(id, found.get(id) ?? null)]));
    const calls: Call[] = [];
    for (const due of await loadDue(sql, job, [...known.values()])) {
      const told = known.get(due.id);
      const watch = told ? compiled(due, found.get(due.id) ?? null) : null;
      if (told && watch) calls.push({ due, watch, known: told, job, ...how });
    }
    return calls;
  }

  /** Null when what is stored does not compile any more, as a watch of another version might not. */
  function compiled(due: Due, found: ReturnType<WatchCache["find"]>) {
    try {
      return cache.keep(due, found);
    } catch (error) {
      deps.log.error("a stored watch cannot be used", { watch: publicId("watch", due.id), problem: messageOf(error) });
      return null;
    }
  }

  return {
    tasks: { poll, poll_slow: pollSlow },
    backlogMs: () => (performance.now() - backlog.seenAt > BACKLOG_FADES_MS ? 0 : backlog.ms),
    async pollOne({ id, job, signal }) {
      const [end] = await pollChunk(job, [id], { lane: lanes.fast, signal, started: () => {} });
      return end ?? null;
    },
  };
}

/** All have ended by now; the first of our own faults is passed on, so that the job is tried again. */
function settledOf<T>(results: readonly PromiseSettledResult<T>[]): T[] {
  return results.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

function readPayload(payload: unknown): { job: string; watches: string[] } {
  const { job, watches } = payload as { job?: unknown; watches?: unknown };
  if (typeof job !== "string" || !Array.isArray(watches)) throw new TypeError("not the payload of a poll job");
  return { job, watches };
}
