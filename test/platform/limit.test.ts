import { expect, test } from "bun:test";
import { createLimit } from "../../src/platform/limit.ts";

/** Takes places and notes when they were granted. */
function taker(size: number) {
  const limit = createLimit(size);
  const granted: string[] = [];
  return {
    limit,
    granted,
    async take(name: string, places: number): Promise<void> {
      void limit.take(places).then(() => granted.push(name));
      await Bun.sleep(0);
    },
    async give(places: number): Promise<void> {
      limit.give(places);
      await Bun.sleep(0);
    },
  };
}

test("grants places while there are enough", async () => {
  const { take, granted } = taker(5);
  await take("a", 2);
  await take("b", 3);
  await take("c", 1);
  expect(granted).toEqual(["a", "b"]);
});

test("serves in order: a small request does not overtake a large one", async () => {
  const { take, give, granted } = taker(4);
  await take("a", 3);
  await take("large", 4);
  await take("small", 1);
  expect(granted).toEqual(["a"]);
  await give(3);
  expect(granted).toEqual(["a", "large"]);
  await give(4);
  expect(granted).toEqual(["a", "large", "small"]);
});

test("serves a request that is larger than the whole, alone", async () => {
  const { take, give, granted } = taker(4);
  await take("a", 1);
  await take("huge", 100);
  await take("b", 1);
  expect(granted).toEqual(["a"]);
  await give(1);
  expect(granted).toEqual(["a", "huge"]);
  await give(96);
  expect(granted).toEqual(["a", "huge"]);
  await give(1);
  expect(granted).toEqual(["a", "huge", "b"]);
});

test("one gift may serve several", async () => {
  const { take, give, granted } = taker(3);
  await take("a", 3);
  for (const name of ["b", "c", "d", "e"]) await take(name, 1);
  await give(3);
  expect(granted).toEqual(["a", "b", "c", "d"]);
});
