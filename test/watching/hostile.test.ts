import { afterAll, beforeAll, expect, test } from "bun:test";
import { fileURLToPath } from "node:url";
import { testDatabase } from "../support/database.ts";
import { type Node, pollLog, pollNow, startNode, until } from "./support.ts";

const HOSTILE: [name: string, path: string, problem: RegExp][] = [
  ["a gzip bomb", "/bomb", /larger than/],
  ["a gigabyte", "/gigabyte", /larger than/],
  ["an endless drip", "/drip", /within 1500ms/],
  ["nothing at all", "/silent", /within 1500ms/],
  ["20,000 levels of nesting", "/deep", /nested deeper/],
  ["a login page", "/login", /login page/],
  ["a redirect to a private address", "/private", /10\.0\.0\.1/],
  ["another charset than it says", "/charset", /UTF-8/],
  ["JSON that was cut off", "/cut", /not JSON/],
  ["an empty body", "/empty", /empty/],
  ["a refusal that Postgres would not store", "/refusal", /errors and no data: no\ufffdpe \ufffd/],
];
const TIMEOUT_MS = 1_500;

let place: Awaited<ReturnType<typeof testDatabase>>;
let node: Node;
let url: string;
const source = Bun.spawn([process.execPath, fileURLToPath(new URL("./hostile_source.ts", import.meta.url))], {
  stdout: "pipe",
});

beforeAll(async () => {
  place = await testDatabase();
  node = startNode(place, { timeoutMs: TIMEOUT_MS });
  const { value } = await source.stdout.getReader().read();
  url = `http://127.0.0.1:${new TextDecoder().decode(value).trim()}`;
});
afterAll(async () => {
  await node.stop();
  source.kill();
  await place.drop();
});

const create = (path: string, every = "1h") =>
  node.create({ request: { url: url + path }, fields: { status: "$.status" }, schedule: { every } });

/** The poll that creating a watch has made due. */
const firstPoll = async (path: string) => {
  const { id } = await create(path);
  return until("it is polled", async () => (await pollLog(node, id))[0]);
};

test.each(HOSTILE)("a source that sends %s fails its poll in time, with its cause", async (_, path, problem) => {
  const poll = await firstPoll(path);
  expect(poll.outcome).toBe("failed");
  expect(poll.problem).toMatch(problem);
  expect(poll.ms).toBeLessThan(TIMEOUT_MS + 1_000);
});

test("a __proto__ member is plain data and reaches no prototype", async () => {
  const { id } = await node.create({
    request: { url: `${url}/proto` },
    fields: { all: "$", status: "$.status" },
    schedule: { every: "1h" },
  });
  await until("it is polled", async () => (await pollLog(node, id))[0]);
  expect(await pollNow(node, id)).toMatchObject({ outcome: "unchanged", problem: null });
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
});

test("all of them together cost under 100 MB, and others keep their schedule", async () => {
  const good: string[] = [];
  for (let i = 0; i < 5; i++) good.push((await create(`/good?${i}`, "1s")).id);
  await until("the good ones run", async () => (await pollLog(node, good[0] ?? "")).length > 1);
  Bun.gc(true);
  const before = process.memoryUsage.rss();
  const startedAt = Date.now();
  let most = before;
  const looking = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 20);
  const bad: string[] = [];
  for (const [, path] of HOSTILE) for (let i = 0; i < 4; i++) bad.push((await create(`${path}?${i}`, "1s")).id);
  for (const id of bad) {
    await until(
      "each has failed",
      async () => (await pollLog(node, id)).some(({ outcome }) => outcome === "failed"),
      30_000,
    );
  }
  const seconds = Math.floor((Date.now() - startedAt) / 1_000);
  clearInterval(looking);
  expect((most - before) / 1_000_000).toBeLessThan(100);
  for (const id of good) {
    const log = (await pollLog(node, id)).filter(({ at }) => Date.parse(at) >= startedAt);
    expect(log.every(({ outcome }) => outcome === "unchanged")).toBe(true);
    expect(log.length).toBeGreaterThanOrEqual(seconds - 1);
  }
}, 60_000);
