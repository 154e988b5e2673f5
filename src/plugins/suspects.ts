/** What is remembered of plugins that stalled or ended a thread, by chain. Pure: times are passed in. */
export type Suspects = {
  /** Its calls run one by one, away from everybody else's. */
  isSuspect(chain: string, now: number): boolean;
  /** Why its calls are refused for the moment, or null. */
  refusal(chain: string, now: number): string | null;
  /** It kept a thread busy for longer than hooks should. */
  stalled(chain: string, now: number): void;
  /** It overran its time or ended its thread. @returns whether it is refused from now on */
  struck(chain: string, now: number): boolean;
  /** It ran alone, and well. */
  behaved(chain: string): void;
};

const STALLED_MS = 5_000;
const STRUCK_MS = 60_000;
const MOST_STRIKES = 3;
/** Refused for so long; then one call is tried again. */
const REFUSED_MS = 10_000;

export function createSuspects(): Suspects {
  const records = new Map<string, { until: number; strikes: number; refusedUntil: number }>();

  function recordOf(chain: string) {
    let record = records.get(chain);
    if (!record) {
      record = { until: 0, strikes: 0, refusedUntil: 0 };
      records.set(chain, record);
    }
    return record;
  }

  return {
    isSuspect: (chain, now) => (records.get(chain)?.until ?? 0) > now,
    refusal(chain, now) {
      const record = records.get(chain);
      if (!record || record.refusedUntil <= now) return null;
      const waitS = Math.ceil((record.refusedUntil - now) / 1_000);
      return `it had to be ended ${record.strikes} times in a row, so it is not run for the next ${waitS} s`;
    },
    stalled(chain, now) {
      const record = recordOf(chain);
      record.until = Math.max(record.until, now + STALLED_MS);
    },
    struck(chain, now) {
      const record = recordOf(chain);
      record.until = now + STRUCK_MS;
      record.strikes++;
      if (record.strikes < MOST_STRIKES) return false;
      record.refusedUntil = now + REFUSED_MS;
      return true;
    },
    behaved(chain) {
      const record = records.get(chain);
      if (record) record.strikes = 0;
    },
  };
}
