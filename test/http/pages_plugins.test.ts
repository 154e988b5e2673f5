import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { lineDiff } from "../../src/http/pages/line_diff.ts";
import { optionForms, typedOptions } from "../../src/http/pages/plugin_options.ts";
import type { Role } from "../../src/identity/principal.ts";
import { pluginText } from "../plugins/support.ts";
import { type WholeApp, wholeApp } from "../trust/whole_app.ts";

let app: WholeApp;
beforeAll(async () => {
  app = await wholeApp({
    plugins: {
      "broken.ts":
        'import { definePlugin } from "deltahook/plugin";\nexport default definePlugin({ name: "broken", (;\n',
      "lines.ts": pluginText("lines", 'parse(response) { return response.body.split(" "); }'),
      "both.ts": pluginText(
        "both",
        `parse(response) { return { status: response.status, type: response.headers["content-type"], n: response.body }; },
        sign(request, { secret }) {
          if (secret === null) throw new Error("no secret");
          return { headers: { "x-signature": secret.token + request.body }, url: request.url + "?signed=1" };
        }`,
      ),
      "shout.ts": pluginText(
        "shout",
        `options: z.object({
          loud: z.boolean().default(true), times: z.int().min(1).optional(),
          mood: z.enum(["calm", "cross"]).default("calm"), words: z.array(z.string()).optional(),
        }),
        transform(event, { options }) {
          if (event.type === "skip.me") return null;
          return { body: { type: event.type, options }, headers: { "x-mood": options.mood } };
        }`,
      ),
    },
  });
});
afterAll(() => app.close());

const FORM = { "content-type": "application/x-www-form-urlencoded", "sec-fetch-site": "same-origin" };
const send = (path: string, fields: Record<string, string>, as: Role = "editor") =>
  app.call("POST", path, new URLSearchParams(fields).toString(), { as, headers: FORM });
const look = (path: string, as: Role = "editor") =>
  app.call("GET", path, undefined, { as, headers: { accept: "text/html" } });
const EVENT = '{"type": "order.paid", "data": {"total": 12345678901234567890}}';

describe("the page of plugins", () => {
  test("tells hooks, version, file and what is wrong; trying one is offered to those who may", async () => {
    const { text } = await look("/plugins");
    expect(text).toMatch(/shout\.ts[\s\S]*?Hooks: transform · version [0-9a-f]{12}/);
    expect(text).toMatch(/broken\.ts, line 2: [\s\S]*?Mend the file/);
    expect(text).toContain('href="/plugins/shout/try"');
    expect(text).toContain('href="/plugins/lines/try"');
    expect(text).not.toContain('href="/plugins/broken/try"');
    expect((await look("/plugins", "viewer")).text).not.toContain("/try");
    expect((await look("/plugins/shout/try", "viewer")).status).toBe(403);
    for (const none of ["broken", "nowhere"]) expect((await look(`/plugins/${none}/try`)).status).toBe(404);
    expect((await look("/plugins/lines/try?hook=sign")).status).toBe(404);
  });
});

describe("trying a plugin", () => {
  test("the form has a sample event and a field for each option, with its default", async () => {
    const { status, text } = await look("/plugins/shout/try");
    expect(status).toBe(200);
    expect(text).toContain("watch.changed");
    expect(text).toMatch(/<select id="option\.shout\.loud"[^>]*><option value[^>]*>Default: true</);
    expect(text).toContain('<option value="cross">');
    expect(text).toMatch(/<textarea id="option\.shout\.words"/);
  });

  test("shows before and after side by side, the changed lines marked, no digit lost, and what was typed", async () => {
    const fields = {
      event: EVENT,
      "option.shout.loud": "false",
      "option.shout.times": "3",
      "option.shout.words": '["a"]',
    };
    const { status, text } = await send("/plugins/shout/try", fields);
    expect(status).toBe(200);
    expect(text).toMatch(/<del> *&quot;total&quot;: 12345678901234567890<\/del>/);
    expect(text).toMatch(/<ins> *&quot;loud&quot;: false,?<\/ins>/);
    expect(text).toMatch(/<ins> *&quot;times&quot;: 3,?<\/ins>/);
    expect(text).toContain("x-mood: calm");
    expect(text).toMatch(/id="option\.shout\.times"[^>]* value="3"/);
  });

  test("the sample is an event as a watch states it, which the shipped plugins understand", async () => {
    const { text } = await look("/plugins/slack/try");
    const event = /<textarea id="event"[^>]*>([^<]*)</.exec(text)?.[1]?.replaceAll("&quot;", '"') ?? "";
    expect((await send("/plugins/slack/try", { event })).text).toContain("*status*: pending → paid");
  });

  test("an event that it skips, and a sample on which it fails, are told", async () => {
    expect((await send("/plugins/shout/try", { event: '{"type":"skip.me"}' })).text).toContain("nothing would be sent");
    const failed = await send("/plugins/shout/try", { event: EVENT, "option.shout.times": "many" });
    expect(failed.text).toMatch(/It fails on this sample[\s\S]*times/);
  });

  test("a reply is shown as what a watch would read in it", async () => {
    expect((await look("/plugins/lines/try")).text).toMatch(/<textarea id="reply"[^>]*>id;status/);
    const { status, text } = await send("/plugins/lines/try", { status: "200", content_type: "", reply: "a b" });
    expect(status).toBe(200);
    expect(text).toMatch(/What a watch would read[\s\S]*<code>\[\n {2}&quot;a&quot;,\n {2}&quot;b&quot;\n\]<\/code>/);
    expect(text).toMatch(/<textarea id="reply"[^>]*>a b</);
  });

  test("a plugin with several hooks is tried by each; a request is shown without it and with it", async () => {
    const page = (await look("/plugins/both/try?hook=sign")).text;
    expect(page).toMatch(/href="\/plugins\/both\/try\?hook=sign" aria-current="true">Requests/);
    const request = { hook: "sign", method: "put", url: "https://a.example/b", headers: "accept: text/csv", body: "5" };
    const secret = '{"kind": "bearer", "token": "made-up"}';
    const { text } = await send("/plugins/both/try", { ...request, secret });
    expect(text).toContain("<del>PUT https://a.example/b</del>");
    expect(text).toContain("<ins>PUT https://a.example/b?signed=1</ins>");
    expect(text).toContain("<ins>x-signature: made-up5</ins>");
    expect((await send("/plugins/both/try", { ...request, secret: "" })).text).toMatch(
      /such a poll would fail[^<]*no secret/,
    );
    const reply = { hook: "parse", status: "404", content_type: "text/x", reply: "7" };
    expect((await send("/plugins/both/try", reply)).text).toMatch(/404,\n.*text\/x/);
  });

  test.each([
    ["status", { hook: "parse", status: "99" }],
    ["url", { hook: "sign", url: "nowhere" }],
    ["headers", { hook: "sign", url: "https://a.example", headers: "accept" }],
    ["secret", { hook: "sign", url: "https://a.example", secret: '{"kind": "oauth2"}' }],
  ])("a sample that cannot be read is told at its field: %s", async (field, typed) => {
    const { status, text } = await send("/plugins/both/try", typed as Record<string, string>);
    expect([status, text.includes(`id="${field}-fault"`)]).toEqual([422, true]);
  });

  test("what is no JSON is told at its field", async () => {
    expect((await send("/plugins/shout/try", { event: "{" })).text).toMatch(/id="event-fault"[^>]*>This is not JSON/);
    const { status, text } = await send("/plugins/shout/try", { event: EVENT, "option.shout.words": "[" });
    expect(status).toBe(422);
    expect(text).toMatch(/id="option\.shout\.words-fault"[^>]*>This is not JSON/);
  });
});

describe("the options of a plugin in the form of an endpoint", () => {
  const ENDPOINT = { url: "https://example.com/hook", event_types: "*", auto_pause: "on" };
  const stored = async (id: string) => (await app.call("GET", `/v1/endpoints/${id}`)).json.plugin_options;
  const idOf = (headers: Headers) => /endpoints\/(ep_\w+)/.exec(headers.get("location") ?? "")?.[1] ?? "";

  test("are kept with their types, shown again, and gone when their field is emptied", async () => {
    const fields = {
      ...ENDPOINT,
      plugin: "shout",
      "option.shout.loud": "false",
      "option.shout.times": "2",
      "option.shout.words": '["a"]',
      "option.slack.title": "of a plugin that was not chosen",
    };
    const id = idOf((await send("/endpoints", fields)).headers);
    expect(await stored(id)).toEqual({ loud: false, times: 2, words: ["a"] });
    const { text } = await look(`/endpoints/${id}/edit`);
    expect(text).toMatch(/id="option\.shout\.times"[^>]* value="2"/);
    expect(text).toMatch(/<details class="more" open><summary>Options of shout/);
    expect(text).toMatch(/<details class="more"><summary>Options of slack/);
    expect(text).toMatch(/<textarea id="plugin_options"[^>]*><\/textarea>/);

    const { status } = await send(`/endpoints/${id}/edit`, {
      ...ENDPOINT,
      plugin: "shout",
      "option.shout.mood": "cross",
    });
    expect(status).toBe(303);
    expect(await stored(id)).toEqual({ mood: "cross" });
  });

  test("of several plugins, each has its own, and one that is emptied goes", async () => {
    const fields = { ...ENDPOINT, plugin: "shout, slack", "option.shout.times": "2", "option.slack.title": "Paid" };
    const id = idOf((await send("/endpoints", fields)).headers);
    expect(await stored(id)).toEqual({ shout: { times: 2 }, slack: { title: "Paid" } });
    await send(`/endpoints/${id}/edit`, { ...fields, "option.slack.title": "", "option.slack.details": "false" });
    expect(await stored(id)).toEqual({ shout: { times: 2 }, slack: { details: false } });
  });

  test("what the plugin does not take is told at the field, and nothing is kept", async () => {
    for (const [plugin, times] of [
      ["shout", "0"],
      ["shout", "many"],
      ["slack, shout", "0"],
    ] as const) {
      const { status, text } = await send("/endpoints", { ...ENDPOINT, plugin, "option.shout.times": times });
      expect([plugin, times, status]).toEqual([plugin, times, 422]);
      expect(text).toMatch(/id="option\.shout\.times-fault"/);
      expect(text).toContain(`value="${times}"`);
    }
  });

  test("what a field cannot hold stays JSON beside the fields", () => {
    const options = { type: "object", properties: { a: { type: "string" }, b: { type: "number" } } };
    const plugins = [{ name: "p", description: null, options }];
    const { forms, rest } = optionForms(plugins, ["p"], { a: "", b: 1.5, c: [1] });
    expect(forms[0]?.fields.map(({ text }) => text)).toEqual(["", "1.5"]);
    expect(rest).toEqual({ a: "", c: [1] });
    expect(typedOptions(plugins, ["p"], { "option.p.b": "1.5" }, rest)).toEqual({ a: "", b: 1.5, c: [1] });
  });
});

for (const [before, after, marks] of [
  ["a\nb\nc", "a\nx\nc", ["a", "b|x", "c"]],
  ["a\nb", "b", ["a|", "b"]],
  ["b", "a\nb\nc", ["|a", "b", "|c"]],
  ["a\nb\nc\nd", "b\nx\nd", ["a|", "b", "c|x", "d"]],
  ["a", "a", ["a"]],
] as const) {
  test(`the lines ${JSON.stringify(before)} beside ${JSON.stringify(after)}`, () => {
    const rows = lineDiff(before, after);
    expect(rows.map((row) => (row.same ? row.before : `${row.before ?? ""}|${row.after ?? ""}`))).toEqual([...marks]);
  });
}

test("texts too long to compare line by line are shown whole", () => {
  const text = (name: string) => Array.from({ length: 2_000 }, (_, n) => `${name}${n}`).join("\n");
  expect(lineDiff(text("a"), text("b"))).toHaveLength(2_000);
});
