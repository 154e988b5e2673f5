import { z } from "zod";
import type { Frame } from "../../../views/layout.tsx";
import { PluginsPage } from "../../../views/plugins.tsx";
import { type ShownTrial, TryPluginPage } from "../../../views/try_plugin.tsx";
import { AppError } from "../../platform/errors.ts";
import type { Hook, PluginInfo, Plugins } from "../../plugins/plugins.ts";
import type { Route } from "../route.ts";
import { action, faultsOf, htmlAnswer, page } from "./page.ts";
import { fieldAt, optionForms, optionFormsAsTyped, typedOptions } from "./plugin_options.ts";
import { objectOf, SAMPLES, shownTrial, trialOf } from "./plugin_trial.ts";

const hookName = z.enum(Object.keys(SAMPLES) as [Hook, ...Hook[]]).optional();

type Typed = Record<string, string>;

/** What is loaded, what could not be, and what a plugin makes of a sample. */
export function pluginPages({ plugins }: { plugins?: Pick<Plugins, "list" | "try"> | undefined }): Route[] {
  const list = () => plugins?.list() ?? [];

  /** Its first hook, unless another is asked for. @throws AppError (404) when there is none to be tried */
  function toTry(name: string, wanted: unknown): { plugin: PluginInfo; hook: Hook } {
    // Of a file that cannot be loaded, an earlier version may go on serving.
    const plugin = list().find((each) => each.name === name && each.version !== null);
    const hook = plugin?.hooks.find((each) => each === (wanted ?? plugin.hooks[0]));
    if (plugin && hook) return { plugin, hook };
    throw new AppError("not_found", `There is no such hook of a plugin "${name}"; the page of plugins lists all.`);
  }

  function showForm(frame: Frame, { plugin, hook }: ReturnType<typeof toTry>, typed: Typed | null, error: unknown) {
    const forms = typed ? optionFormsAsTyped([plugin], typed) : optionForms([plugin], [], {}).forms;
    const faults = error ? faultsOf(error, (pointer) => fieldAt([plugin], [plugin.name], pointer)) : {};
    const sample = { ...SAMPLES[hook], ...typed };
    const further = typed?.plugin_options ?? "";
    return (trial: ShownTrial | null) => TryPluginPage({ frame, plugin, hook, sample, further, forms, faults, trial });
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
      query: { hook: hookName },
      show: ({ params, query }, frame) => showForm(frame, toTry(params.name ?? "", query.hook), null, null)(null),
    }),

    action({
      path: "/plugins/:name/try",
      access: "editor",
      async perform({ params, body }, frame) {
        const { hook: wanted, ...typed } = body;
        const chosen = toTry(params.name ?? "", wanted);
        const { plugin, hook } = chosen;
        try {
          const trial = trialOf(hook, typed);
          const further = (typed.plugin_options ?? "").trim();
          const rest = further === "" ? {} : objectOf(further, "/plugin_options");
          const options = typedOptions([plugin], [plugin.name], typed, rest);
          const tried = await plugins?.try(plugin.name, { ...trial, options });
          return htmlAnswer(200, showForm(frame, chosen, typed, null)(tried ? shownTrial(trial, tried) : null));
        } catch (error) {
          return htmlAnswer(422, showForm(frame, chosen, typed, error)(null));
        }
      },
    }),
  ];
}
