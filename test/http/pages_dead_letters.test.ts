import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Role } from "../../src/identity/principal.ts";
import { parseId } from "../../src/platform/ids.ts";
import { type WholeApp, wholeApp } from "../trust/whole_app.ts";
import { until } from "./delivering_app.ts";

let app: WholeApp;
let endpoint: string;
beforeAll(async () => {
  app = await wholeApp({ work: true });
  endpoint = (await app.call("POST", "/v1/endpoints", { url: "https://example.com/hook" })).json.id;
});
afterAll(() => app.close());

const FORM = { "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin" };
const press = (fields: Record<string, string>, as: Role = "editor") =>
  app.call("POST", "/dead-letters/discard", new URLSearchParams(fields).toString(), { as, headers: FORM });
const sure = async (query = "", as: Role = "editor") =>
  app.call("GET", `/dead-letters/discard${query}`, undefined, { as });
const discard = (body: unknown, as: Role = "editor") => app.call("POST", "/v1/dead-letters/discard", body, { as });

/** Letters of a type; the endpoint of some is gone. */
async function addLetters(type: string, count: number, to: string | null = parseId("endpoint", endpoint)) {
  await app.database.sql`
    insert into deltahook.dead_letters
      (delivery_id, event_id, endpoint_id, type, data, reason, attempts)
    select deltahook.uuid7(), deltahook.uuid7(), coalesce(${to}::uuid, gen_random_uuid()), ${type}, '{}', 'exhausted', 3
    from generate_series(1, ${count})`;
}
const ended = async (id: string) => {
  const { json } = await until(
    () => app.call("GET", `/v1/operations/${id}`),
    ({ json }) => json.state !== "running",
  );
  return json;
};
const kept = async (type: string) =>
  (await app.call("GET", `/v1/dead-letters?type=${type}&limit=200`)).json.data.length as number;

test("all of a filter are counted first and then discarded, those of deleted endpoints too, and no others", async () => {
  await addLetters("order.paid", 3);
  await addLetters("order.paid", 2, null);
  await addLetters("order.lost", 1);
  const asked = await sure("?type=order.paid");
  expect(asked.text).toContain("<strong>5</strong>");
  expect(asked.text).toContain("Discard 5</button>");
  expect(asked.text).toContain('<input type="hidden" name="type" value="order.paid"');
  const { status, headers } = await press({ type: "order.paid" });
  const operation = headers.get("location") ?? "";
  expect([status, operation]).toEqual([303, expect.stringMatching(/^\/operations\/op_\w+$/)]);
  await ended(operation.replace("/operations/", ""));
  expect((await app.call("GET", operation)).text).toContain("5 of 5 discarded");
  expect([await kept("order.paid"), await kept("order.lost")]).toEqual([0, 1]);
  expect((await sure("?type=order.paid")).text).toContain("There is nothing to do.");
  const [line] = (await app.call("GET", "/v1/audit")).json.data;
  expect(line).toMatchObject({ action: "discard", detail: { filter: { type: "order.paid" } } });
});

test("the API discards more than one batch as an operation, after a dry run that only counts", async () => {
  await addLetters("many", 4_100);
  await addLetters("few", 1);
  const filter = { type: "many", endpoint };
  expect(await discard({ filter, dry_run: true })).toMatchObject({
    status: 200,
    json: { dry_run: true, total: 4_100 },
  });
  const { status, json } = await discard({ filter });
  expect([status, json.kind, json.total, json.request.type]).toEqual([202, "discard", 4_100, "many"]);
  expect(await ended(json.id)).toMatchObject({ state: "done", done: 4_100 });
  expect([await kept("many"), await kept("few")]).toEqual([0, 1]);
});

test("what died after the moment that a filter names stays", async () => {
  await addLetters("late", 2);
  const { json } = await discard({ filter: { type: "late", until: "2020-01-01T00:00:00Z" } });
  expect(await ended(json.id)).toMatchObject({ state: "done", done: 0, total: 0 });
  expect(await kept("late")).toBe(2);
});

test("a viewer may neither ask nor discard, and a discard needs a filter", async () => {
  expect((await sure("", "viewer")).status).toBe(403);
  expect((await press({}, "viewer")).status).toBe(403);
  expect((await discard({ filter: {} }, "viewer")).status).toBe(403);
  expect((await discard({})).status).toBe(422);
});
