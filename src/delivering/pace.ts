import type { Clock } from "../platform/clock.ts";
import type { Sql } from "../platform/database.ts";
import type { Endpoint } from "./endpoint.ts";

/** `park`: the endpoint's rate is used up for longer than is worth waiting in memory. */
export type Paced = "go" | "park";

export type Pacer = {
  /** Waits for the next moment at which the endpoint's rate allows a try. */
  take(endpoint: Pick<Endpoint, "id" | "rateLimit">): Promise<Paced>;
  /** Lets everybody who waits go back. */
  stop(): void;
};

/** Slots are reserved so far ahead at most; what needs more is parked. */
const HORIZON_MS = 1_000;
/** Slots that one reservation covers: fewer statements than tries, yet little is lost when a node dies. */
const RESERVED_MS = 250;

type Line = { waiting: ((paced: Paced) => void)[]; reserving: boolean };

/**
 * Rate limits that hold across all nodes, by GCRA: an endpoint's row carries the theoretical arrival time of its next
 * try, and k slots are reserved by moving it k intervals on, in one update.
 */
export function createPacer(deps: { sql: Sql; clock: Clock }): Pacer {
  const lines = new Map<string, Line>();
  const timers = new Set<{ timer: ReturnType<typeof setTimeout>; release(paced: Paced): void }>();
  let stopped = false;

  async function reserve(endpointId: string, line: Line, intervalMs: number): Promise<void> {
    line.reserving = true;
    try {
      while (line.waiting.length > 0 && !stopped) {
        const wanted = Math.min(line.waiting.length, Math.max(1, Math.ceil(RESERVED_MS / intervalMs)));
        const firstAt = await reserveSlots(deps.sql, endpointId, wanted, intervalMs);
        if (firstAt === null) break;
        line.waiting.splice(0, wanted).forEach((release, place) => {
          later(firstAt + place * intervalMs - deps.clock.now(), release);
        });
      }
    } finally {
      line.reserving = false;
      lines.delete(endpointId);
      for (const release of line.waiting.splice(0)) release("park");
    }
  }

  function later(ms: number, release: (paced: Paced) => void): void {
    if (ms <= 1) {
      release("go");
      return;
    }
    const entry = {
      release,
      timer: setTimeout(() => {
        timers.delete(entry);
        release("go");
      }, ms),
    };
    timers.add(entry);
  }

  return {
    take({ id, rateLimit }) {
      if (rateLimit === null) return Promise.resolve("go");
      const intervalMs = rateLimit.perMs / rateLimit.max;
      return new Promise((resolve, reject) => {
        const line = lines.get(id) ?? { waiting: [], reserving: false };
        lines.set(id, line);
        line.waiting.push(resolve);
        if (!line.reserving) reserve(id, line, intervalMs).catch(reject);
      });
    },
    stop() {
      stopped = true;
      for (const { timer, release } of timers) {
        clearTimeout(timer);
        release("park");
      }
      timers.clear();
    },
  };
}

/** @returns when the first of the slots is, in milliseconds since 1970, or null when that is beyond the horizon */
async function reserveSlots(sql: Sql, endpointId: string, slots: number, intervalMs: number): Promise<number | null> {
  const [row] = await sql<{ first_at: number }[]>`
    update deltahook.endpoint_health
    set paced_until = greatest(paced_until, now()) + make_interval(secs => ${(slots * intervalMs) / 1000})
    where endpoint_id = ${endpointId}
      and coalesce(paced_until, now()) < now() + make_interval(secs => ${HORIZON_MS / 1000})
    returning (extract(epoch from paced_until) * 1000)::float8 - ${slots * intervalMs}::float8 as first_at`;
  return row?.first_at ?? null;
}
