import type { Clock } from "../platform/clock.ts";
import type { Sql } from "../platform/database.ts";
import { messageOf } from "../platform/errors.ts";
import { publicId, uuidTime } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { QueueTask } from "../platform/queue.ts";
import { type Call, type Group, groupsOf } from "./call.ts";
import type { NotPolled, PollEnd } from "./conclude.ts";
import type { Flights } from "./flights.ts";
import { createLane, type Lane } from "./lanes.ts";
import type { Lines } from "./lines.ts";
import type { KillPoint } from "./record.ts";
import { type Due, loadDue } from "./store.ts";
import { knownOf, type WatchCache } from "./watch_cache.ts";

export type Chunks = {
  tasks: { poll: QueueTask; poll_slow: QueueTask };
  /** How long the jobs begun of late had waited in the queue. */
  backlogMs(): number;
  /** Polls one watch that the caller has claimed under that job; null when it is gone. */
  pollOne(claim: { id: string; job: string; signal: AbortSignal }): Promise<PollEnd | NotPolled | null>;
};

/**
 * Chunks begin one after another, so that a node that is busy with quick sources has few requests open at a time (64
 * cost half of what 512 do, measured), while slow sources soon have all places: the next chunk begins when one has
 * ended, or so long after all its requests were sent.
 */
const NEXT_AFTER_MS = 20;
const PLACES_PER_CHUNK = 256;
const LEAST_CHUNKS = 4;

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
  poll(group: Group): Promise<(PollEnd | NotPolled)[]>;
  at(point: KillPoint): void;
}): Chunks {
  const { sql, clock, cache, flights, lines, lanes } = deps;
  // A chunk whose watches still wait for places keeps its own here: more of them would only fill the memory.
  const intake = createLane(Math.max(LEAST_CHUNKS, Math.ceil(lanes.fast.size / PLACES_PER_CHUNK)));
  let backlog = { ms: 0, seenAt: 0 };

  const poll: QueueTask = async (payload, signal) => {
    const { job, watches } = readPayload(payload);
    backlog = { ms: clock.now() - uuidTime(job), seenAt: performance.now() };
    if (!intake.tryEnter()) await intake.enter(signal).catch(() => {});
    if (signal.aborted) return giveBack(job, watches);
    const leave = once(intake.leave);
    try {
      const started = () => void setTimeout(leave, NEXT_AFTER_MS);
      await whileUnderway(signal, () => pollChunk(job, watches, { lane: lanes.fast, signal, started, ended: leave }));
    } finally {
      leave();
    }
  };

  const pollSlow: QueueTask = async (payload, signal) => {
    const { job, watches } = readPayload(payload);
    await whileUnderway(signal, () => pollChunk(job, watches, { ...NOTHING, lane: lanes.slow, signal }));
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
    how: { lane: Lane; signal: AbortSignal; started(): void; ended(): void },
  ): Promise<(PollEnd | NotPolled | null)[]> {
    let waiting = 1;
    const started = () => {
      if (--waiting === 0) how.started();
    };
    try {
      const groups = groupsOf(await load(job, ids, { ...how, started }));
      waiting += groups.length;
      deps.at("loaded");
      const polls = Promise.allSettled(groups.map(deps.poll));
      started();
      const ends = await polls;
      how.ended();
      return settledOf(ends).flat();
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
      const [end] = await pollChunk(job, [id], { ...NOTHING, lane: lanes.fast, signal });
      return end ?? null;
    },
  };
}

const NOTHING = { started() {}, ended() {} };

function once(work: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    work();
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
