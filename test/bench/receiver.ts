// A receiver and a JSON source in one process of its own: POST anything → 200, GET anything → a small document whose
// `n` steps up every 1,000 requests, GET /count → requests so far.
let count = 0;
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    if (request.url.endsWith("/count")) return new Response(String(count));
    count++;
    if (request.method === "POST") {
      await request.text();
      return new Response("ok");
    }
    const body = `{"order":{"id":1,"status":"paid","total":12.5},"n":${Math.floor(count / 1000)}}`;
    return new Response(body, { headers: { "content-type": "application/json" } });
  },
});
process.stdout.write(`${server.port}\n`);
