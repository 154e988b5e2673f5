/** A counting limit: callers take places, in order, and wait while there are too few. */
export type Limit = {
  /** Waits until `places` are free; a request larger than the whole is served alone. */
  take(places: number): Promise<void>;
  give(places: number): void;
};

export function createLimit(size: number): Limit {
  let free = size;
  const waiting: { places: number; resolve(): void }[] = [];

  function serve(): void {
    for (let next = waiting[0]; next && (free >= next.places || free === size); next = waiting[0]) {
      waiting.shift();
      free -= next.places;
      next.resolve();
    }
  }

  return {
    take(places) {
      return new Promise((resolve) => {
        waiting.push({ places, resolve });
        serve();
      });
    },
    give(places) {
      free += places;
      serve();
    },
  };
}
