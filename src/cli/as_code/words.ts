import type { Step } from "./plan.ts";

const SIGNS = { create: "+", update: "~", delete: "-" } as const;

/** One step as a line, such as `~ endpoint Billing: url, retry`. */
export function lineOf(step: Step): string {
  const line = `${SIGNS[step.action]} ${named(step)}`;
  if (step.action !== "update") return line;
  const note = step.note === null ? "" : ` (${step.note})`;
  return `${line}: ${step.properties.join(", ")}${note}`;
}

/** The same for programs. */
export function entryOf(step: Step) {
  const { action, kind, name } = step;
  if (action !== "update") return { action, kind, name };
  return { action, kind, name, properties: step.properties, note: step.note };
}

/** A name may hold what a terminal would obey. */
export function named({ kind, name }: Pick<Step, "kind" | "name">): string {
  return `${kind} ${/\p{C}/u.test(name) ? JSON.stringify(name) : name}`;
}

export function doneWords(done: readonly Step[], unchanged: number): string {
  const count = (action: Step["action"]) => done.filter((step) => step.action === action).length;
  const counts = [
    [count("create"), "created"],
    [count("update"), "changed"],
    [count("delete"), "deleted"],
  ].filter(([number]) => number !== 0);
  const lines = unchanged > 0 ? [`= ${unchanged} unchanged`] : [];
  const last = counts.length === 0 ? "Nothing to change." : `Done: ${counts.map((pair) => pair.join(" ")).join(", ")}.`;
  return [...lines, last].join("\n");
}
