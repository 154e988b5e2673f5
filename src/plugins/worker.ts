import { readlinkSync } from "node:fs";
import { basename } from "node:path";
import { z } from "zod";
import { type Chain, isPromise, type LivePlugin, parse, sign, transform } from "./hooks.ts";
import {
  type Answer,
  type Bundle,
  type CallText,
  CURRENT,
  type FromThread,
  HOOKS,
  type Loaded,
  type LoadFault,
  type OptionFault,
  RETIRED,
  type ToThread,
  type UseText,
  type Value,
} from "./messages.ts";
import { optionsOf } from "./options.ts";
import * as plugin from "./plugin.ts";
import { describeThrown, describeWithPlace, HookError } from "./thrown.ts";

// The program of a worker thread: loads plugins once, then runs hooks, many calls to a message.

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const MOST_CHAINS = 2_000;
const FLUSH_MS = 5;
const MOST_LINES = 20;

const live = new Map<string, LivePlugin>();
const chains = new Map<string, Chain | HookError>();
// Plugins share this global scope: what this program needs of it is taken before any of them runs.
const post = postMessage.bind(globalThis) as (message: FromThread) => void;
const clock = performance.now.bind(performance);
let shared = new Int32Array(new SharedArrayBuffer(8));
let answers: Answer[] = [];

self.onmessage = ({ data: message }: MessageEvent<ToThread>) => {
  if (message.kind === "load") void load(message.shared, message.bundles);
  else runBatch(message.uses, message.calls);
};
process.on("unhandledRejection", (reason) =>
  say("warn", `a promise that nobody waits for: ${describeWithPlace(reason)}`),
);
process.on("uncaughtException", (error) => say("warn", `outside of its hooks: ${describeWithPlace(error)}`));
for (const name of ["log", "info", "debug"] as const) console[name] = (...words) => say("info", shown(words));
for (const name of ["warn", "error"] as const) console[name] = (...words) => say("warn", shown(words));
Bun.plugin({
  name: "deltahook",
  // So that the import resolves from any folder, also where no package of that name is installed.
  setup: (build) => void build.module("deltahook/plugin", () => ({ exports: { ...plugin }, loader: "object" })),
});

async function load(memory: SharedArrayBuffer, bundles: readonly Bundle[]): Promise<void> {
  shared = new Int32Array(memory);
  const plugins: (Loaded | LoadFault)[] = [];
  for (const [index, bundle] of bundles.entries()) {
    Atomics.store(shared, CURRENT, index + 1);
    plugins.push(await loadOne(bundle, index));
  }
  Atomics.store(shared, CURRENT, 0);
  post({ kind: "loaded", plugins, threadId: kernelId() });
}

function kernelId(): number | null {
  try {
    return Number(basename(readlinkSync("/proc/thread-self")));
  } catch {
    return null;
  }
}

async function loadOne({ file, version, code }: Bundle, index: number): Promise<Loaded | LoadFault> {
  const specifier = `deltahook-plugin:${index}`;
  Bun.plugin({
    name: specifier,
    setup: (build) => void build.module(specifier, () => ({ contents: code, loader: "js" })),
  });
  try {
    const { default: given } = (await import(specifier)) as { default?: unknown };
    const loaded = checked(given);
    const hooks = HOOKS.filter((hook) => loaded[hook] !== undefined);
    live.set(loaded.name, { ...loaded, version });
    return {
      file,
      version,
      name: loaded.name,
      description: loaded.description ?? null,
      timeoutMs: loaded.timeoutMs ?? 2_000,
      hooks,
      options: loaded.options ? z.toJSONSchema(loaded.options, { io: "input", unrepresentable: "any" }) : null,
    };
  } catch (error) {
    return { file, ...describeThrown(error) };
  }
}

/** @throws HookError naming what is missing in a default export */
function checked(given: unknown): plugin.Plugin<unknown> {
  if (typeof given !== "object" || given === null) {
    throw new HookError("it has no default export that is a plugin: export default definePlugin({ name, … })");
  }
  const { name, description, timeoutMs, options, ...rest } = given as Partial<plugin.Plugin<unknown>>;
  if (typeof name !== "string" || !NAME.test(name)) {
    throw new HookError("name must be 1 to 64 letters, digits, _ or -, and begin with a letter or digit");
  }
  if (description !== undefined && typeof description !== "string") throw new HookError("description must be a text");
  if (timeoutMs !== undefined && !(Number.isInteger(timeoutMs) && timeoutMs >= 100 && timeoutMs <= 10_000)) {
    throw new HookError("timeoutMs must be a whole number from 100 to 10,000");
  }
  if (options !== undefined && !(options instanceof z.ZodType)) {
    throw new HookError('options must be a schema made with z from "deltahook/plugin"');
  }
  for (const hook of HOOKS) {
    if (rest[hook] !== undefined && typeof rest[hook] !== "function") throw new HookError(`${hook} must be a function`);
  }
  if (HOOKS.every((hook) => rest[hook] === undefined))
    throw new HookError("it has none of the hooks transform, parse and sign");
  const found = given as plugin.Plugin<unknown>;
  return options ? { ...bound(found), options: strict(options) } : bound(found);
}

/** Hooks keep their `this`, which may be a class's instance. */
function bound(found: plugin.Plugin<unknown>): plugin.Plugin<unknown> {
  const { name, description, timeoutMs, options } = found;
  const hooks = Object.fromEntries(HOOKS.flatMap((hook) => (found[hook] ? [[hook, found[hook].bind(found)]] : [])));
  return Object.fromEntries(
    Object.entries({ name, description, timeoutMs, options, ...hooks }).filter(([, value]) => value !== undefined),
  ) as unknown as plugin.Plugin<unknown>;
}

/** Zod drops unknown properties in silence; a mistyped option should be told. */
function strict(options: z.ZodType): z.ZodType {
  return options instanceof z.ZodObject && options.def.catchall === undefined ? options.strict() : options;
}

function runBatch(uses: UseText[], calls: CallText[]): void {
  let flushedAt = clock();
  for (const call of calls) {
    if (Atomics.load(shared, RETIRED) === 1) break;
    Atomics.store(shared, CURRENT, call.id);
    begin(call, uses[call.use] as UseText);
    Atomics.store(shared, CURRENT, 0);
    if (answers.length > 0 && clock() - flushedAt > FLUSH_MS) {
      flush(false);
      flushedAt = clock();
    }
  }
  flush(true);
}

/** Runs a call up to its end, or to the hook's first real wait; then its answer follows later. */
function begin({ id, task }: CallText, use: UseText): void {
  const run = task.hook === "check" ? () => optionFaults(use) : () => runTask(task, chainOf(use));
  let waiting = true;
  const settle = (answer: Answer) => {
    answers.push(answer);
    if (!waiting) later();
  };
  try {
    const value = run();
    if (!isPromise(value)) settle({ call: id, value });
    else {
      // Most hooks never wait: their promise is settled already, and its value is had without a turn of the queue.
      if (Bun.peek.status(value) === "fulfilled") settle({ call: id, value: Bun.peek(value) as Value });
      else
        value.then(
          (value) => settle({ call: id, value }),
          (error) => settle({ call: id, fault: describeWithPlace(error) }),
        );
    }
  } catch (error) {
    settle({ call: id, fault: describeWithPlace(error) });
  }
  waiting = false;
}

function runTask(task: Exclude<CallText["task"], { hook: "check" }>, chain: Chain): Promise<Value> {
  if (task.hook === "transform") return transform(chain, task.input);
  return task.hook === "parse" ? parse(chain, task.input) : sign(chain, task.input);
}

/** @throws HookError when a plugin is gone or its options are not acceptable */
function chainOf(use: UseText): Chain {
  const key = `${use.names.join()} ${use.about} ${use.options}`;
  let chain = chains.get(key);
  if (chain === undefined) {
    if (chains.size >= MOST_CHAINS) chains.clear();
    chain = makeChain(use);
    chains.set(key, chain);
  }
  if (chain instanceof HookError) throw chain;
  return chain;
}

function makeChain(use: UseText): Chain | HookError {
  const all: unknown = JSON.parse(use.options);
  const links: { plugin: LivePlugin; options: unknown }[] = [];
  for (const name of use.names) {
    const found = live.get(name);
    if (!found) return new HookError(`there is no plugin "${name}": put it back, or choose another`);
    const options = optionsOf(use.names, all, name);
    const read = found.options?.safeParse(options);
    if (read?.error) {
      const [issue] = read.error.issues;
      const place = issue?.path.join(".") || "they";
      return new HookError(`the options of the plugin "${name}" are not what it wants: ${place}: ${issue?.message}`);
    }
    links.push({ plugin: found, options: read ? read.data : options });
  }
  const plugins = JSON.stringify(links.map(({ plugin: { name, version } }) => ({ name, version })));
  return { links, about: use.about, plugins };
}

function optionFaults(use: UseText): OptionFault[] {
  const all: unknown = JSON.parse(use.options);
  return use.names.flatMap((name) => {
    const issues = live.get(name)?.options?.safeParse(optionsOf(use.names, all, name)).error?.issues ?? [];
    const base = use.names.length === 1 ? [] : [name];
    return issues.flatMap((issue) => {
      const path = [...base, ...issue.path].map((part) => (typeof part === "number" ? part : String(part)));
      if (issue.code !== "unrecognized_keys") return [{ path, message: issue.message }];
      return issue.keys.map((key) => ({ path: [...path, key], message: `the plugin "${name}" knows no such option` }));
    });
  });
}

let willFlush = false;

function later(): void {
  if (willFlush) return;
  willFlush = true;
  queueMicrotask(() => {
    willFlush = false;
    if (answers.length > 0) flush(false);
  });
}

function flush(free: boolean): void {
  post({ kind: "answers", answers, free });
  answers = [];
}

function shown(words: readonly unknown[]): string {
  return words.map((word) => (typeof word === "string" ? word : Bun.inspect(word))).join(" ");
}

let lines = { second: 0, count: 0 };

/** Plugins' own lines go to the server's log; a flood of them does not. */
function say(level: "info" | "warn", text: string): void {
  const second = Math.floor(clock() / 1_000);
  lines = lines.second === second ? { second, count: lines.count + 1 } : { second, count: 1 };
  if (lines.count <= MOST_LINES) post({ kind: "says", level, text: text.slice(0, 2_000) });
}
