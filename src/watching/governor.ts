import type { HostHold, HostLimits } from "./host_store.ts";

/**
 * `true`: poll now. A number: not now, but at that time (milliseconds since 1970, the database's clock). Waiting takes
 * one second at most.
 */
export type Admission = true | number;

/** Who asks: a host with a credential. Holds are for both together, limits for the host. */
export type Source = { readonly host: string; readonly credential: string };

export type Governor = {
  /** Takes a place at the host. A promise only where there is something to wait for. */
  enter(source: Source, signal: AbortSignal): Admission | Promise<Admission>;
  /** Gives the place back; `ms` is how long the request took. */
  leave(source: Source, ms: number): void;
  /** Nobody asks this host with this credential before that time. @returns false when that was known already. */
  hold(source: Source, untilMs: number): boolean;
  /** The time until which a source asked to be left alone, or null. */
  heldUntil(source: Source): number | null;
  /** Takes over what people set and what other nodes have learned. */
  load(limits: readonly HostLimits[], holds: readonly HostHold[]): void;
};

const LONGEST_WAIT_MS = 1_000;
/** How long a host takes, until it is known. */
const USUAL_MS = 200;
/** Nobody is sent further ahead than this for a crowd; a hold may be longer. */
const FARTHEST_MS = 600_000;
/** Of hosts that were asked; a host beyond this starts with what is usual again. */
const MAX_HOSTS = 50_000;

/** A cap whose shares are exact enough to divide rates by. */
const WHOLE = 1_000_000;

type Host = {
  limit: number;
  rate: number;
  inFlight: number;
  line: Set<() => void>;
  meanMs: number;
  /** When the next request fits the rate (a token bucket of one second, as GCRA). */
  pacedUntil: number;
  /** The end of the line of those that were sent back. */
  bookedUntil: number;
};
type Hold = { untilMs: number; bookedUntil: number };

/**
 * Keeps to what each host can take: so many requests at once, so many a second, none while it asked for patience. Whoever
 * cannot be served within a second is sent back, one after another at the host's own pace, so that nothing spins.
 * Limits are the whole system's; `share` gives this node's part of a cap.
 */
export function createGovernor(options: {
  now(): number;
  concurrency: number;
  rate: number;
  share(cap: number): number;
}): Governor {
  const hosts = new Map<string, Host>();
  const holds = new Map<string, Hold>();
  let limits = new Map<string, HostLimits>();

  function enter(source: Source, signal: AbortSignal): Admission | Promise<Admission> {
    const now = options.now();
    const hold = holds.size === 0 ? undefined : holds.get(keyOf(source));
    const host = hostOf(source.host);
    if (hold && hold.untilMs > now) {
      hold.bookedUntil = Math.max(hold.bookedUntil, hold.untilMs) + spacing(host);
      return hold.bookedUntil;
    }
    const pauseMs = pace(host, now);
    if (pauseMs === null) return book(host, now);
    if (pauseMs === 0 && !isFull(host)) {
      host.inFlight++;
      return true;
    }
    if (expectedMs(host) > LONGEST_WAIT_MS) return book(host, now);
    return wait(host, pauseMs, signal);
  }

  async function wait(host: Host, pauseMs: number, signal: AbortSignal): Promise<Admission> {
    if (pauseMs > 0) await Bun.sleep(pauseMs);
    signal.throwIfAborted();
    if (!isFull(host)) {
      host.inFlight++;
      return true;
    }
    return (await standInLine(host, signal)) ? true : book(host, options.now());
  }

  /** Null: the rate leaves no room within a second. Otherwise how long to wait for the place now reserved. */
  function pace(host: Host, now: number): number | null {
    const rate = rateOf(host);
    if (rate <= 0) return 0;
    const earliest = Math.max(host.pacedUntil, now - 1_000);
    const pauseMs = Math.max(0, earliest - now);
    if (pauseMs > LONGEST_WAIT_MS) return null;
    host.pacedUntil = earliest + 1_000 / rate;
    return pauseMs;
  }

  function book(host: Host, now: number): number {
    const next = Math.max(host.bookedUntil, now + LONGEST_WAIT_MS) + spacing(host);
    host.bookedUntil = next > now + FARTHEST_MS ? now + LONGEST_WAIT_MS : next;
    return host.bookedUntil;
  }

  function spacing(host: Host): number {
    const byPlaces = host.limit > 0 ? host.meanMs / share(host.limit) : 1;
    return host.rate > 0 ? Math.max(byPlaces, 1_000 / rateOf(host)) : byPlaces;
  }

  function expectedMs(host: Host): number {
    return host.limit > 0 ? ((host.line.size + 1) * host.meanMs) / share(host.limit) : 0;
  }

  function isFull(host: Host): boolean {
    return host.limit > 0 && host.inFlight >= share(host.limit);
  }

  function share(limit: number): number {
    return Math.max(1, options.share(limit));
  }

  /** Rates may be fractions: the share of a large cap tells the part. */
  function rateOf(host: Host): number {
    return (host.rate * options.share(WHOLE)) / WHOLE;
  }

  function hostOf(name: string): Host {
    const known = hosts.get(name);
    if (known) return known;
    if (hosts.size >= MAX_HOSTS) forgetIdle();
    const host: Host = {
      ...limitsOf(name),
      inFlight: 0,
      line: new Set(),
      meanMs: USUAL_MS,
      pacedUntil: 0,
      bookedUntil: 0,
    };
    hosts.set(name, host);
    return host;
  }

  function limitsOf(name: string): { limit: number; rate: number } {
    const own = limits.get(name);
    return { limit: own?.concurrency ?? options.concurrency, rate: own?.rate ?? options.rate };
  }

  function forgetIdle(): void {
    for (const [name, host] of hosts) if (host.inFlight === 0 && host.line.size === 0) hosts.delete(name);
  }

  function hold(source: Source, untilMs: number): boolean {
    const known = holds.get(keyOf(source));
    if (known && known.untilMs >= untilMs) return false;
    holds.set(keyOf(source), { untilMs, bookedUntil: known?.bookedUntil ?? 0 });
    return true;
  }

  return {
    enter,
    leave({ host: name }, ms) {
      const host = hosts.get(name);
      if (!host) return;
      host.inFlight--;
      host.meanMs += (ms - host.meanMs) / 10;
      for (const admit of host.line) {
        if (isFull(host)) break;
        host.line.delete(admit);
        admit();
      }
    },
    hold,
    heldUntil(source) {
      const known = holds.get(keyOf(source));
      return known && known.untilMs > options.now() ? known.untilMs : null;
    },
    load(newLimits, newHolds) {
      limits = new Map(newLimits.map((each) => [each.host, each]));
      for (const [name, host] of hosts) Object.assign(host, limitsOf(name));
      const now = options.now();
      for (const [key, { untilMs }] of holds) if (untilMs <= now) holds.delete(key);
      for (const { host, credential, untilMs } of newHolds) hold({ host, credential }, untilMs);
    },
  };
}

/** Resolves to false after a second without a place. */
function standInLine(host: Host, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void) => {
      clearTimeout(timer);
      host.line.delete(admit);
      signal.removeEventListener("abort", stop);
      finish();
    };
    const admit = () => {
      host.inFlight++;
      settle(() => resolve(true));
    };
    const stop = () => settle(() => reject(signal.reason));
    const timer = setTimeout(() => settle(() => resolve(false)), LONGEST_WAIT_MS);
    signal.addEventListener("abort", stop);
    host.line.add(admit);
  });
}

function keyOf({ host, credential }: Source): string {
  return `${host} ${credential}`;
}
