import { enter } from "./listening/access.ts";
import { createAnswers } from "./listening/answers.ts";
import { follow, type Heard, type Listener } from "./listening/connection.ts";
import { createForward } from "./listening/forward.ts";
import { isSigned } from "./listening/signed.ts";
import { tellDelivery, tellLost, tellReady } from "./listening/words.ts";

export type ListenOptions = {
  events: string;
  filter?: string;
  forwardTo?: string;
  server?: string;
  apiKey?: string;
  json?: boolean;
};

/** What is under way when Ctrl-C comes may still be answered. */
const LAST_ANSWERS_MS = 1_000;

/** Prints what a temporary endpoint is sent, forwards it and reports the answers, until Ctrl-C. */
export async function listen(options: ListenOptions): Promise<void> {
  const forward = createForward(options.forwardTo);
  const { server, leave } = await enter(options);
  const stop = stopSignal();
  const answers = createAnswers(server);
  const underWay = new Map<string, Promise<void>>();
  let listener: Listener | null = null;

  async function handle(heard: Heard, { id, secret }: Listener): Promise<void> {
    const startedAt = performance.now();
    const verified = isSigned(heard, secret);
    const result = await forward.send(heard);
    tellDelivery(heard, { verified, result, ms: Math.round(performance.now() - startedAt) }, options.json);
    await answers.give(id, { request: heard.id, ...result });
  }

  try {
    await follow(server, {
      query: { event_types: options.events, ...(options.filter === undefined ? {} : { filter: options.filter }) },
      stop,
      onReady(ready) {
        if (ready.id !== listener?.id) tellReady(ready, { server: server.address, to: forward.to }, options.json);
        listener = ready;
      },
      onDelivery(heard, by) {
        // What was in hand when the connection broke is given again.
        if (underWay.has(heard.id)) return;
        const handled = handle(heard, by).finally(() => underWay.delete(heard.id));
        underWay.set(heard.id, handled);
      },
      onLost: tellLost,
    });
    await Promise.race([Promise.all(underWay.values()), Bun.sleep(LAST_ANSWERS_MS)]);
  } finally {
    await leave(listener);
  }
}

/** Aborted by Ctrl-C, by SIGTERM, and when whoever reads our output has read enough. */
function stopSignal(): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => stop.abort());
  process.stdout.once("error", () => stop.abort());
  return stop.signal;
}
