import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { silentLog } from "../../src/platform/log.ts";
import { createPool } from "../../src/plugins/pool.ts";
import { event, type Host, pluginText, startHost, use } from "./support.ts";

const TRANSFORMS: Record<string, string> = {
  good: "transform(event) { return { body: event.data }; }",
  loop: "timeoutMs: 300, transform() { for (;;); }",
  regex: 'timeoutMs: 300, transform() { /^(a+)+$/.test("a".repeat(60) + "!"); return {}; }',
  never: "timeoutMs: 300, transform() { return new Promise(() => {}); }",
  microtasks: "timeoutMs: 300, async transform() { for (;;) await null; }",
  exits: "transform() { process.exit(1); }",
  exits_later: "async transform() { await Bun.sleep(5); process.exit(1); }",
  throws_text: 'transform() { throw "just a text"; }',
  throws_null: "transform() { throw null; }",
  throws_trap: "transform() { throw { toString() { throw new Error('trap'); } }; }",
  throws_error: "transform(event) {\n  const order: any = undefined;\n  return { body: order.id };\n}",
  recursion: "transform() { const dive = (): number => dive() + 1; return { body: dive() }; }",
  returns_function: "transform() { return { body: { items: [1, () => 2] } }; }",
  returns_cycle: "transform() { const a: any = {}; a.self = a; return { body: a }; }",
  returns_bigint: "transform() { return { body: { total: 10n } }; }",
  returns_nan: "transform() { return { body: { total: 0 / 0 } }; }",
  returns_map: "transform() { return { body: { totals: new Map() } }; }",
  returns_promise: "transform() { return { body: { later: Promise.resolve(1) } }; }",
  returns_nothing: "transform() {}",
  returns_text: 'transform() { return "text" as any; }',
  returns_stranger: "transform() { return { payload: 1 } as any; }",
  returns_100mb: 'transform() { return { body: "x".repeat(100e6) }; }',
  returns_100mb_inside: 'transform() { return { body: { parts: Array(100).fill("x".repeat(1e6)) } }; }',
  sets_signature: 'transform() { return { headers: { "Webhook-Signature": "v1,forged" } }; }',
  posts_nonsense: 'transform() { (globalThis as any).postMessage({ kind: "answers", answers: null }); return {}; }',
};

let host: Host;
beforeAll(async () => {
  host = await startHost(
    Object.fromEntries(Object.entries(TRANSFORMS).map(([name, members]) => [`${name}.ts`, pluginText(name, members)])),
  );
});
afterAll(() => host.stop());

describe("a transform that misbehaves fails its try with a sentence", () => {
  const cases: [string, RegExp][] = [
    ["loop", /^the plugin "loop" did not finish within 300 ms, and was ended$/],
    ["regex", /^the plugin "regex" did not finish within 300 ms/],
    ["never", /^the plugin "never" did not finish within 300 ms/],
    ["microtasks", /^the plugin "microtasks" did not finish within 300 ms/],
    ["exits", /^the plugin "exits" failed: it ended its worker thread/],
    ["exits_later", /^the plugin "exits_later" failed: it ended its worker thread/],
    ["throws_text", /^the transform hook of "throws_text" failed: it threw the text "just a text"$/],
    ["throws_null", /failed: it threw null; throw an Error/],
    ["throws_trap", /failed: it threw an object that is no Error/],
    ["throws_error", /failed: TypeError: .*order.id.* \(throws_error\.ts:5:\d+\)$/],
    ["recursion", /failed: RangeError: Maximum call stack size exceeded/],
    ["returns_function", /body\.items\[1\] is a function, which JSON has no word for$/],
    ["returns_cycle", /nested deeper than 256 levels, or refers to itself$/],
    ["returns_bigint", /body\.total is a bigint/],
    ["returns_nan", /body\.total is NaN/],
    ["returns_map", /body\.totals is a Map/],
    ["returns_promise", /body\.later is a Promise: await it$/],
    ["returns_nothing", /must return \{body\?, headers\?\}, or null to skip, not nothing$/],
    ["returns_text", /not a string$/],
    ["returns_stranger", /returned "payload"/],
    ["returns_100mb", /body has more than 1048576 characters$/],
    ["returns_100mb_inside", /the result has more than 1048576 characters$/],
    ["sets_signature", /cannot set the header "Webhook-Signature": DeltaHook does$/],
    ["posts_nonsense", /posted a message of its own/],
  ];
  for (const [name, sentence] of cases) {
    test(name, async () => {
      const made = await host.plugins.transform(use(name), event());
      expect(made).toHaveProperty("fault", expect.stringMatching(sentence));
      expect(await host.plugins.transform(use("good"), event({ still: "alive" }))).toMatchObject({
        body: '{"still":"alive"}',
      });
    }, 10_000);
  }
});

// In a process of its own: inside `bun test` a worker's own handlers of such errors are never called.
test("what a hook leaves behind, a rejection or a timer that throws, is logged and harms nobody", async () => {
  const fixture = new URL("./fixtures/leftovers.ts", import.meta.url).pathname;
  const child = Bun.spawn([process.execPath, fixture], { stdout: "pipe", stderr: "pipe" });
  const output = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  expect(output).toContain("a promise that nobody waits for: Error: floating (leaves_rejection.ts:");
  expect(output).toContain("outside of its hooks: Error: in a timer (leaves_timer.ts:");
  expect(output).not.toContain("ended its thread");
});

test("calls that stood beside a runaway run again and are all answered", async () => {
  const bad = ["loop", "exits", "exits_later", "never"].map((name) => host.plugins.transform(use(name), event()));
  const good = Array.from({ length: 500 }, (_, n) => host.plugins.transform(use("good"), event({ n })));
  const answers = await Promise.all(good);
  for (const [n, answer] of answers.entries()) expect(answer).toMatchObject({ body: `{"n":${n}}` });
  for (const answer of await Promise.all(bad)) expect(answer).toHaveProperty("fault");
}, 15_000);

test("while one plugin hangs again and again, the calls of others do not wait for it", async () => {
  const fresh = await startHost({
    "good.ts": pluginText("good", TRANSFORMS.good ?? ""),
    "hang.ts": pluginText("hang", "timeoutMs: 1000, transform() { for (;;); }"),
  });
  const hanging = Array.from({ length: 50 }, () => fresh.plugins.transform(use("hang"), event()));
  await Bun.sleep(300); // by then it is known for what it is
  const waits: number[] = [];
  for (let i = 0; i < 100; i++) {
    const startedAt = performance.now();
    await fresh.plugins.transform(use("good"), event());
    waits.push(performance.now() - startedAt);
  }
  // Waiting for it would take a second each.
  expect(waits.sort((a, b) => a - b)[95]).toBeLessThan(500);
  const faults = await Promise.all(hanging);
  expect(faults.filter((answer) => "fault" in answer && /did not finish/.test(answer.fault))).toHaveLength(3);
  expect(faults.at(-1)).toHaveProperty("fault", expect.stringMatching(/had to be ended 3 times in a row/));
  await fresh.stop();
}, 20_000);

test.if(process.platform === "linux")(
  "a thread that hangs gets only the processor time that nobody else wants",
  async () => {
    const fresh = await startHost({ "hang.ts": pluginText("hang", "timeoutMs: 1000, transform() { for (;;); }") });
    const hanging = fresh.plugins.transform(use("hang"), event());
    await Bun.sleep(500);
    const niceness = readdirSync("/proc/self/task").map((id) => {
      const stat = readFileSync(`/proc/self/task/${id}/stat`, "utf8");
      return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
    });
    expect(niceness.filter((nice) => nice === 19)).toHaveLength(1);
    await hanging;
    await fresh.stop();
  },
);

test("a hook that takes long without overrunning is let finish, and others go past it", async () => {
  const slow = pluginText("slow", "transform(event: any) { Bun.sleepSync(1_500); return { body: event.data }; }");
  const fresh = await startHost({ "slow.ts": slow, "good.ts": pluginText("good", TRANSFORMS.good ?? "") });
  const order: string[] = [];
  const run = async (name: string) => {
    expect(await fresh.plugins.transform(use(name), event())).toMatchObject({ body: '{"n":1}' });
    order.push(name);
  };
  await Promise.all([run("slow"), run("slow"), run("good")]);
  expect(order).toEqual(["good", "slow", "slow"]);
  await fresh.stop();
}, 20_000);

test("many short hooks in one batch do not add up to an overrun", async () => {
  const short = pluginText("short", "timeoutMs: 200, transform() { Bun.sleepSync(20); return { body: 1 }; }");
  const fresh = await startHost({ "short.ts": short });
  const answers = await Promise.all(Array.from({ length: 40 }, () => fresh.plugins.transform(use("short"), event())));
  for (const answer of answers) expect(answer).toMatchObject({ body: "1" });
  await fresh.stop();
}, 20_000);

test("the environment of a hook is empty", async () => {
  process.env.PLUGIN_TEST_SECRET = "hunter2";
  const peek = 'transform() { return { body: [process.env, Bun.env, process.env["PLUGIN_TEST_SECRET"] ?? null] }; }';
  const fresh = await startHost({ "peek.ts": pluginText("peek", peek) });
  expect(await fresh.plugins.transform(use("peek"), event())).toMatchObject({ body: "[{},{},null]" });
  delete process.env.PLUGIN_TEST_SECRET;
  await fresh.stop();
});

test("a caller's signal ends the wait at once", async () => {
  const caller = new AbortController();
  const waiting = host.plugins.transform(use("never"), event(), caller.signal);
  caller.abort();
  expect(await waiting).toEqual({ ended: true });
});

test("threads without work are ended, and started again when there is some", async () => {
  const code = 'export default { name: "note", transform(event) { return { body: event.data }; } };';
  const before = threadsNamed("plugins");
  const pool = createPool({ bundles: [{ file: "note.js", version: "1", code }], log: silentLog, idleMs: 100 });
  await pool.loaded;
  const noted = { names: ["note"], options: "{}", about: "{}" };
  for (let round = 0; round < 3; round++) {
    const outcome = await pool.run(noted, { hook: "transform", input: event({ round }) }, { limitMs: 2_000 });
    expect(outcome).toMatchObject({ value: { body: `{"round":${round}}` } });
    await Bun.sleep(300);
    expect(threadsNamed("plugins")).toBeLessThanOrEqual(before);
  }
  pool.stop();
});

/** Of this process; only Linux tells. */
function threadsNamed(name: string): number {
  if (process.platform !== "linux") return 0;
  return readdirSync("/proc/self/task").filter(
    (id) => readFileSync(`/proc/self/task/${id}/comm`, "utf8").trim() === name,
  ).length;
}
