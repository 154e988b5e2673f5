import { afterAll, beforeAll, expect, test } from "bun:test";
import type { Called } from "../http/support.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { type WholeApp, wholeApp } from "./whole_app.ts";

/** Mutating routes that write nothing into the audit log, and why. */
const EXCEPTIONS: Record<string, string> = {
  "POST /v1/events": "the event is the record; ingest runs at full speed",
  "POST /v1/events/batch": "the events are the record; ingest runs at full speed",
  "POST /v1/listen/:id/answers": "each answer is the response of an attempt, kept with it",
  "POST /v1/jsonpath": "computes, stores nothing, sends nothing",
  "POST /v1/watches/:id/backtest": "computes, stores nothing, sends nothing",
  "POST /v1/plugins/:name/try": "computes, stores nothing, sends nothing",
};

/** They change nothing here: the entry is written by itself. */
const OUTSIDE = /watches\/preview|watches\/:id\/poll|endpoints\/:id\/(test|secret)$/;

const PASSWORD = "planted horse battery staple";
const SECRET = "planted-value";

let app: WholeApp;
let receiver: Receiver;
let refusing: Receiver;
beforeAll(async () => {
  receiver = startReceiver();
  refusing = startReceiver(() => new Response("no", { status: 400 }));
  app = await wholeApp({ allowed: ["127.0.0.0/8"], work: true });
});
afterAll(async () => {
  await app.close();
  await Promise.all([receiver.stop(), refusing.stop()]);
});

type Step = { route: string; action: string; kind: string; ask: () => Promise<Called> };

const id = (answer: Called) => answer.json.id as string;
const watch = () => ({
  name: "w",
  request: { url: receiver.url, headers: { "x-api-key": SECRET } },
  schedule: { every: "1d" },
  fields: { a: "$.a" },
});

/** One request for each route that changes something; each succeeds. */
async function steps(): Promise<Step[]> {
  const made = async (path: string, body: unknown) => {
    const answer = await app.call("POST", path, body);
    expect([path, answer.status < 300, answer.text]).toEqual([path, true, answer.text]);
    return id(answer);
  };
  const user = (email: string) => ({ email, role: "editor", password: PASSWORD });
  const key = { name: "k", role: "viewer" };
  const secret = (name: string) => ({ name, kind: "bearer", value: SECRET });
  const endpoint = { url: receiver.url, headers: { authorization: SECRET }, event_types: ["none"] };
  const dead = async () => {
    const event = await made("/v1/events", { type: "a.b", data: {}, url: refusing.url, retry: { delays: [] } });
    for (;;) {
      const { json } = await app.call("GET", `/v1/dead-letters?event=${event}`);
      if (json.data.length > 0) return { event, delivery: json.data[0].id as string };
      await Bun.sleep(20);
    }
  };
  const waiting = async () => {
    const event = await made("/v1/events", { type: "a.b", data: {}, url: refusing.url, retry: { delays: ["1d"] } });
    return (await app.call("GET", `/v1/deliveries?event=${event}`)).json.data[0].id as string;
  };
  await made("/v1/users", user("one@example.com"));
  const u2 = await made("/v1/users", user("two@example.com"));
  const [k1, k2] = [await made("/v1/api-keys", key), await made("/v1/api-keys", key)];
  const [s1, s2] = [await made("/v1/secrets", secret("s1")), await made("/v1/secrets", secret("s2"))];
  const [w1, w2] = [await made("/v1/watches", watch()), await made("/v1/watches", watch())];
  const [e1, e2] = [await made("/v1/endpoints", endpoint), await made("/v1/endpoints", endpoint)];
  const [letter1, letter2, letter3] = [await dead(), await dead(), await dead()];
  const [d1, d2] = [await waiting(), await waiting()];
  const { json: login } = await app.call("POST", "/v1/auth/login", { email: "one@example.com", password: PASSWORD });
  const asUser = { headers: { authorization: `Bearer ${login.token}` } };
  const held = async (): Promise<string> => {
    const held = {
      poll_id: Bun.randomUUIDv7(),
      at: new Date().toISOString(),
      changes: 1,
      problem: null,
      drafts: [],
      state: { upserts: [], deletes: [] },
    };
    await app.database.sql`update deltahook.watch_status set held = ${JSON.stringify(held)}::text::json`;
    return w1;
  };
  const operation = async () => {
    const [row] = await app.database.sql<{ id: string }[]>`
      insert into deltahook.operations (kind, request, state, created_by)
      values ('requeue', ${'{"kind":"requeue","filter":{"type":"never.seen"}}'}::text::json, 'running', 'x') returning id`;
    return `op_${row?.id.replaceAll("-", "")}`;
  };
  const step = (
    route: string,
    action: string,
    kind: string,
    body?: unknown,
    path = route.slice(route.indexOf(" ") + 1),
  ): Step => {
    const [method = ""] = route.split(" ");
    return { route, action, kind, ask: () => app.call(method, path, body) };
  };

  return [
    step("POST /v1/users", "create", "user", user("three@example.com")),
    step("PATCH /v1/users/:id", "update", "user", { name: "x", password: PASSWORD }, `/v1/users/${u2}`),
    step("DELETE /v1/users/:id", "delete", "user", undefined, `/v1/users/${u2}`),
    { ...step("POST /v1/auth/login", "login", "user", { email: "one@example.com", password: PASSWORD }) },
    {
      ...step("POST /v1/auth/password", "change_password", "user"),
      ask: () =>
        app.call("POST", "/v1/auth/password", { old_password: PASSWORD, new_password: `${PASSWORD}!` }, asUser),
    },
    {
      ...step("POST /v1/auth/logout", "logout", "user"),
      async ask() {
        const again = await app.call("POST", "/v1/auth/login", { email: "one@example.com", password: `${PASSWORD}!` });
        await app.database.sql`delete from deltahook.audit_log`;
        return app.call("POST", "/v1/auth/logout", undefined, {
          headers: { authorization: `Bearer ${again.json.token}` },
        });
      },
    },
    step("POST /v1/api-keys", "create", "api_key", key),
    step("PATCH /v1/api-keys/:id", "update", "api_key", { name: "x" }, `/v1/api-keys/${k1}`),
    step("DELETE /v1/api-keys/:id", "delete", "api_key", undefined, `/v1/api-keys/${k2}`),
    step("POST /v1/secrets", "create", "secret", secret("s3")),
    step("PATCH /v1/secrets/:id", "update", "secret", { value: SECRET }, `/v1/secrets/${s1}`),
    step("DELETE /v1/secrets/:id", "delete", "secret", undefined, `/v1/secrets/${s2}`),
    step("POST /v1/watches", "create", "watch", watch()),
    step("POST /v1/watches/batch", "create", "watch", { watches: [watch(), watch()] }),
    step("POST /v1/watches/preview", "preview", "watch", watch()),
    step("PATCH /v1/watches/:id", "update", "watch", { name: "x" }, `/v1/watches/${w1}`),
    step("POST /v1/watches/:id/pause", "pause", "watch", undefined, `/v1/watches/${w1}/pause`),
    step("POST /v1/watches/:id/poll", "poll", "watch", undefined, `/v1/watches/${w1}/poll`),
    {
      ...step("POST /v1/watches/:id/held/confirm", "confirm_held", "watch"),
      ask: async () => app.call("POST", `/v1/watches/${await held()}/held/confirm`),
    },
    {
      ...step("POST /v1/watches/:id/held/discard", "discard_held", "watch"),
      ask: async () => app.call("POST", `/v1/watches/${await held()}/held/discard`),
    },
    step("POST /v1/watches/:id/resume", "resume", "watch", undefined, `/v1/watches/${w1}/resume`),
    step("DELETE /v1/watches/:id", "delete", "watch", undefined, `/v1/watches/${w2}`),
    step("PATCH /v1/hosts/:host", "update", "host", { rate: 5 }, `/v1/hosts/${new URL(receiver.url).host}`),
    step("POST /v1/endpoints", "create", "endpoint", endpoint),
    step(
      "PATCH /v1/endpoints/:id",
      "update",
      "endpoint",
      { headers: { authorization: SECRET } },
      `/v1/endpoints/${e1}`,
    ),
    step("POST /v1/endpoints/:id/pause", "pause", "endpoint", undefined, `/v1/endpoints/${e1}/pause`),
    step("POST /v1/endpoints/:id/resume", "resume", "endpoint", undefined, `/v1/endpoints/${e1}/resume`),
    step("POST /v1/endpoints/:id/test", "test", "endpoint", undefined, `/v1/endpoints/${e1}/test`),
    step("GET /v1/endpoints/:id/secret", "read_secret", "endpoint", undefined, `/v1/endpoints/${e1}/secret`),
    step("POST /v1/endpoints/:id/rotate-secret", "rotate_secret", "endpoint", {}, `/v1/endpoints/${e1}/rotate-secret`),
    step(
      "POST /v1/endpoints/:id/recover",
      "recover",
      "endpoint",
      { since: "2026-01-01T00:00:00Z" },
      `/v1/endpoints/${e1}/recover`,
    ),
    step("DELETE /v1/endpoints/:id", "delete", "endpoint", undefined, `/v1/endpoints/${e2}`),
    step("POST /v1/events/:id/replay", "replay", "event", {}, `/v1/events/${letter1.event}/replay`),
    step("POST /v1/deliveries/:id/retry", "retry", "delivery", undefined, `/v1/deliveries/${d1}/retry`),
    step("POST /v1/deliveries/:id/cancel", "cancel", "delivery", undefined, `/v1/deliveries/${d2}/cancel`),
    step(
      "POST /v1/dead-letters/:id/requeue",
      "requeue",
      "dead_letter",
      undefined,
      `/v1/dead-letters/${letter2.delivery}/requeue`,
    ),
    step("DELETE /v1/dead-letters/:id", "discard", "dead_letter", undefined, `/v1/dead-letters/${letter3.delivery}`),
    step("POST /v1/dead-letters/requeue", "requeue", "dead_letter", { filter: { type: "never.seen" } }),
    step("POST /v1/dead-letters/discard", "discard", "dead_letter", { filter: { type: "never.seen" } }),
    {
      ...step("POST /v1/operations/:id/cancel", "cancel", "operation"),
      // The server may have ended it by itself, since it is none that there is anything to do for.
      async ask() {
        for (let tried = 0; ; tried++) {
          const answer = await app.call("POST", `/v1/operations/${await operation()}/cancel`);
          if (answer.status !== 409 || tried === 5) return answer;
        }
      },
    },
  ];
}

type Row = {
  actor_kind: string;
  actor_name: string;
  action: string;
  resource_kind: string;
  resource_id: string | null;
  address: string | null;
  detail: unknown;
};

/** Everything that the steps change, but what goes on by itself. */
async function belongings(): Promise<string[]> {
  const rows = await app.database.sql<{ line: string }[]>`
    select to_jsonb(t)::text as line from deltahook.users t
    union all select to_jsonb(t)::text from deltahook.passwords t
    union all select to_jsonb(t)::text from deltahook.revoked_tokens t
    union all select (to_jsonb(t) - 'seen_at')::text from deltahook.sessions t
    union all select (to_jsonb(t) - 'last_used_at')::text from deltahook.api_keys t
    union all select to_jsonb(t)::text from deltahook.secrets t
    union all select to_jsonb(t)::text from deltahook.watches t
    union all select to_jsonb(t)::text from deltahook.hosts t
    union all select to_jsonb(t)::text from deltahook.endpoints t
    union all select endpoint_id || ' ' || coalesce(paused_reason, 'open') from deltahook.endpoint_health
    union all select 'operation ' || id from deltahook.operations where created_by <> 'x'
    union all select 'letter ' || delivery_id from deltahook.dead_letters
    union all select id || ' ' || state from deltahook.deliveries
    order by 1`;
  return rows.map(({ line }) => line);
}

async function refuseEntries(): Promise<void> {
  await app.database.sql.unsafe(`
    create function deltahook.refuse_entry() returns trigger language plpgsql as
      $$ begin raise exception 'no entry can be written'; end $$;
    create trigger refuse_entry before insert on deltahook.audit_log
      for each row execute function deltahook.refuse_entry()`);
}

test("each route that changes something writes one entry: who, what, on which resource, from where, and no secret; without the entry there is no change", async () => {
  const { sql } = app.database;
  const all = await steps();
  const asked = new Set(all.map(({ route }) => route));
  const mutating = app.routes.filter(({ method, kind }) => method !== "GET" && kind !== "page");
  const forgotten = mutating.map(({ method, path }) => `${method} ${path}`).filter((route) => !asked.has(route));
  expect(forgotten.sort()).toEqual([...Object.keys(EXCEPTIONS), "POST /v1/setup"].sort());

  await refuseEntries();
  const before = await belongings();
  for (const { route, ask } of all.filter(({ route }) => !OUTSIDE.test(route))) {
    const { status } = await ask();
    // Nobody gets in to log out.
    expect([route, status]).toEqual([route, route.endsWith("/logout") ? 401 : 500]);
  }
  expect(await belongings()).toEqual(before);
  await sql`drop function deltahook.refuse_entry cascade`;

  for (const { route, action, kind, ask } of all) {
    await sql`delete from deltahook.audit_log`;
    const { status, text } = await ask();
    expect([
      route,
      status < 300,
      status < 500
        ? text
        : app
            .logged()
            .match(/.*"request failed".*/g)
            ?.at(-1),
    ]).toEqual([route, true, text]);
    const rows = await sql<Row[]>`select * from deltahook.audit_log`;
    const [row] = rows;
    expect([route, rows.length, row?.action, row?.resource_kind]).toEqual([route, 1, action, kind]);
    expect(row?.actor_kind).toBe(/auth\//.test(route) ? "user" : "api_key");
    expect(row?.address).toBe("127.0.0.1");
    expect(JSON.stringify(rows)).not.toMatch(/planted/);
    const many = /batch|preview|dead-letters\/(requeue|discard)/.test(route);
    expect([route, row?.resource_id === null]).toEqual([route, many]);
  }
}, 40_000);

test("the forms of the dashboard write theirs in the same way", async () => {
  const { sql } = app.database;
  const made = async (path: string, body: object) => id(await app.call("POST", path, body));
  const user = await made("/v1/users", { email: "form@example.com", role: "editor", password: PASSWORD });
  const key = await made("/v1/api-keys", { name: "k", role: "viewer" });
  const secret = await made("/v1/secrets", { name: "of the forms", kind: "bearer", value: SECRET });
  const endpoint = await made("/v1/endpoints", { url: receiver.url, event_types: ["none"] });
  const ofForm = await made("/v1/watches", watch());
  const person = { email: "other@example.com", role: "viewer", password: PASSWORD };
  const forms: [string, Record<string, string>, string][] = [
    ["/sign-in", { email: "form@example.com", password: PASSWORD }, "login user"],
    ["/people", person, "create user"],
    [`/people/${user}`, { email: "form@example.com", role: "viewer" }, "update user"],
    [`/people/${user}/delete`, {}, "delete user"],
    ["/api-keys", { name: "new", role: "viewer" }, "create api_key"],
    [`/api-keys/${key}/delete`, {}, "delete api_key"],
    ["/secrets", { name: "another", kind: "bearer", token: SECRET }, "create secret"],
    [`/secrets/${secret}`, { name: "renamed", kind: "bearer" }, "update secret"],
    [`/secrets/${secret}/delete`, {}, "delete secret"],
    ["/endpoints", { name: "e", url: receiver.url }, "create endpoint"],
    [`/endpoints/${endpoint}/edit`, { name: "other", url: receiver.url }, "update endpoint"],
    [`/endpoints/${endpoint}/pause`, {}, "pause endpoint"],
    [`/endpoints/${endpoint}/resume`, {}, "resume endpoint"],
    [`/endpoints/${endpoint}/rotate`, {}, "rotate_secret endpoint"],
    [`/endpoints/${endpoint}/recover`, { since: "2026-01-01T00:00:00Z" }, "recover endpoint"],
    [`/endpoints/${endpoint}/delete`, {}, "delete endpoint"],
    [`/watches/${ofForm}/pause`, {}, "pause watch"],
    [`/watches/${ofForm}/resume`, {}, "resume watch"],
    [`/watches/${ofForm}/delete`, {}, "delete watch"],
    ["/dead-letters/requeue", { type: "never.seen" }, "requeue dead_letter"],
  ];
  const headers = { "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin" };
  const send = (path: string, fields: Record<string, string>) =>
    app.call("POST", path, new URLSearchParams(fields).toString(), { headers });

  await refuseEntries();
  const before = await belongings();
  for (const [path, fields] of forms) expect([path, (await send(path, fields)).status]).toEqual([path, 500]);
  expect(await belongings()).toEqual(before);
  await sql`drop function deltahook.refuse_entry cascade`;

  for (const [path, fields, told] of forms) {
    await sql`delete from deltahook.audit_log`;
    expect([path, (await send(path, fields)).status < 400]).toEqual([path, true]);
    const rows = await sql<Row[]>`select * from deltahook.audit_log`;
    expect(rows.map(({ action, resource_kind }) => `${action} ${resource_kind}`)).toEqual([told]);
    expect(JSON.stringify(rows)).not.toMatch(/planted/);
  }
});

test("failed sign-ins are shown to admins in words", async () => {
  await app.database.sql`delete from deltahook.audit_log`;
  const login = (email: string) =>
    app.call("POST", "/v1/auth/login", { email, password: "planted wrong" }, { as: "nobody" });
  for (let i = 0; i < 3; i++) await login("one@example.com");
  await login("planted-as-an-address");
  const { text } = await app.call("GET", "/audit");
  expect(text).toMatch(/login failed[\s\S]*wrong password · one@example\.com/);
  expect(text).toContain("no such account");
  expect(text).not.toMatch(/planted/);
});

test("what is refused is not entered, but a sign-in that failed is", async () => {
  const { sql } = app.database;
  await sql`delete from deltahook.audit_log`;
  await app.call("POST", "/v1/secrets", {});
  await app.call("DELETE", "/v1/watches/none");
  await app.call("POST", "/v1/secrets", { name: "x", kind: "bearer", value: "v" }, { as: "viewer" });
  expect((await sql`select 1 from deltahook.audit_log`).length).toBe(0);
  await app.call("POST", "/v1/auth/login", { email: "one@example.com", password: "wrong" }, { as: "nobody" });
  const rows = await sql<Row[]>`select * from deltahook.audit_log`;
  expect(rows.map(({ action, actor_name }) => [action, actor_name])).toEqual([["login_failed", "not signed in"]]);
});

test("the first account is entered too", async () => {
  const { createSetupLink } = await import("../../src/identity/setup.ts");
  const { sql } = app.database;
  await sql`delete from deltahook.users`;
  await sql`delete from deltahook.audit_log`;
  const token = await createSetupLink(app.database);
  const body = { token, email: "first@example.com", password: PASSWORD };
  expect((await app.call("POST", "/v1/setup", body, { as: "nobody" })).status).toBe(201);
  const rows = await sql<Row[]>`select * from deltahook.audit_log`;
  expect(rows.map(({ action, resource_kind }) => [action, resource_kind])).toEqual([["set_up", "user"]]);
  expect(JSON.stringify(rows)).not.toContain(token ?? "");
});
