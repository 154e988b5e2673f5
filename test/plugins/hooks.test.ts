import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { bodyOf, event, type Host, pluginText, startHost, use } from "./support.ts";

let host: Host;
beforeAll(async () => {
  host = await startHost({
    "echo.ts": pluginText("echo", "transform(event, context) { return { body: { event, context } }; }"),
    "quiet.ts": pluginText("quiet", 'transform() { return { headers: { "X-Team": "billing" } }; }'),
    "skip.ts": pluginText("skip", "transform() { return null; }"),
    "text.ts": pluginText("text", 'transform(event) { return { body: "<order n=" + (event.data as any).n + "/>" }; }'),
    "plus.ts": pluginText(
      "plus",
      `options: z.object({ by: z.number().default(1) }),
       transform(event, { body, options }) { return { body: { ...(body as any), data: { n: (event.data as any).n + options.by } } }; }`,
    ),
    "bare.ts": pluginText("bare", "transform(event) { return { body: event.data }; }"),
    "meddler.ts": pluginText("meddler", "transform(event) { (event.data as any).n = 666; return {}; }"),
    "waits.ts": pluginText("waits", "async transform(event) { await Bun.sleep(20); return { body: event.data }; }"),
    "lines.ts": pluginText("lines", 'parse(response) { return response.body.trim().split("\\n"); }'),
    "count.ts": pluginText("count", "parse(response) { return { count: JSON.parse(response.body).length }; }"),
    "sniff.ts": pluginText(
      "sniff",
      "async parse({ status, headers, body, bytes }) { return { status, headers, body, size: bytes.length }; }",
    ),
    "digest.ts": pluginText(
      "digest",
      `sign(request, { secret, watch }) {
         const key = secret?.kind === "bearer" ? secret.token : "";
         const hash = new Bun.CryptoHasher("sha256", key).update(request.method + request.url + (request.body ?? "")).digest("hex");
         return { headers: { "X-Digest": hash, "X-Watch": watch.id } };
       }`,
    ),
    "elsewhere.ts": pluginText("elsewhere", 'sign() { return { url: "https://evil.example/" }; }'),
    "query.ts": pluginText("query", 'sign(request) { return { url: request.url + "?sig=1", body: "signed" }; }'),
  });
});
afterAll(() => host.stop());

describe("transform", () => {
  test("gets the event, the endpoint, the options and the body as it stands", async () => {
    const direct = await bodyOf(host, use("echo", { a: 1 }), event({ n: 1 }, { bare: true }));
    expect(direct).toEqual({
      event: { id: "evt_1", type: "order.paid", timestamp: "2026-11-21T20:22:00.123Z", data: { n: 1 } },
      context: {
        endpoint: { id: "ep_1", name: "Billing", url: "https://billing.example.com/hooks" },
        options: { a: 1 },
        body: { n: 1 },
      },
    });
    const usual = (await bodyOf(host, use("echo"), event({ n: 1 }))) as { context: { body: unknown } };
    expect(usual.context.body).toEqual({ type: "order.paid", timestamp: "2026-11-21T20:22:00.123Z", data: { n: 1 } });
  });

  test("says which version of which plugin made the body", async () => {
    const made = await host.plugins.transform(use(["plus", "bare"]), event());
    const versions = new Map(host.plugins.list().map(({ name, version }) => [name, version]));
    const plugins = ["plus", "bare"].map((name) => ({ name, version: versions.get(name) }));
    expect("plugins" in made && JSON.parse(made.plugins)).toEqual(plugins);
    expect(plugins[0]?.version).toMatch(/^[0-9a-f]{12}$/);
  });

  test("without a body leaves it as it was and adds its headers", async () => {
    expect(await host.plugins.transform(use("quiet"), event())).toMatchObject({
      skipped: false,
      body: null,
      headers: { "x-team": "billing" },
    });
  });

  test("may skip the delivery", async () => {
    expect(await host.plugins.transform(use(["plus", "skip", "bare"]), event())).toMatchObject({ skipped: true });
  });

  test("may send text, which is then declared as such", async () => {
    expect(await host.plugins.transform(use("text"), event())).toMatchObject({
      body: "<order n=1/>",
      headers: { "content-type": "text/plain; charset=utf-8" },
    });
  });

  test("waits side by side with others", async () => {
    const startedAt = performance.now();
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) => host.plugins.transform(use("waits"), event({ n }))),
    );
    expect(performance.now() - startedAt).toBeLessThan(500);
    for (const [n, answer] of answers.entries()) expect(answer).toMatchObject({ body: `{"n":${n}}` });
  });

  test("keeps the digits of numbers that a double would round", async () => {
    const made = await host.plugins.transform(use("bare"), event('{"id":12345678901234567890,"small":0.1}'));
    expect(made).toMatchObject({ body: '{"id":12345678901234567890,"small":0.1}' });
  });
});

describe("a chain", () => {
  test("hands each plugin what the one before made, in order, each with its own options", async () => {
    expect(await bodyOf(host, use(["plus", "text"], { plus: { by: 4 } }), event()).catch(String)).toContain("JSON");
    expect(await host.plugins.transform(use(["plus", "text"], { plus: { by: 4 } }), event())).toMatchObject({
      body: "<order n=5/>",
    });
    expect(await bodyOf(host, use(["bare", "echo"]), event())).toMatchObject({
      event: { type: "order.paid", data: { n: 1 } },
      context: { body: { n: 1 } },
    });
  });

  test("gives the next plugin nothing of what one did to its own copy", async () => {
    expect(await bodyOf(host, use(["meddler", "bare"]), event())).toEqual({ n: 1 });
  });

  test("fails when one of its plugins has no transform", async () => {
    expect(await host.plugins.transform(use(["bare", "lines"]), event())).toEqual({
      fault: 'the plugin "lines" has no transform hook (any more)',
    });
  });
});

describe("parse", () => {
  const reply = (body: string, type = "text/plain") => ({
    status: 200,
    headers: { "content-type": type },
    bytes: new TextEncoder().encode(body),
  });

  test("makes a reply into JSON text, one plugin after the other", async () => {
    expect(await host.plugins.parse(use("lines"), reply("a\nb\n"))).toEqual({ text: '["a","b"]' });
    expect(await host.plugins.parse(use(["lines", "digest", "count"]), reply("a\nb\n"))).toEqual({
      text: '{"count":2}',
    });
  });

  test("is answered with null when no plugin has the hook, and with a fault when one is missing", async () => {
    expect(host.plugins.parse(use("digest"), reply(""))).toBeNull();
    expect(await host.plugins.parse(use(["digest", "gone"]), reply(""))).toHaveProperty("fault");
  });

  test("gets the bytes, and the text by its charset", async () => {
    const latin = { ...reply("", "text/plain; charset=iso-8859-1"), bytes: new Uint8Array([0xe9]) };
    const parsed = await host.plugins.parse(use("sniff"), latin);
    expect(parsed && "text" in parsed && JSON.parse(parsed.text)).toMatchObject({ status: 200, body: "é", size: 1 });
  });

  test("a large reply crosses whole", async () => {
    const many = Array.from({ length: 200_000 }, (_, i) => `line ${i}`);
    const parsed = await host.plugins.parse(use("lines"), reply(many.join("\n")));
    expect(parsed && "text" in parsed && JSON.parse(parsed.text)).toEqual(many);
  });
});

describe("sign", () => {
  const request = { method: "GET", url: "https://erp.example.com/orders", headers: { accept: "*/*" }, body: null };

  test("adds headers computed from the request and the watch's secret", async () => {
    const secret = { kind: "bearer" as const, token: "key" };
    const hash = new Bun.CryptoHasher("sha256", "key").update("GEThttps://erp.example.com/orders").digest("hex");
    expect(await host.plugins.sign(use("digest"), { ...request, secret })).toEqual({
      headers: { "x-digest": hash, "x-watch": "ep_1" },
      url: null,
      body: null,
    });
  });

  test("a chain signs the request as the plugin before left it", async () => {
    const hash = new Bun.CryptoHasher("sha256", "")
      .update("GEThttps://erp.example.com/orders?sig=1signed")
      .digest("hex");
    expect(await host.plugins.sign(use(["query", "digest"]), { ...request, secret: null })).toMatchObject({
      headers: { "x-digest": hash },
      url: "https://erp.example.com/orders?sig=1",
      body: "signed",
    });
  });

  test("cannot send the request elsewhere", async () => {
    expect(await host.plugins.sign(use("elsewhere"), { ...request, secret: null })).toHaveProperty(
      "fault",
      expect.stringContaining("another origin"),
    );
  });
});

describe("the choice of plugins is judged when it is saved", () => {
  const cases: [string, string[], unknown, [string, string][]][] = [
    ["nothing chosen", [], {}, []],
    ["one, without options", ["plus"], {}, []],
    ["an option of the wrong type", ["plus"], { by: "two" }, [["/plugin_options/by", "expected number"]]],
    ["an unknown option", ["plus"], { bye: 1 }, [["/plugin_options/bye", "knows no such option"]]],
    ["an unknown plugin", ["pluss"], {}, [["/plugin", 'did you mean "plus"?']]],
    ["an unknown plugin of several", ["bare", "nope"], {}, [["/plugin/1", "no plugin"]]],
    ["one that has only other hooks", ["lines"], {}, [["/plugin", "no transform hook"]]],
    ["one twice", ["plus", "plus"], {}, [["/plugin/1", "twice"]]],
    ["options of several, by name", ["bare", "plus"], { plus: { by: 2 } }, []],
    ["a fault in those", ["bare", "plus"], { plus: { by: "two" } }, [["/plugin_options/plus/by", "expected number"]]],
    [
      "options of several, not by name",
      ["bare", "plus"],
      { by: 2 },
      [["/plugin_options/by", "under the name of each"]],
    ],
    ["no object under a name", ["bare", "plus"], { plus: 2 }, [["/plugin_options/plus", "must be an object"]]],
    [
      "a template's bad path",
      ["template"],
      { body: { a: ["{{ $.b[ }}"] } },
      [["/plugin_options/body", "not a JSONPath"]],
    ],
  ];
  for (const [name, names, options, faults] of cases) {
    test(name, async () => {
      const found = await host.plugins.checkUse(names, options, ["transform"]);
      expect(found.map(({ pointer }) => pointer)).toEqual(faults.map(([pointer]) => pointer));
      for (const [i, { message }] of found.entries()) expect(message).toContain(faults[i]?.[1] ?? "");
    });
  }

  test("options that became unacceptable fail the try", async () => {
    expect(await host.plugins.transform(use("plus", { by: "two" }), event())).toHaveProperty(
      "fault",
      expect.stringContaining('the options of the plugin "plus" are not what it wants: by:'),
    );
  });
});

test("a plugin is tried on a sample", async () => {
  const tried = await host.plugins.try("plus", { hook: "transform", input: event(), options: { by: 2 } });
  expect(tried.outcome).toMatchObject({ skipped: false, body: expect.stringContaining('"data":{"n":3}') });
  expect(tried.version).toBe(host.plugins.list().find(({ name }) => name === "plus")?.version ?? "");
  await expect(host.plugins.try("nope", { hook: "transform", input: event(), options: {} })).rejects.toThrow(
    'no plugin "nope"',
  );
  await expect(host.plugins.try("lines", { hook: "transform", input: event(), options: {} })).rejects.toThrow(
    "has no transform hook",
  );
});
