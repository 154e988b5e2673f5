/** How one endpoint's deliveries stand on this node. */
type Lane = {
  id: string;
  maxInFlight: number;
  share: number;
  inFlight: number;
  waiting: Waiter[];
  /** Smoothed duration of its tries. */
  averageMs: number;
  /** When a try last ended, or the first began: a lane that stands still is stuck. */
  progressAt: number;
  /** As it was last judged; the sum of what slow lanes have in flight follows it. */
  slow: boolean;
  backlog: boolean;
};
type Waiter = { since: number; resolve(entry: Entry): void };

/** `park`: the endpoint cannot take it now; `stopped`: the node is going down. */
export type Entry = "go" | "park" | "stopped";

export type Capped = { id: string; maxInFlight: number };

export type Gate = {
  /** Waits, briefly, for a place at the endpoint and on this node. Whoever got `go` must `leave`. */
  enter(endpoint: Capped): Promise<Entry> | Entry;
  leave(endpointId: string, ms: number): void;
  /** The endpoint has parked deliveries: ask for them as places become free. */
  noteBacklog(endpoint: Capped): void;
  clearBacklog(endpointId: string): void;
  /** How many parked deliveries of an endpoint this node can use now. */
  room(endpoint: Capped): number;
  stop(): void;
  inFlight(): number;
};

/** A try that takes longer marks its endpoint as slow. */
const SLOW_MS = 2_000;
/** How long a delivery may wait in memory for its endpoint before it is parked; a lane without progress for as long is stuck. */
const PATIENCE_MS = 500;
const LOOK_EVERY_MS = 100;
/** In flight at an endpoint that has not answered here yet: several that hang from the start cannot fill the node. */
const UNPROVEN_TRIES = 4;

/**
 * Shares a node's `limit` of tries in flight among endpoints, in turn, each within its own cap. Slow endpoints together
 * get at most half of the places, so that however many of them hang, the healthy ones keep theirs. What turns slow
 * while it holds more than that half is lent its places on top of the limit, until it gives them back.
 *
 * @param share an endpoint's cap over all nodes → this node's part of it
 * @param onRoom called, at most once per freed place, for an endpoint with a backlog that has room again
 */
export function createGate(options: {
  limit: number;
  share(maxInFlight: number): number;
  onRoom(endpoint: Capped): void;
  now?: () => number;
}): Gate {
  const now = options.now ?? (() => performance.now());
  const lanes = new Map<string, Lane>();
  const ring: Lane[] = [];
  const slowPlaces = Math.ceil(options.limit / 2);
  let turn = 0;
  let total = 0;
  let slowTotal = 0;
  let stopped = false;
  let lookedAt = now();
  const looking = setInterval(look, LOOK_EVERY_MS);

  function look(): void {
    const at = now();
    // A node that stood still itself has answers unread, and cannot judge who is late.
    const late = at - lookedAt > 3 * LOOK_EVERY_MS;
    lookedAt = at;
    if (late) return;
    judgeStuck();
    pump();
    parkImpatient();
  }

  function laneOf({ id, maxInFlight }: Capped): Lane {
    let lane = lanes.get(id);
    if (!lane) {
      if (lanes.size >= 50_000) forgetIdle();
      lane = {
        id,
        maxInFlight,
        share: 0,
        inFlight: 0,
        waiting: [],
        averageMs: 0,
        progressAt: now(),
        slow: false,
        backlog: false,
      };
      lanes.set(id, lane);
    }
    lane.maxInFlight = maxInFlight;
    lane.share = options.share(maxInFlight);
    return lane;
  }

  function forgetIdle(): void {
    for (const [id, lane] of lanes) if (lane.inFlight === 0 && lane.waiting.length === 0) lanes.delete(id);
  }

  /** Tries in flight change class together with their lane, so that slowTotal stays the true sum. */
  function judge(lane: Lane): void {
    const slow = lane.averageMs > SLOW_MS || stillMs(lane) > PATIENCE_MS;
    if (slow === lane.slow) return;
    lane.slow = slow;
    slowTotal += slow ? lane.inFlight : -lane.inFlight;
  }

  function stillMs(lane: Lane): number {
    return lane.inFlight === 0 ? 0 : now() - lane.progressAt;
  }

  /** A lane that stands still tells nobody: it has to be looked for. */
  function judgeStuck(): void {
    for (const lane of lanes.values()) if (lane.inFlight > 0) judge(lane);
  }

  function isFull(): boolean {
    return total - Math.max(0, slowTotal - slowPlaces) >= options.limit;
  }

  function canGo(lane: Lane): boolean {
    if (isFull() || lane.inFlight >= placesOf(lane)) return false;
    return !lane.slow || slowTotal < slowPlaces;
  }

  function placesOf(lane: Lane): number {
    const proven = lane.averageMs > 0 || lane.slow;
    return proven ? lane.share : Math.min(lane.share, UNPROVEN_TRIES);
  }

  function admit(lane: Lane): void {
    if (lane.inFlight === 0) lane.progressAt = now();
    lane.inFlight++;
    total++;
    if (lane.slow) slowTotal++;
  }

  /** One place each, in turn, for as long as anybody who waits may go. */
  function pump(): void {
    let refused = 0;
    while (ring.length > 0 && refused < ring.length && !isFull()) {
      turn = turn % ring.length;
      const lane = ring[turn] as Lane;
      if (!canGo(lane)) {
        refused++;
        turn++;
        continue;
      }
      refused = 0;
      admit(lane);
      lane.waiting.shift()?.resolve("go");
      if (lane.waiting.length === 0) ring.splice(turn, 1);
      else turn++;
    }
  }

  /**
   * How many may wait for a place at the endpoint, as far as it can be told: whoever stands further back would lose
   * patience, and thousands of them would keep everybody else out of memory until then.
   */
  function mostWaiting(lane: Lane): number {
    if (lane.slow) return 0;
    return (placesOf(lane) * PATIENCE_MS) / Math.max(lane.averageMs, stillMs(lane));
  }

  function parkImpatient(): void {
    const at = now();
    for (let i = ring.length - 1; i >= 0; i--) {
      const lane = ring[i] as Lane;
      // Who waits only for the node itself gains nothing from being parked.
      if (lane.inFlight < placesOf(lane) && !lane.slow) continue;
      const most = mostWaiting(lane);
      const keep: Waiter[] = [];
      for (const waiter of lane.waiting) {
        if (keep.length >= most || at - waiter.since > PATIENCE_MS) waiter.resolve("park");
        else keep.push(waiter);
      }
      lane.waiting = keep;
      if (keep.length === 0) ring.splice(i, 1);
    }
  }

  return {
    enter(endpoint) {
      if (stopped) return "stopped";
      const lane = laneOf(endpoint);
      if (lane.share === 0) return "park";
      if (lane.waiting.length === 0 && canGo(lane)) {
        admit(lane);
        return "go";
      }
      if (lane.inFlight >= placesOf(lane) && lane.waiting.length >= mostWaiting(lane)) return "park";
      return new Promise((resolve) => {
        if (lane.waiting.length === 0) ring.push(lane);
        lane.waiting.push({ since: now(), resolve });
      });
    },
    leave(endpointId, ms) {
      const lane = lanes.get(endpointId);
      if (!lane) return;
      lane.inFlight--;
      total--;
      if (lane.slow) slowTotal--;
      lane.averageMs = lane.averageMs === 0 ? ms : lane.averageMs * 0.8 + ms * 0.2;
      lane.progressAt = now();
      judge(lane);
      pump();
      if (lane.backlog && !stopped && lane.waiting.length < lane.share) options.onRoom(lane);
    },
    noteBacklog(endpoint) {
      laneOf(endpoint).backlog = true;
    },
    clearBacklog(endpointId) {
      const lane = lanes.get(endpointId);
      if (lane) lane.backlog = false;
    },
    room(endpoint) {
      const lane = laneOf(endpoint);
      lane.backlog = true;
      // What it can finish while the next refill is under way; a fast endpoint gets several rounds at once.
      const rounds = lane.averageMs === 0 ? 1 : Math.min(8, Math.max(1, PATIENCE_MS / 2 / lane.averageMs));
      const room = Math.floor(lane.share * rounds) - lane.inFlight - lane.waiting.length;
      // Slow lanes take no more than their half has left: they would only be parked again.
      return Math.max(0, lane.slow ? Math.min(room, slowPlaces - slowTotal) : room);
    },
    stop() {
      stopped = true;
      clearInterval(looking);
      for (const lane of ring.splice(0)) {
        for (const waiter of lane.waiting.splice(0)) waiter.resolve("stopped");
      }
    },
    inFlight: () => total,
  };
}
