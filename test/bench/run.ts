// `npm run bench`: what DeltaHook does a second, as a ratio to a bare fetch loop measured in the same minute on the same
// machine. Absolute figures of two machines, or of two minutes on a shared one, say nothing.

import { measureDeliveries } from "./deliveries.ts";
import { type Drain, type Fairness, measureDrain, measureFairness } from "./fairness.ts";
import { bareLoop } from "./loop.ts";
import { measurePolls } from "./polls.ts";

const IN_FLIGHT = 64;
const ROUNDS = Number(process.argv[2] ?? 3);
const BARS = { deliveries: 0.15, polls: 0.15, plugin: 0.6, latency: 2 };
const OWED = { hanging: 10_000, paused: 100_000 };

const receiver = Bun.spawn([process.execPath, new URL("receiver.ts", import.meta.url).pathname], { stdout: "pipe" });
const first = await receiver.stdout.getReader().read();
const url = `http://127.0.0.1:${new TextDecoder().decode(first.value).trim()}/hook`;

type Rate = "posts" | "gets" | "deliveries" | "plugin" | "ingest" | "polls";
type Round = Record<Rate, number> & { one: Fairness; eight: Fairness };
const rounds: Round[] = [];
for (let round = 1; round <= ROUNDS; round++) {
  const posts = await bareLoop({ url, method: "POST", inFlight: IN_FLIGHT, seconds: 3 });
  const delivered = await measureDeliveries({ url, events: 30_000, endpoints: 10 });
  const plugged = await measureDeliveries({ url, events: 30_000, endpoints: 10, plugin: "slack" });
  const gets = await bareLoop({ url, method: "GET", inFlight: IN_FLIGHT, seconds: 3 });
  const polls = await measurePolls({ url: new URL(url).origin, watches: 20_000, rounds: 2 });
  rounds.push({
    posts,
    gets,
    deliveries: delivered.perSecond,
    plugin: plugged.perSecond,
    ingest: delivered.ingestedPerSecond,
    polls: polls.perSecond,
    one: await measureFairness({ hanging: 1, owed: OWED.hanging, seconds: 10 }),
    eight: await measureFairness({ hanging: 8, owed: OWED.hanging, seconds: 10 }),
  });
  process.stdout.write(`round ${round} of ${ROUNDS} done\n`);
}
const drain = await measureDrain({ owed: OWED.paused, cap: 32, seconds: 10 });
receiver.kill();

process.stdout.write(
  `\nmedian of ${ROUNDS} rounds                            per second   ratio to the bare loop   bar\n`,
);
print("bare fetch loop, POST, 64 in flight", median("posts"));
print("deliveries (queued, signed, recorded)", median("deliveries"), ratio("deliveries", "posts"), BARS.deliveries);
print(
  "deliveries through a plugin: share of the plain ones",
  median("plugin"),
  ratio("plugin", "deliveries"),
  BARS.plugin,
);
print("events taken in, batches of 500", median("ingest"), ratio("ingest", "posts"));
print("bare fetch loop, GET, 64 in flight", median("gets"));
print("polls (unchanged, recorded)", median("polls"), ratio("polls", "gets"), BARS.polls);
process.stdout.write("\np95 of healthy endpoints, publish to arrival: ratio to the calm value\n");
latency("one endpoint hangs: while it is given 10,000", "one", "burstMs");
latency("eight hang: while they are given 10,000", "eight", "burstMs");
const latencies = [
  latency("one endpoint hangs and is owed 10,000", "one", "afterMs", BARS.latency),
  latency("eight hang and are owed 10,000", "eight", "afterMs", BARS.latency),
  latencyOf(`100,000 owed are drained: ${describe(drain)}`, drain.meanwhileMs / drain.calmMs, BARS.latency),
];
const slow = latencies.some((share) => share > BARS.latency);
process.exit(
  ratio("deliveries", "posts") < BARS.deliveries ||
    ratio("plugin", "deliveries") < BARS.plugin ||
    ratio("polls", "gets") < BARS.polls ||
    slow
    ? 1
    : 0,
);

function median(key: Rate): number {
  return middle(rounds.map((round) => round[key]));
}

function ratio(key: Rate, to: Rate): number {
  return middle(rounds.map((round) => round[key] / round[to]));
}

function latency(name: string, key: "one" | "eight", when: "burstMs" | "afterMs", bar?: number): number {
  const share = middle(rounds.map((round) => round[key][when] / round[key].calmMs));
  return latencyOf(name, share, bar);
}

function latencyOf(name: string, share: number, bar?: number): number {
  const columns = [name.padEnd(76), share.toFixed(2).padStart(8), bar === undefined ? "" : `  ≤ ${bar}`];
  process.stdout.write(`${columns.join("")}\n`);
  return share;
}

function describe({ perSecond, mostInFlight }: Drain): string {
  return `${Math.round(perSecond).toLocaleString("en")} a second, at most ${mostInFlight} in flight`;
}

function middle(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

function print(name: string, perSecond: number, share?: number, bar?: number): void {
  const columns = [name.padEnd(56), Math.round(perSecond).toLocaleString("en").padStart(12)];
  if (share !== undefined) columns.push(share.toFixed(3).padStart(24));
  if (bar !== undefined) columns.push(`≥ ${bar}`.padStart(8));
  process.stdout.write(`${columns.join("")}\n`);
}
