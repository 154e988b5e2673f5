import { loopback } from "../support/engine.ts";
const child = Bun.spawn([process.execPath, "/work/main/test/bench/receiver.ts"], { stdout: "pipe" });
const { value } = await child.stdout.getReader().read();
const url = `http://127.0.0.1:${new TextDecoder().decode(value).trim()}`;
async function loop(name: string, inFlight: number, once: () => Promise<unknown>) {
  const end = performance.now() + 2000; let n = 0; const c0 = process.cpuUsage(); const t0 = performance.now();
  await Promise.all(Array.from({ length: inFlight }, async () => { while (performance.now() < end) { await once(); n++; } }));
  const c = process.cpuUsage(c0); console.log(name, inFlight, Math.round(n / ((performance.now() - t0) / 1000)), "/s cpu us", Math.round((c.user + c.system) / n));
}
for (const f of [64, 512]) {
await loop("bare", f, async () => { const r = await fetch(url + "/orders"); await r.json(); });
await loop("bare distinct", f, async () => { const r = await fetch(url + "/orders?id=" + Math.floor(Math.random() * 8000)); await r.json(); });
await loop("outbound", f, () => loopback.request({ method: "GET", url: url + "/orders", headers: { accept: "application/json" }, timeoutMs: 30000, maxBytes: 1e6, oversize: "fail", redirects: 5 }));
await loop("outbound distinct", f, () => loopback.request({ method: "GET", url: url + "/orders?id=" + Math.floor(Math.random() * 8000), headers: { accept: "application/json" }, timeoutMs: 30000, maxBytes: 1e6, oversize: "fail", redirects: 5 }));
await loop("outbound signal", f, () => loopback.request({ method: "GET", url: url + "/orders", headers: { accept: "application/json" }, timeoutMs: 30000, maxBytes: 1e6, oversize: "fail", redirects: 5, signal: new AbortController().signal }));
}
child.kill(); process.exit(0);
