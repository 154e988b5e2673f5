/** Polls in flight, at most `size` of them; who comes later waits in line. */
export type Lane = {
  readonly size: number;
  inUse(): number;
  waiting(): number;
  /** Takes a place at once, or answers false. */
  tryEnter(): boolean;
  /** Resolves with a place taken; rejects with the signal's reason when that ends the wait. */
  enter(signal: AbortSignal): Promise<void>;
  leave(): void;
};

export function createLane(size: number): Lane {
  const line = new Set<() => void>();
  let inUse = 0;

  return {
    size,
    inUse: () => inUse,
    waiting: () => line.size,
    tryEnter() {
      if (inUse >= size || line.size > 0) return false;
      inUse++;
      return true;
    },
    enter(signal) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        const admit = () => {
          signal.removeEventListener("abort", refuse);
          inUse++;
          resolve();
        };
        const refuse = () => {
          line.delete(admit);
          reject(signal.reason);
        };
        signal.addEventListener("abort", refuse, { once: true });
        line.add(admit);
        if (inUse < size) admitNext();
      });
    },
    leave() {
      inUse--;
      if (inUse < size) admitNext();
    },
  };

  function admitNext(): void {
    for (const admit of line) {
      line.delete(admit);
      admit();
      return;
    }
  }
}
