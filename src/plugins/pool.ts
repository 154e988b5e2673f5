import type { Log } from "../platform/log.ts";
import type { Answer, Bundle, Loaded, LoadFault, Task, UseText, Value } from "./messages.ts";
import { createSuspects } from "./suspects.ts";
import { startThread, type Thread, type ThreadLost } from "./thread.ts";

/** What came of a call. `ended`: the caller's signal, or our stop. */
export type Outcome = { value: Value } | { fault: string } | { ended: true };

/** Threads that all hold the same plugins. */
export type Pool = {
  /** What the bundles turned out to be in the first thread. */
  loaded: Promise<(Loaded | LoadFault)[] | ThreadLost>;
  /** Runs a hook; never throws for what a plugin can do. `limitMs` counts from the moment that a thread has it. */
  run(use: UseText, task: Task, options: { limitMs: number; alone?: boolean; signal?: AbortSignal }): Promise<Outcome>;
  /** Ends the threads once all that was asked is answered. */
  retire(): void;
  /** Ends everything at once. */
  stop(): void;
};

type Call = {
  id: number;
  /** Whose doing it is, for suspicion. A person's trial does not tell on what runs for real. */
  chain: string;
  use: UseText;
  task: Task;
  limitMs: number;
  /** It is to run with nothing beside it, so that what then happens is surely its own doing. */
  alone: boolean;
  handedAt: number;
  finish(outcome: Outcome): void;
};

/** A thread and what it was given. */
type Place = {
  thread: Thread;
  calls: Map<number, Call>;
  ready: boolean;
  /** Whether it takes more. */
  free: boolean;
  wary: boolean;
  /** It keeps only the call that stalls it. */
  retired: boolean;
  /** The call that occupied it at the last tick, and the ticks since it last took calls. */
  seen: number;
  busyTicks: number;
};

const BATCH = 64;
/** Threads of everybody, and of those that misbehaved lately. */
const CALM_THREADS = 2;
const WARY_THREADS = 2;
const TICK_MS = 50;
/** A whole batch takes under a millisecond; ticks that it may take before its thread counts as stalled. */
const STALL_TICKS = 3;
/** Hooks that really wait (for a timer, a file) may do so side by side. */
const MOST_PENDING = 256;
const MAX_ID = 2 ** 30;
/** Threads that nobody asked anything for so long are ended: they hold tens of megabytes, and start in 20 ms. */
const IDLE_MS = 60_000;

/**
 * Hands calls to threads, many to a message, and takes care of what hooks can do to a thread. One that occupies its
 * thread for longer than a tick or two gets that thread for itself: the others' calls go to another at once, and its next
 * ones run one by one on threads of their own. What overruns or ends its thread fails, what only stood beside it runs
 * again: so a call may run twice, and each is answered once.
 */
export function createPool(options: { bundles: readonly Bundle[]; log: Log; idleMs?: number }): Pool {
  const suspects = createSuspects();
  const places = new Set<Place>();
  const live = new Set<Call>();
  let queue: Call[] = [];
  let lastId = 0;
  let scheduled = false;
  let hasEnded = false;
  let watching: ReturnType<typeof setInterval> | null = null;
  let resting: ReturnType<typeof setTimeout> | null = null;
  let retiring = false;
  let stopped = false;

  function run(
    use: UseText,
    task: Task,
    how: { limitMs: number; alone?: boolean; signal?: AbortSignal },
  ): Promise<Outcome> {
    return new Promise((resolve) => {
      const chain = how.alone ? `tried ${use.names}` : use.names.join();
      const refusal = suspects.refusal(chain, performance.now());
      if (stopped || how.signal?.aborted) return resolve({ ended: true });
      if (refusal !== null) return resolve({ fault: `${named(use)} is not run: ${refusal}` });
      lastId = (lastId % MAX_ID) + 1;
      const end = () => call.finish({ ended: true });
      const call: Call = {
        id: lastId,
        chain,
        use,
        task,
        limitMs: how.limitMs,
        alone: how.alone ?? false,
        handedAt: 0,
        finish(outcome) {
          if (!live.delete(call)) return;
          how.signal?.removeEventListener("abort", end);
          if ("ended" in outcome) hasEnded = true;
          resolve(outcome);
          if (retiring && live.size === 0) stop();
        },
      };
      how.signal?.addEventListener("abort", end, { once: true });
      live.add(call);
      queue.push(call);
      schedule();
    });
  }

  /** After all that is ready to call now has called, so that it travels together. */
  function schedule(): void {
    if (scheduled) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      dispatch();
    });
  }

  function dispatch(): void {
    if (stopped) return;
    if (hasEnded) queue = queue.filter((call) => live.has(call));
    hasEnded = false;
    if (queue.length === 0) return;
    const now = performance.now();
    const wary: Call[] = [];
    let calm: Call[] = [];
    for (const call of queue) (call.alone || suspects.isSuspect(call.chain, now) ? wary : calm).push(call);
    for (const place of placesFor(false)) {
      if (!place.ready || !place.free || place.calls.size >= MOST_PENDING) continue;
      hand(place, calm.slice(0, BATCH));
      calm = calm.slice(BATCH);
    }
    const wanted = calm.length > BATCH ? CALM_THREADS : 1;
    if (calm.length > 0 && placesFor(false).length < wanted) open(false);
    queue = [...handWary(wary), ...calm];
  }

  /** One call to a thread, one thread to a chain. @returns what has to wait */
  function handWary(wary: Call[]): Call[] {
    if (wary.length === 0) return wary;
    const running = new Set(placesFor(true).flatMap(({ calls }) => Array.from(calls.values(), ({ chain }) => chain)));
    const waiting = wary.filter((call) => {
      if (running.has(call.chain)) return true;
      const place = placesFor(true).find(({ ready, calls }) => ready && calls.size === 0);
      if (!place) return true;
      running.add(call.chain);
      hand(place, [call]);
      return false;
    });
    const isStuck = waiting.some(({ chain }) => !running.has(chain));
    if (isStuck && placesFor(true).length < WARY_THREADS && placesFor(true).every(({ ready }) => ready)) open(true);
    return waiting;
  }

  function placesFor(wary: boolean): Place[] {
    return [...places].filter((place) => place.wary === wary && !place.retired);
  }

  function hand(place: Place, calls: readonly Call[]): void {
    if (calls.length === 0) return;
    const uses = new Map<UseText, number>();
    const now = performance.now();
    place.free = false;
    place.busyTicks = 0;
    const texts = calls.map((call) => {
      call.handedAt = now;
      place.calls.set(call.id, call);
      const use = uses.get(call.use) ?? uses.size;
      uses.set(call.use, use);
      return { id: call.id, use, task: call.task };
    });
    place.thread.run([...uses.keys()], texts);
    watching ??= setInterval(watch, TICK_MS);
  }

  function open(wary: boolean): Place {
    const events = {
      onAnswers: (answers: Answer[], free: boolean) => receive(place, answers, free),
      onEnd: (problem: string) => died(place, problem),
    };
    const place: Place = {
      thread: startThread(options.bundles, events, options.log),
      calls: new Map(),
      ready: false,
      free: true,
      wary,
      retired: false,
      seen: 0,
      busyTicks: 0,
    };
    places.add(place);
    void place.thread.loaded.then((loaded) => opened(place, loaded));
    return place;
  }

  function opened(place: Place, loaded: (Loaded | LoadFault)[] | ThreadLost): void {
    if (!places.has(place)) return;
    if (Array.isArray(loaded)) {
      place.ready = true;
      rest();
      if (place.wary) place.thread.stepBack();
      schedule();
      return;
    }
    close(place);
    // These very bundles did load before: the machine is short of something, and waiting here would help nobody.
    const fault = `the plugins cannot be run: ${loaded.problem}`;
    for (const call of queue.splice(0)) call.finish({ fault });
  }

  function receive(place: Place, answers: readonly Answer[], free: boolean): void {
    for (const answer of answers) {
      const call = place.calls.get(answer.call);
      if (!call) continue;
      place.calls.delete(answer.call);
      if (place.wary) suspects.behaved(call.chain);
      call.finish("fault" in answer ? { fault: answer.fault } : { value: answer.value });
    }
    if (free) place.free = true;
    if (place.retired && place.calls.size === 0) close(place);
    if (queue.length > 0) schedule();
  }

  function watch(): void {
    const now = performance.now();
    for (const place of [...places]) {
      if (place.calls.size === 0) continue;
      const current = place.thread.current();
      const occupant = place.calls.get(current);
      if (!place.free) place.busyTicks++;
      const isStalled = current === place.seen || place.busyTicks > STALL_TICKS;
      place.seen = current;
      if (occupant) startClocks(place, occupant, now);
      if (occupant && isStalled && !place.wary && !place.retired) retireTo(place, occupant, now);
      const late = [...place.calls.values()].find((call) => now - call.handedAt > call.limitMs);
      if (late) overrun(place, late);
    }
    if ([...places].some(({ calls }) => calls.size > 0)) return;
    if (watching) clearInterval(watching);
    watching = null;
    rest();
  }

  /** Begins to count the time without work anew. */
  function rest(): void {
    if (resting) clearTimeout(resting);
    resting = setTimeout(() => {
      if (live.size === 0) for (const place of places) close(place);
    }, options.idleMs ?? IDLE_MS);
    resting.unref();
  }

  /** What stands behind the occupant has not begun. */
  function startClocks(place: Place, occupant: Call, now: number): void {
    let isBehind = false;
    for (const call of place.calls.values()) {
      if (isBehind) call.handedAt = now;
      isBehind ||= call === occupant;
    }
  }

  /** The thread is left to the call that occupies it. */
  function retireTo(place: Place, call: Call, now: number): void {
    suspects.stalled(call.chain, now);
    place.retired = true;
    place.thread.retire();
    place.thread.stepBack();
    place.calls.delete(call.id);
    moveOut(place);
    place.calls.set(call.id, call);
  }

  function overrun(place: Place, call: Call): void {
    const current = place.thread.current();
    const isCertain = place.calls.size === 1 || current === call.id;
    place.calls.delete(call.id);
    if (isCertain) strike(call, `did not finish within ${call.limitMs} ms, and was ended`);
    else again(call, true);
    moveOut(place);
    close(place);
  }

  function died(place: Place, problem: string): void {
    const beside = [...new Set(Array.from(place.calls.values(), ({ chain }) => chain))].join("; ");
    options.log.warn("a plugin ended its thread; another takes its place", { problem, running: beside || "nothing" });
    const current = place.thread.current();
    for (const call of place.calls.values()) {
      if (place.wary || place.retired) strike(call, `failed: ${problem}`);
      else again(call, current === 0 || current === call.id);
    }
    place.calls.clear();
    close(place);
  }

  function strike(call: Call, problem: string): void {
    const refused = suspects.struck(call.chain, performance.now());
    call.finish({ fault: `${named(call.use)} ${problem}` });
    if (!refused) return;
    const refusal = suspects.refusal(call.chain, performance.now());
    const fault = `${named(call.use)} is not run: ${refusal}`;
    for (const waiting of queue) if (waiting.chain === call.chain) waiting.finish({ fault });
  }

  function moveOut(place: Place): void {
    for (const call of place.calls.values()) again(call, call.alone);
    place.calls.clear();
  }

  function again(call: Call, alone: boolean): void {
    if (!live.has(call)) return;
    call.alone = alone;
    queue.push(call);
    schedule();
  }

  function close(place: Place): void {
    if (!places.delete(place)) return;
    place.thread.end();
    if (queue.length > 0) schedule();
  }

  function stop(): void {
    stopped = true;
    if (watching) clearInterval(watching);
    if (resting) clearTimeout(resting);
    for (const call of [...live]) call.finish({ ended: true });
    for (const { thread } of places) thread.end();
    places.clear();
  }

  return {
    loaded: open(false).thread.loaded,
    run,
    retire() {
      retiring = true;
      if (live.size === 0) stop();
    },
    stop,
  };
}

function named({ names }: UseText): string {
  return names.length === 1 ? `the plugin "${names[0]}"` : `the plugins ${names.map((name) => `"${name}"`).join(", ")}`;
}
