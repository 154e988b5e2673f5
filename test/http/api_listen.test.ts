import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { putRequest, takeAnswers } from "../../src/delivering/listen_store.ts";
import { sessionCookieName } from "../../src/identity/cookies.ts";
import type { Role } from "../../src/identity/principal.ts";
import { parseId, publicId } from "../../src/platform/ids.ts";
import { until } from "../support/flow.ts";
import { PUBLIC_URL, type TestApp, testApp } from "./support.ts";
import { roomRoutes } from "./whole_table.ts";

let app: TestApp;
beforeAll(async () => {
  app = await testApp({}, roomRoutes);
});
afterAll(() => app.close());

type Stream = { status: number; frames: EventSourceMessage[]; json(nth: number): unknown; close(): void };

/** Opens the stream and reads its frames as they come. */
async function open(query: string, as: Role = "editor"): Promise<Stream> {
  const closing = new AbortController();
  const headers = { authorization: `Bearer ${app.keys[as]}` };
  const request = new Request(`${PUBLIC_URL}/v1/listen${query}`, { headers, signal: closing.signal });
  const { status, body } = await app.server.handle(request);
  const frames: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (event) => frames.push(event) });
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const part of body ?? []) parser.feed(decoder.decode(part, { stream: true }));
  };
  void read().catch(() => {});
  await until(() => frames.length > 0, "the first frame");
  return {
    status,
    frames,
    json: (nth) => JSON.parse(frames[nth]?.data ?? "null"),
    close: () => closing.abort(),
  };
}

type Ready = { listener: { id: string; secret: string; event_types: string[]; filter: string | null } };
const put = (endpoint: string, body: string) => {
  const request = { id: Bun.randomUUIDv7(), headers: { "webhook-id": "evt_1" }, body: new TextEncoder().encode(body) };
  const endpointId = parseId("endpoint", endpoint) ?? "";
  return putRequest(app.database.sql, { ...request, endpointId, timeoutMs: 5_000 }).then(() => request.id);
};
const answers = (id: string, given: unknown, as: Role = "editor") =>
  app.call("POST", `/v1/listen/${id}/answers`, { as, body: { answers: given } });

test("the stream begins with the listener, gives each request byte for byte, and its answer is left for who waits", async () => {
  const stream = await open(`?event_types=order.*,%20watch.*&filter=${encodeURIComponent("$[?@.data.n > 1]")}`);
  const { listener } = stream.json(0) as Ready;
  expect(stream.frames[0]?.event).toBe("ready");
  expect(listener).toMatchObject({ event_types: ["order.*", "watch.*"], filter: "$[?@.data.n > 1]" });
  expect(listener.secret).toStartWith("whsec_");

  const body = '{"n":12345678901234567890,"text":"line\\nbreak €"}';
  const id = await put(listener.id, body);
  await until(() => stream.frames.length === 2, "the delivery");
  const request = publicId("request", id);
  expect(stream.json(1)).toEqual({ id: request, webhook_id: "evt_1", headers: { "webhook-id": "evt_1" }, body });

  const answer = { request, status: 503, headers: { "Retry-After": "5" }, body: "later" };
  expect((await answers(listener.id, [answer])).json).toEqual({ taken: 1 });
  expect((await answers(listener.id, [answer])).json).toEqual({ taken: 0 });
  expect([...(await takeAnswers(app.database.sql, [id]))]).toEqual([
    { id, answer: { status: 503, headers: { "retry-after": "5" }, body: "later" } },
  ]);
  stream.close();
});

test("what a connection does not read waits in the database", async () => {
  const headers = { authorization: `Bearer ${app.keys.editor}` };
  const closing = new AbortController();
  const request = new Request(`${PUBLIC_URL}/v1/listen`, { headers, signal: closing.signal });
  const { body } = await app.server.handle(request);
  const [listener] = await app.database.sql<{ id: string }[]>`
    select endpoint_id as id from deltahook.listeners order by endpoint_id desc limit 1`;
  const endpoint = publicId("endpoint", listener?.id ?? "");
  const given = async () => {
    const rows = await app.database.sql`
      select from deltahook.listen_requests where endpoint_id = ${listener?.id ?? ""} and stream is not null`;
    return rows.length;
  };
  for (let n = 0; n < 20; n++) await put(endpoint, "{}");
  await until(async () => (await given()) >= 16, "as many as may wait");
  const earlier = await given();
  await put(endpoint, "{}");
  await Bun.sleep(300);
  expect(await given()).toBe(earlier);
  closing.abort();
  await body?.cancel();
});

test("it is an endpoint of its own kind: listed, fixed, entered in the audit log, ended by its deletion", async () => {
  const stream = await open("");
  const { listener } = stream.json(0) as Ready;
  const listed = await app.call("GET", "/v1/endpoints?kind=listen", { as: "viewer" });
  expect(listed.json.data.map(({ id }: { id: string }) => id)).toContain(listener.id);
  const path = `/v1/endpoints/${listener.id}`;
  const patched = await app.call("PATCH", path, { as: "editor", body: { max_in_flight: 9 } });
  expect(patched).toMatchObject({ status: 409, json: { detail: expect.stringContaining("somebody who listens") } });
  const { json } = await app.call("GET", "/v1/audit?limit=1", { as: "admin" });
  expect(json.data[0]).toMatchObject({ action: "listen", resource: { kind: "endpoint", id: listener.id } });
  expect(JSON.stringify(json)).not.toContain(listener.secret);

  expect((await app.call("DELETE", path, { as: "editor" })).status).toBe(204);
  expect((await answers(listener.id, [{ request: publicId("request", Bun.randomUUIDv7()), error: "x" }])).status).toBe(
    404,
  );
  expect((await app.call("GET", `/v1/listen?listener=${listener.id}`, { as: "editor" })).status).toBe(404);
  stream.close();
});

test("only whoever opened a listener comes back to it and answers", async () => {
  const stream = await open("");
  const { listener } = stream.json(0) as Ready;
  const given = [{ request: publicId("request", await put(listener.id, "{}")), status: 200 }];
  expect((await answers(listener.id, given, "admin")).status).toBe(403);
  expect((await answers(listener.id, given, "viewer")).status).toBe(403);
  expect((await app.call("GET", `/v1/listen?listener=${listener.id}`, { as: "admin" })).status).toBe(403);
  const back = await open(`?listener=${listener.id}`);
  expect((back.json(0) as Ready).listener).toEqual(listener);
  expect((await answers(listener.id, given)).json).toEqual({ taken: 1 });
  for (const each of [stream, back]) each.close();
});

describe("what cannot be listened for is refused:", () => {
  const refused: [query: string, status: number, says: string][] = [
    ["?event_types=a%20b", 422, "must be an event type"],
    ["?event_types=", 422, "must be an event type"],
    ["?filter=$[", 422, "not a JSONPath filter"],
    ["?listener=ep_1", 422, "must be an id such as ep_"],
    [`?listener=${publicId("endpoint", Bun.randomUUIDv7())}`, 404, "no such listener"],
    ["?events=a", 422, "unknown property"],
  ];
  test.each(refused)("%s", async (query, status, says) => {
    const { json, status: answered } = await app.call("GET", `/v1/listen${query}`, { as: "editor" });
    expect([answered, json.detail]).toEqual([status, expect.stringContaining(says)]);
  });

  test("a session, where the browser does not say which page asks", async () => {
    const [user] = await app.database.sql<{ id: string }[]>`
      insert into deltahook.users (email, role) values ('listener@example.com', 'editor') returning id`;
    const token = await app.identity.sessions.start(user?.id ?? "", {});
    const cookie = `${sessionCookieName(false)}=${token}`;
    const ask = (headers: Record<string, string>) => app.call("GET", "/v1/listen", { headers: { cookie, ...headers } });
    for (const headers of [{}, { "sec-fetch-site": "none" }, { "sec-fetch-site": "same-site" }] as const) {
      expect((await ask(headers)).status).toBe(403);
    }
    const endpoints = await app.database.sql`
      select from deltahook.listeners where opened_by = ${`user:${user?.id}`}`;
    expect(endpoints).toHaveLength(0);
  });

  test("a viewer, and a page of another site", async () => {
    expect((await app.call("GET", "/v1/listen", { as: "viewer" })).status).toBe(403);
    const headers = { "sec-fetch-site": "cross-site" };
    expect((await app.call("GET", "/v1/listen", { as: "editor", headers })).status).toBe(403);
  });
});

describe("an answer that is none is refused:", () => {
  const request = publicId("request", Bun.randomUUIDv7());
  const refused: [name: string, answer: unknown, says: string][] = [
    ["neither status nor error", { request }, "either a status"],
    ["both", { request, status: 200, error: "no" }, "either a status"],
    ["a status out of range", { request, status: 99 }, "at least 200"],
    ["no request", { status: 200 }, "is required"],
    ["another id", { request: "evt_1", status: 200 }, "must be an id such as req_"],
    ["a body that is too long", { request, status: 200, body: "x".repeat(16_385) }, "at most 16384"],
    ["an error of several lines", { request, error: "a\nb" }, "one line"],
    ["something else", { request, status: 200, ms: 1 }, "unknown property"],
  ];
  test.each(refused)("%s", async (_name, answer, says) => {
    const { status, json } = await answers(publicId("endpoint", Bun.randomUUIDv7()), [answer]);
    expect([status, json.detail]).toEqual([422, expect.stringContaining(says)]);
  });
});
