import { measurePolls } from "/work/main/test/bench/polls.ts";
import { bareLoop } from "/work/main/test/bench/loop.ts";
const child = Bun.spawn([process.execPath, "/work/main/test/bench/receiver.ts"], { stdout: "pipe" });
const { value } = await child.stdout.getReader().read();
const url = `http://127.0.0.1:${new TextDecoder().decode(value).trim()}`;
const out = [];
for (let i = 0; i < 3; i++) {
  const bare = await bareLoop({ url, method: "GET", inFlight: 64, seconds: 1 });
  const { perSecond } = await measurePolls({ url, watches: 10000, rounds: 2 });
  const bare2 = await bareLoop({ url, method: "GET", inFlight: 64, seconds: 1 });
  out.push({ bare, perSecond, bare2, ratio: perSecond / ((bare + bare2) / 2) });
}
console.log(out);
child.kill(); process.exit(0);
