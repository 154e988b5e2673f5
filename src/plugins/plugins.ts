import { type FSWatcher, watch } from "node:fs";
import { fileURLToPath } from "node:url";
import { AppError, type FieldFault } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { repeat } from "../platform/repeat.ts";
import { type Catalogue, type GoodBundles, loadCatalogue, type OwnedSource, type PluginInfo } from "./catalogue.ts";
import { pluginFiles, signatureOf } from "./folder.ts";
import type { Hook, Loaded, ParseInput, SignInput, Task, TransformInput, TransformValue, Values } from "./messages.ts";
import type { Outcome } from "./pool.ts";
import { choiceFaults, optionFaults, textOf, type Use } from "./use.ts";

export type { PluginInfo } from "./catalogue.ts";
export type { Hook, ParseInput, SignInput, TransformInput, TransformValue } from "./messages.ts";
export type { SignSecret } from "./plugin.ts";
export type { Use } from "./use.ts";

/** A hook did not give what it should: why, as a sentence for people. Nothing may be sent or taken instead. */
export type HookFault = { fault: string };
/** The caller's own signal, or our stop, came first. */
export type HookEnded = { ended: true };

export type Trial = { hook: Hook; input: TransformInput | ParseInput | SignInput; options: unknown };
export type Tried = { version: string; ms: number; outcome: Values[Hook] | HookFault };

export type Plugins = {
  /** What to send instead. Each of the plugins needs the hook. */
  transform(use: Use, event: TransformInput, signal?: AbortSignal): Promise<TransformValue | HookFault | HookEnded>;
  /** The reply as JSON text, or null when none of the plugins has the hook, known before anything is awaited. */
  parse(use: Use, reply: ParseInput, signal?: AbortSignal): Promise<Values["parse"] | HookFault | HookEnded> | null;
  /** What to change of the request, or null when none of the plugins has the hook. The secret then goes to the hook only. */
  sign(use: Use, request: SignInput, signal?: AbortSignal): Promise<Values["sign"] | HookFault | HookEnded> | null;
  /** What is wrong with a choice of plugins and options, for a 422; `hooks` are those of use there. */
  checkUse(names: readonly string[], options: unknown, hooks: readonly Hook[]): Promise<FieldFault[]>;
  /** Changes whenever what these plugins make of the same input may change. */
  versionOf(names: readonly string[]): string;
  list(): readonly PluginInfo[];
  /** Runs one hook on a sample, on a thread of its own. @throws AppError when there is no such plugin or hook */
  try(name: string, trial: Trial): Promise<Tried>;
  stop(): Promise<void>;
};

const SHIPPED_FOLDER = fileURLToPath(new URL("../../plugins", import.meta.url));
const SHIPPED = ["cloudevents.ts", "discord.ts", "redact.ts", "slack.ts", "template.ts"];
/** Mounted folders do not always tell of changes: they are looked at as well. */
const LOOK_MS = 2_000;
/** An editor writes in several steps; a file is read once it has been still for so long. */
const STILL_MS = 100;

/** Loads the shipped plugins and those of `folder`, and keeps up with changes of the files. */
export async function startPlugins(options: { folder: string; log: Log }): Promise<Plugins> {
  const { folder, log } = options;
  const good: GoodBundles = new Map();
  let signature = stateOf(folder);
  let catalogue = await loadCatalogue(sourcesOf(folder), null, good, log);
  tell(log, null, catalogue);

  const looking = repeat({ name: "plugin files", everyMs: LOOK_MS, log, work: reloadIfChanged });
  const watchers = [...new Set([SHIPPED_FOLDER, folder])].flatMap((each) => watched(each, looking.wake));

  async function reloadIfChanged(): Promise<undefined> {
    let state = stateOf(folder);
    if (state === signature) return;
    for (let before = ""; before !== state; state = stateOf(folder)) {
      before = state;
      await Bun.sleep(STILL_MS);
    }
    const before = catalogue;
    catalogue = await loadCatalogue(sourcesOf(folder), before, good, log);
    signature = state;
    if (catalogue === before) return;
    tell(log, before, catalogue);
    before.pool.retire();
  }

  async function run<H extends Hook>(
    use: Use,
    task: Task & { hook: H },
    plugins: readonly Loaded[],
    signal?: AbortSignal,
  ) {
    const limitMs = plugins.reduce((sum, { timeoutMs }) => sum + timeoutMs, 0);
    return answerOf<H>(await catalogue.pool.run(textOf(use), task, signal ? { limitMs, signal } : { limitMs }));
  }

  /** The plugins of a use, or the first that is missing, with the reason where its file is at fault. */
  function pluginsOf(names: readonly string[]): Loaded[] | HookFault {
    const found: Loaded[] = [];
    for (const name of names) {
      const plugin = catalogue.byName.get(name);
      if (!plugin) return missing(name, catalogue.plugins);
      found.push(plugin);
    }
    return found;
  }

  /** For hooks that not all plugins of a watch need to have. */
  function runIfAny<H extends "parse" | "sign">(use: Use, task: Task & { hook: H }, signal?: AbortSignal) {
    const plugins = pluginsOf(use.names);
    if ("fault" in plugins) return Promise.resolve(plugins);
    const having = plugins.filter(({ hooks }) => hooks.includes(task.hook));
    return having.length === 0 ? null : run<H>(use, task, having, signal);
  }

  return {
    async transform(use, event, signal) {
      const plugins = pluginsOf(use.names);
      return "fault" in plugins ? plugins : run(use, { hook: "transform", input: event }, plugins, signal);
    },
    parse: (use, reply, signal) => runIfAny(use, { hook: "parse", input: reply }, signal),
    sign: (use, request, signal) => runIfAny(use, { hook: "sign", input: request }, signal),

    async checkUse(names, options, hooks) {
      const faults = choiceFaults(names, options, hooks, catalogue.byName);
      if (faults.length > 0 || names.length === 0) return faults;
      const use = textOf({ names, options, about: { id: "", name: "" } });
      const outcome = await catalogue.pool.run(use, { hook: "check", input: null }, { limitMs: 2_000, alone: true });
      if ("value" in outcome) return optionFaults(outcome.value as Values["check"]);
      return [{ pointer: "/plugin_options", message: "fault" in outcome ? outcome.fault : "could not be checked" }];
    },

    versionOf: (names) => names.map((name) => catalogue.byName.get(name)?.version ?? "").join(),
    list: () => catalogue.plugins,

    async try(name, { hook, input, options }) {
      const plugin = catalogue.byName.get(name);
      if (!plugin)
        throw new AppError(
          "not_found",
          `${upperFirst(missing(name, catalogue.plugins).fault)}. GET /v1/plugins lists all.`,
        );
      if (!plugin.hooks.includes(hook)) {
        throw new AppError(
          "invalid",
          `The plugin "${name}" has no ${hook} hook; it has ${plugin.hooks.join(" and ")}.`,
        );
      }
      const about = hook === "transform" ? SAMPLE_ENDPOINT : SAMPLE_WATCH;
      const task = { hook, input } as Task & { hook: Hook };
      const startedAt = performance.now();
      const use = textOf({ names: [name], options, about });
      const outcome = answerOf<Hook>(await catalogue.pool.run(use, task, { limitMs: plugin.timeoutMs, alone: true }));
      if ("ended" in outcome) throw new AppError("unavailable", "The plugins were being loaded anew; try again.");
      return { version: plugin.version, ms: performance.now() - startedAt, outcome };
    },

    async stop() {
      for (const watcher of watchers) watcher.close();
      await looking.stop();
      catalogue.pool.stop();
    },
  };
}

const SAMPLE_ENDPOINT = { id: "ep_sample", name: "Sample", url: "https://example.com/hooks" };
const SAMPLE_WATCH = { id: "watch_sample", name: "Sample" };

/** The shipped ones first, so that those of the folder override them. From a clone both lie in one folder. */
function sourcesOf(folder: string): OwnedSource[] {
  const shipped = SHIPPED.map((file) => ({ folder: SHIPPED_FOLDER, file, origin: "shipped" as const }));
  const own = pluginFiles(folder).filter((file) => folder !== SHIPPED_FOLDER || !SHIPPED.includes(file));
  return [...shipped, ...own.map((file) => ({ folder, file, origin: "folder" as const }))];
}

function stateOf(folder: string): string {
  return [...new Set([SHIPPED_FOLDER, folder])].map(signatureOf).join("\n\n");
}

function watched(folder: string, onChange: () => void): FSWatcher[] {
  try {
    const watcher = watch(folder, { persistent: false }, onChange);
    watcher.on("error", () => watcher.close());
    return [watcher];
  } catch {
    return []; // not there yet: it is looked for every now and then
  }
}

function answerOf<H extends Hook>(outcome: Outcome): Values[H] | HookFault | HookEnded {
  return "value" in outcome ? (outcome.value as Values[H]) : outcome;
}

function missing(name: string, plugins: readonly PluginInfo[]): HookFault {
  const error = plugins.find((plugin) => plugin.name === name)?.error;
  if (!error) return { fault: `there is no plugin "${name}": put its file back, or choose another` };
  return { fault: `the plugin "${name}" could not be loaded: ${error.message} (${placeOf(error)})` };
}

/** Says what is new, and what is wrong. */
function tell(log: Log, before: Catalogue | null, now: Catalogue): void {
  const known = new Map(before?.plugins.map((plugin) => [`${plugin.origin} ${plugin.file}`, plugin]));
  for (const { name, version, origin, file, error } of now.plugins) {
    const earlier = known.get(`${origin} ${file}`);
    known.delete(`${origin} ${file}`);
    if (error && error.message !== earlier?.error?.message) {
      const serving = version === null ? "correct the file" : `version ${version} goes on serving; correct the file`;
      log.error("a plugin could not be loaded", {
        plugin: name,
        at: placeOf(error),
        problem: error.message,
        remedy: serving,
      });
    } else if (version !== null && version !== earlier?.version && (before !== null || origin === "folder")) {
      log.info("plugin loaded", { plugin: name, version, file });
    }
  }
  for (const { name, file } of known.values()) log.info("plugin gone", { plugin: name, file });
}

function placeOf({ file, line, column }: { file: string; line: number | null; column: number | null }): string {
  return line === null ? file : `${file}:${line}:${column}`;
}

function upperFirst(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
