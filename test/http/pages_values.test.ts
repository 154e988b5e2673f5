import { afterAll, beforeAll, expect, test } from "bun:test";
import { parseId } from "../../src/platform/ids.ts";
import { type WholeApp, wholeApp } from "../trust/whole_app.ts";

let app: WholeApp;
let source: ReturnType<typeof Bun.serve>;
let text = '{"status": "pending", "total": 12345678901234567890}';
beforeAll(async () => {
  source = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response(text) });
  app = await wholeApp({ allowed: ["127.0.0.0/8"] });
});
afterAll(async () => {
  await app.close();
  await source.stop(true);
});

test("the page of a watch tells the last changes of each field, the newest first, with every digit", async () => {
  const { json: watch } = await app.call("POST", "/v1/watches", {
    name: "Order",
    request: { url: `http://127.0.0.1:${source.port}/` },
    schedule: { every: "1h" },
    fields: { status: "$.status", total: "$.total" },
  });
  const poll = async (next: string) => {
    text = next;
    expect((await app.call("POST", `/v1/watches/${watch.id}/poll`)).status).toBe(200);
  };
  const page = async () => (await app.call("GET", `/watches/${watch.id}`, undefined, { as: "viewer" })).text;
  await poll(text);
  expect(await page()).toContain("No change was stated yet.");
  await poll('{"status": "paid", "total": 12345678901234567891}');
  await poll('{"status": "shipped", "total": 12345678901234567891}');

  const rows = [...(await page()).matchAll(/<td class="mono break">(\w+)<\/td>.*?<\/tr>/g)].map(([row, field]) => [
    field,
    ...[...row.matchAll(/<code class="break">(.*?)<\/code>/g)].map(([, value]) => value?.replaceAll("&quot;", '"')),
  ]);
  expect(rows).toEqual([
    ["status", '"paid"', '"shipped"'],
    ["status", '"pending"', '"paid"'],
    ["total", "12345678901234567890", "12345678901234567891"],
  ]);
});

test("changes of elements go by their keys, and an event of another shape tells nothing", async () => {
  const { json: watch } = await app.call("POST", "/v1/watches", {
    name: "Prices",
    request: { url: `http://127.0.0.1:${source.port}/` },
    schedule: { every: "1h" },
    fields: { price: "$.price" },
  });
  const window = { until: "2026-01-01T00:00:00.000Z" };
  const each = { window, item: { key: 7 }, changes: [{ field: "price", kind: "added", current: 3 }] };
  const together = { window, changes: [{ field: "price", item: "<i>a", previous: 1, current: 2 }] };
  for (const data of [each, together, "of another shape", { changes: [null, { field: 1 }] }]) {
    await app.database.sql`
      insert into deltahook.events (id, type, data, origin, watch_id)
      values (${Bun.randomUUIDv7()}, 'watch.changed', ${JSON.stringify(data)}::text::json, 'watch', ${parseId("watch", watch.id)})`;
  }
  const { text } = await app.call("GET", `/watches/${watch.id}`, undefined, { as: "viewer" });
  const rows = [...text.matchAll(/<td class="mono break">(.*?)<\/td>/g)].map(([, field]) => field);
  expect(rows).toEqual(["&lt;i>a · price", "7 · price"]);
  expect(text).toContain('<span class="quiet">missing</span></td><td data-label="To"><code class="break">3</code>');
});
