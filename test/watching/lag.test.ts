import { expect, test } from "bun:test";
import { measureLagWithHangingSources } from "../bench/lag.ts";

test("while a tenth of the sources hangs, the others are polled about as punctually as before", async () => {
  const lag = await measureLagWithHangingSources({ healthy: 300, concurrency: 100, timeoutMs: 4_000, seconds: 6 });
  // Twice as late at most, and a tick's worth for a machine that is busy with other tests.
  expect(lag.hangingMs).toBeLessThan(2 * lag.calmMs + 100);
}, 60_000);
