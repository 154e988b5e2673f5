/** A webhook receiver on loopback that keeps what it got. */
export type Received = { id: string; path: string; headers: Record<string, string>; body: string; at: number };
export type Receiver = {
  url: string;
  received: Received[];
  /** Resolves when `count` different webhook-ids have arrived. */
  arrived(count: number, timeoutMs?: number): Promise<void>;
  ids(): Set<string>;
  stop(): Promise<void>;
};

/** @param answer what to say to a request; 200 without it */
export function startReceiver(answer?: (received: Received, nth: number) => Response | Promise<Response>): Receiver {
  const received: Received[] = [];
  const ids = new Set<string>();
  const waiting: { count: number; resolve(): void }[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      const entry: Received = {
        id: request.headers.get("webhook-id") ?? "",
        path: new URL(request.url).pathname,
        headers: Object.fromEntries(request.headers),
        body: await request.text(),
        at: performance.now(),
      };
      received.push(entry);
      const response = answer ? await answer(entry, received.length) : new Response("ok");
      if (response.ok) ids.add(entry.id);
      for (const waiter of waiting) if (ids.size >= waiter.count) waiter.resolve();
      return response;
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/hook`,
    received,
    ids: () => ids,
    arrived(count, timeoutMs = 30_000) {
      return new Promise((resolve, reject) => {
        if (ids.size >= count) return resolve();
        const timer = setTimeout(
          () => reject(new Error(`${ids.size} of ${count} webhooks arrived within ${timeoutMs} ms`)),
          timeoutMs,
        );
        waiting.push({
          count,
          resolve() {
            clearTimeout(timer);
            resolve();
          },
        });
      });
    },
    stop: () => server.stop(true),
  };
}
