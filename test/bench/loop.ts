/** Requests per second of a bare `fetch` loop: what any client on this machine could reach at most. */
export async function bareLoop(options: {
  url: string;
  method: "GET" | "POST";
  inFlight: number;
  seconds: number;
}): Promise<number> {
  const body = `{"type":"order.paid","timestamp":"2026-01-01T00:00:00.000Z","data":${"x".repeat(300).length}}`.padEnd(
    300,
    " ",
  );
  const until = performance.now() + options.seconds * 1000;
  let done = 0;
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: options.inFlight }, async () => {
      while (performance.now() < until) {
        const response =
          options.method === "POST"
            ? await fetch(options.url, { method: "POST", body, headers: { "content-type": "application/json" } })
            : await fetch(options.url);
        await (options.method === "POST" ? response.text() : response.json());
        done++;
      }
    }),
  );
  return (done / (performance.now() - startedAt)) * 1000;
}
