// `bun test/bench/peers.ts <folder> [rounds]`: what others do a second with the same work, beside DeltaHook, as ratios. The
// folder holds their programs, with their packages installed there (docs/bench.md): nothing of them belongs to ours.
import { join } from "node:path";
import { connectionString } from "../../src/platform/database.ts";
import { dropDatabase, emptyDatabase } from "../support/database.ts";
import { measureDeliveries } from "./deliveries.ts";
import { measurePolls } from "./polls.ts";

const [folder, roundsGiven] = process.argv.slice(2);
if (folder === undefined) throw new Error("Name the folder with the peers' programs: bun test/bench/peers.ts <folder>");
const ROUNDS = Number(roundsGiven ?? 3);
const DELIVERIES = 20_000;
const IN_FLIGHT = 100;
/** More than Node-RED can do, so that it is its speed that counts. */
const FLOWS = 4_000;
const REDIS_PORT = 6390;

const receiver = Bun.spawn([process.execPath, new URL("receiver.ts", import.meta.url).pathname], { stdout: "pipe" });
const { value } = await receiver.stdout.getReader().read();
const origin = `http://127.0.0.1:${new TextDecoder().decode(value).trim()}`;
const redis = Bun.spawn(["redis-server", "--port", String(REDIS_PORT), "--save", ""], { stdout: "ignore" });
try {
  await Bun.sleep(1_000);
  const deliveries: number[] = [];
  const polls: number[] = [];
  for (let round = 1; round <= ROUNDS; round++) {
    const bullmq = await bullmqDeliveries();
    const ours = await measureDeliveries({ url: `${origin}/hook`, events: DELIVERIES, endpoints: 10 });
    const nodeRed = await nodeRedPolls();
    const polled = await measurePolls({ url: origin, watches: 10_000, rounds: 2 });
    deliveries.push(ours.perSecond / bullmq);
    polls.push(polled.perSecond / nodeRed);
    process.stdout.write(
      `round ${round}: deliveries ${Math.round(ours.perSecond)} / ${Math.round(bullmq)}, polls ${Math.round(polled.perSecond)} / ${Math.round(nodeRed)}\n`,
    );
  }
  process.stdout.write(`deliveries: ${median(deliveries).toFixed(1)} × BullMQ on Redis\n`);
  process.stdout.write(`polls: ${median(polls).toFixed(1)} × Node-RED\n`);
} finally {
  receiver.kill();
  redis.kill();
}
process.exit(0);

async function bullmqDeliveries(): Promise<number> {
  const database = await emptyDatabase();
  const child = Bun.spawn(["node", "bullmq-deliver.mjs", String(DELIVERIES), String(IN_FLIGHT)], {
    cwd: folder as string,
    env: {
      ...process.env,
      RECEIVER: `${origin}/hook`,
      REDIS_PORT: String(REDIS_PORT),
      DATABASE_URL: connectionString(database),
    },
    stderr: "inherit",
  });
  const line = (await new Response(child.stdout).text()).trim().split("\n").at(-1) ?? "";
  await dropDatabase(database);
  return (JSON.parse(line) as { per_second: number }).per_second;
}

/** Requests a second that reach the receiver, polls and what is told of changes alike, once Node-RED has started its flows. */
async function nodeRedPolls(): Promise<number> {
  const flows = Bun.spawnSync(["node", "node-red-flows.mjs", String(FLOWS)], {
    cwd: folder as string,
    env: { ...process.env, RECEIVER_BASE: origin },
  });
  await Bun.write(join(folder as string, ".node-red/flows.json"), flows.stdout);
  const program = Bun.spawn(["node", "node_modules/node-red/red.js", "-s", "settings.cjs"], {
    cwd: folder as string,
    stdout: "ignore",
    stderr: "inherit",
  });
  try {
    const before = await count();
    for (let waited = 0; (await count()) === before && waited < 60; waited++) await Bun.sleep(1_000);
    await Bun.sleep(5_000);
    const [from, startedAt] = [await count(), performance.now()];
    await Bun.sleep(10_000);
    return ((await count()) - from) / ((performance.now() - startedAt) / 1_000);
  } finally {
    program.kill();
    await program.exited;
  }
}

async function count(): Promise<number> {
  return Number(await (await fetch(`${origin}/count`)).text());
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}
