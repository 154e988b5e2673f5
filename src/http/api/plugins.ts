import { z } from "zod";
import { invalid } from "../../platform/errors.ts";
import { parseJson, stringifyJson } from "../../platform/json.ts";
import type { SignSecret } from "../../plugins/plugin.ts";
import type { Hook, PluginInfo, Plugins, Trial, Tried } from "../../plugins/plugins.ts";
import { type Route, route } from "../route.ts";

const TAG = "Plugins";
const EXAMPLE = {
  name: "slack",
  version: "3e99d45489cd",
  origin: "shipped",
  file: "slack.ts",
  hooks: ["transform"],
  timeout_ms: 2_000,
  description: "Sends a message to a Slack incoming webhook.",
  options: { type: "object", properties: { title: { type: "string" } } },
  error: null,
};

const headers = z.record(z.string(), z.string()).default({});

const text = z.string().max(10_000);

/** A made-up secret for a sign hook; one of the vault is never given to a try. */
export const sampleSecret: z.ZodType<SignSecret> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("bearer"), token: text }),
  z.strictObject({ kind: z.literal("basic"), username: text, password: text }),
  z.strictObject({ kind: z.literal("header"), name: text, value: text }),
  z.strictObject({ kind: z.literal("query"), name: text, value: text }),
]);

/** A sample of what one hook gets: exactly one of the three. */
const trial = z.strictObject({
  event: z
    .strictObject({
      type: z.string().max(200).default("test.ping"),
      data: z.unknown().default({}),
      id: z.string().max(100).default("evt_sample"),
      timestamp: z.iso.datetime().default("2026-01-01T00:00:00.000Z"),
    })
    .optional(),
  response: z
    .strictObject({ status: z.int().min(100).max(599).default(200), headers, body: z.string().default("") })
    .optional(),
  request: z
    .strictObject({
      method: z.string().max(20).default("GET"),
      url: z.url().default("https://example.com/"),
      headers,
      body: z.string().nullable().default(null),
      secret: sampleSecret.nullable().default(null),
    })
    .optional(),
  options: z.record(z.string(), z.unknown()).default({}),
});

type TrialBody = z.output<typeof trial>;

/** What is loaded, and trying one out. Plugins themselves come from a folder, never over HTTP. */
export function pluginRoutes({ plugins }: { plugins: Pick<Plugins, "list" | "try"> }): Route[] {
  return [
    route({
      method: "GET",
      path: "/v1/plugins",
      summary: "List the plugins on this node, with the errors of those that cannot be loaded",
      tag: TAG,
      access: "viewer",
      answers: [{ status: 200, description: "All plugins, by name", example: { data: [EXAMPLE], next: null } }],
      handle: () => ({ status: 200, body: { data: plugins.list().map(show), next: null } }),
    }),

    route({
      method: "POST",
      path: "/v1/plugins/:name/try",
      summary: "Run one hook of a plugin on a sample; nothing is sent",
      tag: TAG,
      access: "editor",
      body: trial,
      bodyExample: { event: { type: "order.paid", data: { order: { id: 42 } } }, options: {} },
      answers: [
        {
          status: 200,
          description: "What the hook gave, or how it failed",
          example: {
            hook: "transform",
            version: EXAMPLE.version,
            ms: 0.4,
            result: { skipped: false, headers: {}, body: "…" },
            error: null,
          },
        },
      ],
      async handle({ params, body }) {
        const sample = trialOf(body);
        return { status: 200, body: showTried(sample.hook, await plugins.try(params.name ?? "", sample)) };
      },
    }),
  ];
}

function trialOf({ event, response, request, options }: TrialBody): Trial {
  if ([event, response, request].filter((sample) => sample !== undefined).length !== 1) {
    throw invalid("", "Give a sample for one hook: event (transform), response (parse) or request (sign).");
  }
  if (event) return { hook: "transform", input: { ...event, data: stringifyJson(event.data), bare: false }, options };
  if (request) return { hook: "sign", input: request, options };
  const { status, headers, body } = response ?? { status: 200, headers: {}, body: "" };
  return { hook: "parse", input: { status, headers, bytes: new TextEncoder().encode(body) }, options };
}

function show({ name, version, origin, file, hooks, timeoutMs, description, options, error }: PluginInfo) {
  return { name, version, origin, file, hooks, timeout_ms: timeoutMs, description, options, error };
}

function showTried(hook: Hook, { version, ms, outcome }: Tried) {
  const shown = { hook, version, ms: Math.round(ms * 10) / 10 };
  if ("fault" in outcome) return { ...shown, result: null, error: outcome.fault };
  return { ...shown, result: resultOf(outcome), error: null };
}

/** Bodies stay texts, exactly as they would be sent; a parsed document is shown as what it is. */
function resultOf(outcome: Exclude<Tried["outcome"], { fault: string }>): unknown {
  if ("text" in outcome) return { document: parseJson(outcome.text) };
  if ("url" in outcome) return outcome;
  if (outcome.skipped) return { skipped: true };
  return { skipped: false, headers: outcome.headers, body: outcome.body };
}
