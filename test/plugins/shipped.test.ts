import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { bodyOf, event, type Host, startHost, use } from "./support.ts";

let host: Host;
beforeAll(async () => {
  host = await startHost();
});
afterAll(() => host.stop());

const change = {
  watch: { id: "watch_1", name: "Order 42" },
  sequence: 7,
  changes: [
    { field: "status", path: "$.order.status", kind: "changed", previous: "pending", current: "paid" },
    { field: "note", path: "$.order.note", kind: "appeared", current: "<!channel> & co" },
  ],
};
const long = "x".repeat(20_000);
const huge = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`field ${i} ${long}`, `<&>${long}`]));

type SlackText = { type: string; text: string };
type SlackBody = { text: string; blocks: { type: string; text: SlackText; elements: SlackText[] }[] };
type DiscordBody = {
  content?: string;
  allowed_mentions: object;
  embeds: { title: string; footer: { text: string }; fields: { name: string; value: string }[] }[];
};

/** What Slack's reference of incoming webhooks and Block Kit says of a message with these blocks. */
function checkSlack(body: SlackBody): void {
  expect(typeof body.text).toBe("string");
  expect(body.text.length).toBeLessThanOrEqual(4_000);
  expect(body.blocks.length).toBeLessThanOrEqual(50);
  for (const block of body.blocks) {
    if (block.type === "header") {
      expect(block.text.type).toBe("plain_text");
      expect(block.text.text.length).toBeGreaterThan(0);
      expect(block.text.text.length).toBeLessThanOrEqual(150);
    } else if (block.type === "section") {
      expect(block.text.type).toBe("mrkdwn");
      expect(block.text.text.length).toBeGreaterThan(0);
      expect(block.text.text.length).toBeLessThanOrEqual(3_000);
      expect(block.text.text).not.toMatch(/&(?!amp;|lt;|gt;)|</);
    } else {
      expect(block).toMatchObject({ type: "context", elements: [{ type: "mrkdwn", text: expect.any(String) }] });
      expect(block.elements.length).toBeLessThanOrEqual(10);
    }
  }
}

describe("slack", () => {
  test("makes a message of a watch's changes, and escapes what Slack would act upon", async () => {
    const body = (await bodyOf(
      host,
      use("slack", { title: "{{ $.data.watch.name }}: {{ $.type }}" }),
      event(change),
    )) as SlackBody;
    checkSlack(body);
    expect<unknown>(body.blocks).toEqual([
      { type: "header", text: { type: "plain_text", text: "Order 42: order.paid", emoji: true } },
      {
        type: "section",
        text: { type: "mrkdwn", text: "*status*: pending → paid\n*note*: – → &lt;!channel&gt; &amp; co" },
      },
      {
        type: "context",
        elements: [{ type: "mrkdwn", text: "order.paid · evt_1 · 2026-11-21T20:22:00.123Z" }],
      },
    ]);
    expect(body.text).toBe("Order 42: order.paid\n*status*: pending → paid\n*note*: – → &lt;!channel&gt; &amp; co");
  });

  for (const [name, data] of Object.entries({
    huge,
    text: JSON.stringify(long),
    list: [1, 2],
    nothing: null,
    empty: {},
    emoji: JSON.stringify("😀".repeat(9_000)),
  })) {
    test(`stays within Slack's limits: ${name}`, async () => {
      const body = (await bodyOf(
        host,
        use("slack", { title: `{{ $.data }}${long.slice(0, 400)}` }),
        event(data),
      )) as SlackBody;
      checkSlack(body);
      expect(JSON.stringify(body).isWellFormed()).toBe(true);
    });
  }
});

/** What Discord's reference says of "Execute Webhook" and "Embed Limits". */
function checkDiscord(body: DiscordBody): void {
  expect((body.content ?? "").length).toBeLessThanOrEqual(2_000);
  expect(body.embeds.length).toBeLessThanOrEqual(10);
  expect(body.allowed_mentions).toEqual({ parse: [] });
  for (const embed of body.embeds) {
    expect(embed.title.length).toBeLessThanOrEqual(256);
    expect(embed.fields.length).toBeLessThanOrEqual(25);
    expect(embed.footer.text.length).toBeLessThanOrEqual(2_048);
    let total = embed.title.length + embed.footer.text.length;
    for (const field of embed.fields) {
      expect(field.name.trim().length).toBeGreaterThan(0);
      expect(field.name.length).toBeLessThanOrEqual(256);
      expect(field.value.trim().length).toBeGreaterThan(0);
      expect(field.value.length).toBeLessThanOrEqual(1_024);
      total += field.name.length + field.value.length;
    }
    expect(total).toBeLessThanOrEqual(6_000);
  }
}

describe("discord", () => {
  test("makes an embed of a watch's changes, and mentions nobody", async () => {
    const options = { username: "DeltaHook", content: "{{ $.data.watch.name }} @everyone" };
    const body = (await bodyOf(host, use("discord", options), event(change))) as DiscordBody;
    checkDiscord(body);
    expect<unknown>(body).toEqual({
      username: "DeltaHook",
      content: "Order 42 @everyone",
      allowed_mentions: { parse: [] },
      embeds: [
        {
          title: "order.paid",
          color: 0x3b82f6,
          timestamp: "2026-11-21T20:22:00.123Z",
          fields: [
            { name: "status", value: "pending → paid", inline: true },
            { name: "note", value: "– → <!channel> & co", inline: true },
          ],
          footer: { text: "evt_1" },
        },
      ],
    });
  });

  for (const [name, data] of Object.entries({
    huge,
    text: JSON.stringify(long),
    blank: { a: "", " ": " " },
    nothing: null,
    emoji: JSON.stringify("😀".repeat(9_000)),
  })) {
    test(`stays within Discord's limits: ${name}`, async () => {
      const body = (await bodyOf(
        host,
        use("discord", { title: long.slice(0, 500), content: "{{ $.data }}" }),
        event(data),
      )) as DiscordBody;
      checkDiscord(body);
      expect(JSON.stringify(body).isWellFormed()).toBe(true);
    });
  }
});

describe("cloudevents", () => {
  test("makes the structured form with every required attribute", async () => {
    const options = {
      source: "https://github.com/cloudevents/spec/pull",
      type_prefix: "com.github.",
      subject: "$.data.number",
    };
    const made = await host.plugins.transform(
      use("cloudevents", options),
      event({ number: 123 }, { type: "pull_request.opened" }),
    );
    expect(made).toMatchObject({ headers: { "content-type": "application/cloudevents+json; charset=utf-8" } });
    expect(JSON.parse("body" in made ? String(made.body) : "")).toEqual({
      specversion: "1.0",
      id: "evt_1",
      source: "https://github.com/cloudevents/spec/pull",
      type: "com.github.pull_request.opened",
      time: "2026-11-21T20:22:00.123Z",
      subject: "123",
      datacontenttype: "application/json",
      data: { number: 123 },
    });
  });

  test("attributes have the types that the specification wants, and none is empty", async () => {
    const body = (await bodyOf(host, use("cloudevents", { subject: "$.data.none" }), event(change))) as Record<
      string,
      string
    >;
    expect(body.source).toBe("/watches/watch_1");
    for (const [name, value] of Object.entries(body)) {
      expect(name).toMatch(/^[a-z0-9]{1,20}$/);
      if (name !== "data") expect(typeof value === "string" && value.length > 0).toBe(true);
    }
    expect(Number.isNaN(Date.parse(body.time ?? ""))).toBe(false);
  });

  test("data stays exact", async () => {
    const made = await host.plugins.transform(use("cloudevents"), event('{"id":12345678901234567890}'));
    expect("body" in made && made.body).toContain('"data":{"id":12345678901234567890}');
  });

  test("a source that is no URI reference is refused at save", async () => {
    expect(await host.plugins.checkUse(["cloudevents"], { source: "my source" }, ["transform"])).toMatchObject([
      { pointer: "/plugin_options/source" },
    ]);
  });
});

describe("template", () => {
  const data = { order: { id: 42, lines: [{ sku: "a" }, { sku: "b" }], paid: true, total: 12.5, note: null } };
  const cases: [string, unknown, unknown][] = [
    ["constants", { a: [1, null, true, "x"] }, { a: [1, null, true, "x"] }],
    [
      "one placeholder is the value itself",
      { id: "{{ $.data.order.id }}", all: "{{$.data.order.lines}}" },
      { id: 42, all: data.order.lines },
    ],
    ["a path that can match several is a list", ["{{ $.data.order.lines[*].sku }}"], [["a", "b"]]],
    [
      "inside a text values are written out",
      "Order {{ $.data.order.id }}: {{ $.data.order.paid }}, {{ $.type }}!",
      "Order 42: true, order.paid!",
    ],
    [
      "what is missing is null, and nothing inside a text",
      { a: "{{ $.data.none }}", b: "<{{ $.data.none }}{{ $.data.order.note }}>" },
      { a: null, b: "<>" },
    ],
    ["names of members too", { "order-{{ $.data.order.id }}": 1 }, { "order-42": 1 }],
    [
      "the endpoint and the event",
      ["{{ $.endpoint.name }}", "{{ $.id }}", "{{ $.timestamp }}"],
      ["Billing", "evt_1", "2026-11-21T20:22:00.123Z"],
    ],
    ["braces that are no placeholder", "{{ name }} { $.x } {{}}", "{{ name }} { $.x } {{}}"],
    // Slack's published example of an incoming webhook, PagerDuty's of an event: payloads without a plugin of their own.
    ["a Slack message", { text: "Order {{ $.data.order.id }} is paid." }, { text: "Order 42 is paid." }],
    [
      "a PagerDuty event",
      {
        routing_key: "samplekeyhere",
        event_action: "trigger",
        dedup_key: "order-{{ $.data.order.id }}",
        payload: {
          summary: "{{ $.type }}",
          source: "deltahook",
          severity: "info",
          timestamp: "{{ $.timestamp }}",
          custom_details: "{{ $.data.order }}",
        },
      },
      {
        routing_key: "samplekeyhere",
        event_action: "trigger",
        dedup_key: "order-42",
        payload: {
          summary: "order.paid",
          source: "deltahook",
          severity: "info",
          timestamp: "2026-11-21T20:22:00.123Z",
          custom_details: data.order,
        },
      },
    ],
  ];
  for (const [name, body, expected] of cases) {
    test(name, async () => {
      const made = await host.plugins.transform(use("template", { body }), event(data));
      if (!("body" in made)) throw new Error(JSON.stringify(made));
      expect(typeof expected === "string" ? made.body : JSON.parse(String(made.body))).toEqual(expected);
    });
  }

  test("values of the event cannot bring placeholders of their own", async () => {
    const options = { body: "{{ $.data.a }} {{ $.data.b }}" };
    const made = await host.plugins.transform(use("template", options), event({ a: "{{ $.data.b }} $& $1", b: "b" }));
    expect(made).toMatchObject({ body: "{{ $.data.b }} $& $1 b" });
  });

  test("headers may have placeholders, and the content type is the template's to choose", async () => {
    const options = {
      body: "<id>{{ $.data.order.id }}</id>",
      headers: { "content-type": "application/xml", "x-order": "{{ $.data.order.id }}" },
    };
    expect(await host.plugins.transform(use("template", options), event(data))).toMatchObject({
      body: "<id>42</id>",
      headers: { "content-type": "application/xml", "x-order": "42" },
    });
  });

  test("numbers stay exact", async () => {
    const options = { body: { id: "{{ $.data.id }}", text: "no. {{ $.data.id }}" } };
    expect(await host.plugins.transform(use("template", options), event('{"id":12345678901234567890}'))).toMatchObject({
      body: '{"id":12345678901234567890,"text":"no. 12345678901234567890"}',
    });
  });
});

describe("redact", () => {
  const data = { customer: { "e-mail": "a@b.c", name: "Ann" }, cards: [{ n: "4111" }, { n: "5500" }], "it's": "x" };
  const cases: [string, object, unknown][] = [
    ["a value", { paths: ["$.data.customer['e-mail']"] }, { ...data, customer: { "e-mail": "***", name: "Ann" } }],
    [
      "each of a list",
      { paths: ["$.data.cards[*].n"], replacement: null },
      { ...data, cards: [{ n: null }, { n: null }] },
    ],
    ["an odd name", { paths: ["$.data['it\\'s']"] }, { ...data, "it's": "***" }],
    [
      "a whole branch, and something inside it",
      { paths: ["$.data.customer", "$.data.customer.name"] },
      { ...data, customer: "***" },
    ],
    ["everything below", { paths: ["$.data..*"] }, { customer: "***", cards: "***", "it's": "***" }],
    ["nothing there", { paths: ["$.data.none"] }, data],
  ];
  for (const [name, options, expected] of cases) {
    test(name, async () => {
      expect(await bodyOf(host, use("redact", options), event(data))).toEqual({
        type: "order.paid",
        timestamp: "2026-11-21T20:22:00.123Z",
        data: expected,
      });
    });
  }

  test("a direct send has the data itself as its body", async () => {
    const options = { paths: ["$.customer.name"] };
    expect(await bodyOf(host, use("redact", options), event(data, { bare: true }))).toMatchObject({
      customer: { name: "***" },
    });
  });

  test("before another plugin hides from it as well", async () => {
    const options = { redact: { paths: ["$.data.changes[*].current"] } };
    const body = JSON.stringify(await bodyOf(host, use(["redact", "slack"], options), event(change)));
    expect(body).toContain("pending → ***");
    expect(body).not.toContain("→ paid");
    expect(body).not.toContain("channel");
  });

  test("the digits of what is not redacted stay", async () => {
    const made = await host.plugins.transform(
      use("redact", { paths: ["$.data.a"] }),
      event('{"a":1,"b":12345678901234567890}'),
    );
    expect("body" in made && made.body).toContain('"data":{"a":"***","b":12345678901234567890}');
  });
});
