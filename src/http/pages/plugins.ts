import { pretty } from "../../../views/deliveries.tsx";
import type { Frame } from "../../../views/layout.tsx";
import { PluginsPage } from "../../../views/plugins.tsx";
import { type ShownTrial, TryPluginPage } from "../../../views/try_plugin.tsx";
import { AppError, invalid } from "../../platform/errors.ts";
import { JsonError, type JsonObject, parseJson, stringifyJson } from "../../platform/json.ts";
import type { PluginInfo, Plugins, TransformInput, Tried } from "../../plugins/plugins.ts";
import type { Route } from "../route.ts";
import { lineDiff } from "./line_diff.ts";
import { action, faultsOf, htmlAnswer, page } from "./page.ts";
import { fieldAt, optionForms, optionFormsAsTyped, typedOptions } from "./plugin_options.ts";

const TIMESTAMP = "2026-01-01T00:00:00.000Z";
/** As a watch states it. */
const SAMPLE = `{
  "type": "watch.changed",
  "data": {
    "watch": { "id": "watch_sample", "name": "Order 42" },
    "sequence": 7,
    "window": { "after": "2025-12-31T23:59:30.000Z", "until": "2026-01-01T00:00:00.000Z" },
    "changes": [
      { "field": "status", "path": "$.order.status", "kind": "changed", "previous": "pending", "current": "paid" }
    ]
  }
}`;

/** What is loaded, what could not be, and what a plugin makes of a sample. */
export function pluginPages({ plugins }: { plugins?: Pick<Plugins, "list" | "try"> | undefined }): Route[] {
  const list = () => plugins?.list() ?? [];

  /** @throws AppError (404) when it is not there, or changes nothing that is sent */
  function pluginOf(name: string): PluginInfo {
    const plugin = list().find((each) => each.name === name && isTriable(each));
    if (plugin) return plugin;
    throw new AppError("not_found", `There is no plugin "${name}" to be tried; the page of plugins lists all.`);
  }

  function showForm(frame: Frame, plugin: PluginInfo, typed: Record<string, string> | null, error: unknown) {
    const forms = typed ? optionFormsAsTyped([plugin], typed) : optionForms([plugin], [], {}).forms;
    const faults = error ? faultsOf(error, (pointer) => fieldAt([plugin], [plugin.name], pointer)) : {};
    const event = typed?.event ?? SAMPLE;
    return (trial: ShownTrial | null) =>
      TryPluginPage({ frame, plugin, event, further: typed?.plugin_options ?? "", forms, faults, trial });
  }

  return [
    page({
      path: "/plugins",
      access: "viewer",
      show: (_request, frame) => PluginsPage({ frame, plugins: list() }),
    }),

    page({
      path: "/plugins/:name/try",
      access: "editor",
      show: ({ params }, frame) => showForm(frame, pluginOf(params.name ?? ""), null, null)(null),
    }),

    action({
      path: "/plugins/:name/try",
      access: "editor",
      async perform({ params, body }, frame) {
        const plugin = pluginOf(params.name ?? "");
        try {
          const input = sampleOf(body.event ?? "");
          const further = (body.plugin_options ?? "").trim();
          const rest = further === "" ? {} : objectOf(further, "/plugin_options");
          const options = typedOptions([plugin], [plugin.name], body, rest);
          const tried = await plugins?.try(plugin.name, { hook: "transform", input, options });
          return htmlAnswer(200, showForm(frame, plugin, body, null)(tried ? shownTrial(input, tried) : null));
        } catch (error) {
          return htmlAnswer(422, showForm(frame, plugin, body, error)(null));
        }
      },
    }),
  ];
}

/** Of a file that cannot be loaded, an earlier version may go on serving. */
function isTriable({ version, hooks }: PluginInfo): boolean {
  return version !== null && hooks.includes("transform");
}

function sampleOf(text: string): TransformInput {
  const { type, data } = objectOf(text, "/event");
  if (typeof type !== "string" || type === "")
    throw invalid("/event", 'An event has a type: {"type": "…", "data": …}.');
  return { id: "evt_sample", type, timestamp: TIMESTAMP, data: stringifyJson(data ?? {}), bare: false };
}

function objectOf(text: string, pointer: string): JsonObject {
  try {
    const parsed = parseJson(text);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed as JsonObject;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw invalid(pointer, `This is not JSON: ${error.message}.`);
  }
  throw invalid(pointer, "Write a JSON object.");
}

/** What would be sent without the plugin, beside what would be sent with it. */
function shownTrial({ type, timestamp, data }: TransformInput, { version, ms, outcome }: Tried): ShownTrial {
  const about = { version, ms };
  if ("fault" in outcome) return { ...about, fault: outcome.fault };
  if (!("skipped" in outcome)) throw new Error("a transform hook gave what another hook gives");
  if (outcome.skipped) return { ...about, skipped: true };
  const before = `{"type":${JSON.stringify(type)},"timestamp":"${timestamp}","data":${data}}`;
  const rows = lineDiff(pretty(before), pretty(outcome.body ?? before));
  return { ...about, rows, headers: outcome.headers };
}
