import { describe, expect, test } from "bun:test";
import { createBatcher } from "../../src/platform/batch.ts";

/** A batcher whose batches end when the test says so. */
function held(options: { size: number; waitMs: number; concurrency: number }) {
  const batches: { items: number[]; end(results?: number[]): void; fail(error: Error): void }[] = [];
  const batcher = createBatcher<number, number>({
    ...options,
    run: (items) =>
      new Promise((resolve, reject) => {
        batches.push({ items, end: (results = items.map((item) => item * 10)) => resolve(results), fail: reject });
      }),
  });
  return { batcher, batches };
}

const NEVER_MS = 60_000;
const turn = () => Bun.sleep(1);

describe("items", () => {
  test("that arrive together run together, and each gets its own result", async () => {
    const sizes: number[] = [];
    const batcher = createBatcher<number, string>({
      size: 100,
      waitMs: 1,
      concurrency: 1,
      run: async (items) => {
        sizes.push(items.length);
        return items.map((item) => `r${item}`);
      },
    });
    expect(await Promise.all([1, 2, 3].map((item) => batcher.add(item)))).toEqual(["r1", "r2", "r3"]);
    expect(sizes).toEqual([3]);
  });

  test("do not wait once the batch is full", async () => {
    const { batcher, batches } = held({ size: 2, waitMs: NEVER_MS, concurrency: 1 });
    const results = [batcher.add(1), batcher.add(2)];
    expect(batches.map((batch) => batch.items)).toEqual([[1, 2]]);
    batches[0]?.end();
    expect(await Promise.all(results)).toEqual([10, 20]);
  });

  test("pile up while all places are taken, into batches no larger than the size", async () => {
    const { batcher, batches } = held({ size: 3, waitMs: 0, concurrency: 1 });
    const results = Array.from({ length: 8 }, (_, i) => batcher.add(i));
    await turn();
    expect(batches).toHaveLength(1);
    for (let i = 0; i < 3; i++) {
      batches[i]?.end();
      await turn();
    }
    expect(batches.map((batch) => batch.items)).toEqual([
      [0, 1, 2],
      [3, 4, 5],
      [6, 7],
    ]);
    expect(await Promise.all(results)).toEqual([0, 10, 20, 30, 40, 50, 60, 70]);
  });

  test("run in as many batches at once as there are places", () => {
    const { batcher, batches } = held({ size: 1, waitMs: NEVER_MS, concurrency: 2 });
    for (let i = 0; i < 5; i++) void batcher.add(i);
    expect(batches).toHaveLength(2);
  });
});

describe("a batch that fails", () => {
  test("rejects each of its items, and no other", async () => {
    const { batcher, batches } = held({ size: 2, waitMs: 0, concurrency: 1 });
    const results = Promise.allSettled([1, 2, 3].map((item) => batcher.add(item)));
    await turn();
    batches[0]?.fail(new Error("away"));
    await turn();
    batches[1]?.end();
    expect((await results).map((result) => result.status)).toEqual(["rejected", "rejected", "fulfilled"]);
  });

  test("is also one that answers too few results", async () => {
    const { batcher, batches } = held({ size: 2, waitMs: 0, concurrency: 1 });
    const results = Promise.allSettled([batcher.add(1), batcher.add(2)]);
    batches[0]?.end([1]);
    expect((await results).map((result) => result.status)).toEqual(["rejected", "rejected"]);
  });
});

describe("draining", () => {
  test("runs what is waiting at once, and ends when all is done", async () => {
    const { batcher, batches } = held({ size: 10, waitMs: NEVER_MS, concurrency: 1 });
    const result = batcher.add(7);
    let drained = false;
    const drain = batcher.drain().then(() => {
      drained = true;
    });
    await turn();
    expect(batches).toHaveLength(1);
    expect(drained).toBe(false);
    batches[0]?.end();
    await drain;
    expect(await result).toBe(70);
  });

  test("of nothing ends at once", async () => {
    await held({ size: 1, waitMs: 0, concurrency: 1 }).batcher.drain();
  });
});
