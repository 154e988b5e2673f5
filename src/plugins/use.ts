import type { FieldFault } from "../platform/errors.ts";
import { nearest } from "../platform/nearest.ts";
import type { Hook, Loaded, OptionFault, UseText } from "./messages.ts";
import { optionsOf } from "./options.ts";

/** How an endpoint or watch uses plugins; kept by whoever keeps that, so that its texts are made once. */
export type Use = {
  names: readonly string[];
  /** Of one plugin its own, of several one member for each, by name. */
  options: unknown;
  /** What hooks are told: no secrets. `url` only of an endpoint. */
  about: { id: string; name: string; url?: string };
};

const texts = new WeakMap<Use, UseText>();

export function textOf(use: Use): UseText {
  let text = texts.get(use);
  if (!text) {
    text = { names: use.names, options: JSON.stringify(use.options ?? {}), about: JSON.stringify(use.about) };
    texts.set(use, text);
  }
  return text;
}

/** What is wrong with the choice itself, before the plugins are asked about their options. */
export function choiceFaults(
  names: readonly string[],
  options: unknown,
  hooks: readonly Hook[],
  known: ReadonlyMap<string, Loaded>,
): FieldFault[] {
  const at = (index: number) => (names.length === 1 ? "/plugin" : `/plugin/${index}`);
  const faults = names.flatMap((name, index) => {
    const message = names.indexOf(name) < index ? "stands in the list twice" : nameFault(name, hooks, known);
    return message === null ? [] : [{ pointer: at(index), message }];
  });
  if (names.length === 1 || typeof options !== "object" || options === null) return faults;
  for (const name of Object.keys(options)) {
    if (names.includes(name)) continue;
    const message =
      names.length === 0
        ? "options need a plugin"
        : `of several plugins, options stand under the name of each: ${names.join(", ")}`;
    faults.push({ pointer: pointerTo([name]), message });
  }
  for (const name of names) {
    const own = optionsOf(names, options, name);
    if (typeof own === "object" && own !== null && !Array.isArray(own)) continue;
    faults.push({ pointer: pointerTo([name]), message: "must be an object" });
  }
  return faults;
}

export function optionFaults(faults: readonly OptionFault[]): FieldFault[] {
  return faults.map(({ path, message }) => ({ pointer: pointerTo(path), message }));
}

function nameFault(name: string, hooks: readonly Hook[], known: ReadonlyMap<string, Loaded>): string | null {
  const plugin = known.get(name);
  if (!plugin) {
    const near = nearest(name, [...known.keys()]);
    return `no plugin "${name}" is loaded${near ? `; did you mean "${near}"?` : "; GET /v1/plugins lists all"}`;
  }
  if (hooks.some((hook) => plugin.hooks.includes(hook))) return null;
  return `the plugin "${name}" has no ${hooks.join(" or ")} hook`;
}

function pointerTo(path: readonly (string | number)[]): string {
  return ["/plugin_options", ...path.map((part) => String(part).replaceAll("~", "~0").replaceAll("/", "~1"))].join("/");
}
