import type { Lane } from "./lanes.ts";

/** A request under way, in one of the two lanes. */
export type Flight = {
  lane: Lane;
  readonly startedAt: number;
  readonly controller: AbortController;
  /** Ended because it took too long for the fast lane while the slow one was full: it is to be tried again there. */
  crowdedOut: boolean;
};

export type Flights = {
  /** The caller has a place in that lane. */
  begin(lane: Lane): Flight;
  /** Gives back the place in whichever lane the flight is by now. */
  end(flight: Flight): void;
  /** For a shutdown. */
  abortAll(): void;
  stop(): void;
};

/** Longer than this nobody keeps a place in the fast lane, so that hanging sources cannot fill it. */
const OVERTIME_MS = 2_000;
const LOOK_EVERY_MS = 250;

export function createFlights(lanes: { fast: Lane; slow: Lane }): Flights {
  const underway = new Set<Flight>();
  const timer = setInterval(moveOver, LOOK_EVERY_MS);
  timer.unref();

  /** The set is in order of departure, so that only the oldest are looked at. */
  function moveOver(): void {
    const latest = performance.now() - OVERTIME_MS;
    for (const flight of underway) {
      if (flight.startedAt > latest) return;
      if (flight.lane !== lanes.fast) continue;
      if (lanes.slow.tryEnter()) {
        flight.lane = lanes.slow;
        lanes.fast.leave();
      } else {
        flight.crowdedOut = true;
        flight.controller.abort();
      }
    }
  }

  return {
    begin(lane) {
      const flight = { lane, startedAt: performance.now(), controller: new AbortController(), crowdedOut: false };
      underway.add(flight);
      return flight;
    },
    end(flight) {
      underway.delete(flight);
      flight.lane.leave();
    },
    abortAll() {
      for (const flight of underway) flight.controller.abort();
    },
    stop: () => clearInterval(timer),
  };
}
