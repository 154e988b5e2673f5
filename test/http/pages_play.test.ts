import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { isSigned } from "../../src/http/pages/play.ts";
import type { Role } from "../../src/identity/principal.ts";
import { eventually } from "../support/server.ts";
import { type WholeApp, wholeApp } from "../trust/whole_app.ts";

let app: WholeApp;
beforeAll(async () => {
  app = await wholeApp({ work: true });
});
afterAll(() => app.close());

const FORM = { "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin" };

/** Presses a button of the page. */
const press = (path: string, as: Role = "editor") => app.call("POST", path, "", { as, headers: FORM });
const look = async (path = "/play", as: Role = "viewer") => (await app.call("GET", path, undefined, { as })).text;
const listed = async (what: string) => (await app.call("GET", `/v1/${what}`)).json.data;

describe("the play page", () => {
  test("explains itself while nothing is there; a viewer is offered no button and may press none", async () => {
    expect(await look()).toContain("Nothing has arrived yet");
    expect(await look()).not.toContain('action="/play');
    expect(await look("/play", "editor")).toContain('action="/play/watch"');
    for (const path of ["/play/watch", "/play/endpoint", "/play/fail"]) {
      expect([path, (await press(path, "viewer")).status]).toEqual([path, 403]);
    }
  });

  test("the sample watch brings its endpoint along and is made once, and real endpoints do not hear of it", async () => {
    for (let n = 0; n < 2; n++) expect((await press("/play/watch")).status).toBe(303);
    await press("/play/endpoint");
    const [watch, ...others] = await listed("watches");
    const [endpoint, ...more] = await listed("endpoints");
    expect([others, more]).toEqual([[], []]);
    expect(watch).toMatchObject({ request: { url: "deltahook://sample" }, endpoint_ids: [endpoint.id] });
    expect(endpoint).toMatchObject({ url: "deltahook://play" });
    const page = await look("/play", "editor");
    expect(page).toContain(`href="/watches/${watch.id}"`);
    expect(page).not.toContain('action="/play/watch"');
    const audited = (await listed("audit")).map(
      ({ action, resource }: { action: string; resource: { kind: string } }) => [action, resource.kind].join(" "),
    );
    expect(audited).toEqual(expect.arrayContaining(["create watch", "create endpoint"]));
  });

  test("a test of the play endpoint is shown with its body, and its signature verifies until the secret is gone", async () => {
    const [endpoint] = await listed("endpoints");
    const { json } = await app.call("POST", `/v1/endpoints/${endpoint.id}/test`);
    expect(json.attempt.response).toMatchObject({ status: 200, body: '{"received":true}' });
    const shown = async () => {
      const parts = (await look("/play/received")).split("<details");
      return parts.find((part) => part.includes(json.delivery_id)) ?? "";
    };
    expect(await shown()).toContain("A test of this endpoint.");
    expect(await shown()).toContain("webhook-signature: v1,");
    expect(await shown()).toContain("signature verified");

    await app.call("POST", `/v1/endpoints/${endpoint.id}/rotate-secret`, { expire_old_after: "0s" });
    expect(await shown()).toContain("signed with a secret no longer in force");
  });

  test("one that fails is tried again, and every try is shown", async () => {
    expect((await press("/play/fail")).status).toBe(303);
    await eventually(
      () => look("/play/received"),
      (page) => page.includes("try 2") && page.includes("answered 500 at Play: always fails"),
      10_000,
    );
    const [delivery] = (await listed("deliveries")).filter(({ url }: { url: string }) => url.endsWith("/fail"));
    expect(delivery).toMatchObject({ event_type: "play.fails", last_status: 500 });
  });
});

const refused: [name: string, path: string, body: object, pointer: string][] = [
  ["an endpoint at the source", "/v1/endpoints", { url: "deltahook://sample" }, "/url"],
  ["an endpoint at nothing", "/v1/endpoints", { url: "deltahook://play/other" }, "/url"],
  ["a direct send", "/v1/events", { type: "a.b", data: {}, url: "deltahook://play" }, "/url"],
  [
    "a watch of a receiver",
    "/v1/watches",
    { name: "w", request: { url: "deltahook://play" }, schedule: { every: "1m" }, fields: { a: "$.a" } },
    "/request/url",
  ],
  [
    "a token from the source",
    "/v1/secrets",
    {
      name: "s",
      kind: "oauth2_client_credentials",
      value: { token_url: "deltahook://sample", client_id: "a", client_secret: "b" },
    },
    "/value/token_url",
  ],
];
test.each(refused)("a built-in address is refused for %s", async (_name, path, body, pointer) => {
  const { status, json } = await app.call("POST", path, body);
  expect([status, json.errors.map((error: { pointer: string }) => error.pointer)]).toEqual([422, [pointer]]);
});

test("a preview reads the sample", async () => {
  const body = {
    name: "w",
    request: { url: "deltahook://sample" },
    schedule: { every: "1m" },
    fields: { id: "$.order.id" },
  };
  const { json } = await app.call("POST", "/v1/watches/preview", body);
  expect(json).toMatchObject({ response: { status: 200 }, fields: { id: { value: 42 } }, problems: [] });
});

test("the forms of the dashboard take the built-in addresses like any other", async () => {
  const fill = (path: string, fields: Record<string, string>) =>
    app.call("POST", path, new URLSearchParams(fields).toString(), { as: "editor", headers: FORM });
  const tried = await fill("/watches", { source: "deltahook://sample", every: "1m", do: "try" });
  expect([tried.status, tried.text.includes("updated_at")]).toEqual([200, true]);
  const saved = await fill("/endpoints", { url: "deltahook://play/fail", event_types: "none" });
  expect(saved.status).toBe(303);
});

test("a signature counts if any of them is that of any secret, and not for another body", () => {
  const key = Buffer.from("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64");
  // The example of the Standard Webhooks specification.
  const headers = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,unknown v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
  };
  const other = Buffer.from("other");
  expect(isSigned(headers, '{"test": 2432232314}', [other, key])).toBe(true);
  expect(isSigned(headers, '{"test": 2432232315}', [other, key])).toBe(false);
  expect(isSigned(headers, '{"test": 2432232314}', [])).toBe(false);
  expect(isSigned({}, "", [])).toBe(false);
});
