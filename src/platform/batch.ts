export type Batcher<In, Out> = {
  /** Joins the next batch; settles with this item's own result once its batch has been run. */
  add(item: In): Promise<Out>;
  /** Runs what is waiting and resolves when nothing is in flight. */
  drain(): Promise<void>;
};

/**
 * Turns many small statements into few large ones: items that arrive within `waitMs` of the first (or until `size`)
 * are run together, at most `concurrency` batches at once. While all are busy, waiting items pile up into one larger
 * batch, so that under load the batches grow by themselves.
 *
 * `run` answers one result per item, in order; when it throws, each item of the batch rejects with that error.
 */
export function createBatcher<In, Out>(options: {
  size: number;
  waitMs: number;
  concurrency: number;
  run(items: In[]): Promise<Out[]>;
}): Batcher<In, Out> {
  type Waiting = { item: In; resolve(result: Out): void; reject(error: unknown): void };
  let waiting: Waiting[] = [];
  let running = 0;
  let timer: ReturnType<typeof setTimeout> | null = null;
  const idle: (() => void)[] = [];

  function start(): void {
    if (timer) clearTimeout(timer);
    timer = null;
    while (waiting.length > 0 && running < options.concurrency) {
      const batch = waiting.length <= options.size ? waiting : waiting.slice(0, options.size);
      waiting = waiting.length <= options.size ? [] : waiting.slice(options.size);
      void runBatch(batch);
    }
  }

  async function runBatch(batch: Waiting[]): Promise<void> {
    running++;
    try {
      const results = await options.run(batch.map((entry) => entry.item));
      if (results.length !== batch.length) throw new Error("a batch must answer one result per item");
      for (let i = 0; i < batch.length; i++) batch[i]?.resolve(results[i] as Out);
    } catch (error) {
      for (const entry of batch) entry.reject(error);
    } finally {
      running--;
      if (waiting.length > 0) start();
      else if (running === 0) for (const wake of idle.splice(0)) wake();
    }
  }

  return {
    add(item) {
      return new Promise<Out>((resolve, reject) => {
        waiting.push({ item, resolve, reject });
        if (waiting.length >= options.size) start();
        else timer ??= setTimeout(start, options.waitMs);
      });
    },
    drain() {
      start();
      if (running === 0 && waiting.length === 0) return Promise.resolve();
      return new Promise((resolve) => idle.push(resolve));
    },
  };
}
