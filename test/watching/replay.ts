import { type Json, parseJson, stringifyJson } from "../../src/platform/json.ts";
import { type CompiledWatch, compileWatch } from "../../src/watching/compile.ts";
import { type EventDraft, judge, type Verdict } from "../../src/watching/judge.ts";
import type { StateChange, StateRow } from "../../src/watching/state.ts";
import { watchInput } from "../../src/watching/watch.ts";

/** A compiled watch; what is not given is the least that a watch needs. */
export function watchOf(partial: object): CompiledWatch {
  return compileWatch(
    watchInput.parse({
      name: "w",
      request: { url: "https://source.example/x" },
      schedule: { every: "30s" },
      ...partial,
    }),
  );
}

/** The state after a verdict, through JSON text as the database keeps it. */
export function apply(state: ReadonlyMap<string, StateRow>, change: StateChange): Map<string, StateRow> {
  const next = new Map(state);
  for (const key of change.deletes) next.delete(key);
  for (const row of change.upserts) next.set(row.key, parseJson(stringifyJson(row)) as unknown as StateRow);
  return next;
}

/** A watch that polls documents one after the other; a held or failed poll leaves its state alone, as in production. */
export class Replay {
  state: Map<string, StateRow> = new Map();
  watch: CompiledWatch;

  constructor(partial: object) {
    this.watch = watchOf(partial);
  }

  poll(document: Json, more: { pages?: Json[]; complete?: boolean } = {}): Verdict {
    const verdict = judge({
      watch: this.watch,
      state: this.state,
      document,
      morePages: more.pages ?? [],
      complete: more.complete ?? true,
      hash: (canonical) => `h${canonical.length}.${Bun.hash(canonical)}`,
    });
    if (verdict.outcome !== "held" && verdict.outcome !== "failed") this.state = apply(this.state, verdict.state);
    return verdict;
  }
}

/** A verdict in one line: `unchanged`, or what is stated, `status changed "a" -> "b"; i 7 removed`. */
export function tell({ outcome, events }: Verdict): string {
  const told = events.map(tellEvent).join("; ");
  if (outcome === "changed") return told;
  return told === "" ? outcome : `${outcome}: ${told}`;
}

function tellEvent({ changes, item, items }: EventDraft): string {
  const fields = changes.map(({ field, kind, item: key, ...sides }) => {
    const side = (name: "previous" | "current") => (name in sides ? stringifyJson(sides[name]) : "-");
    return `${key === undefined ? "" : `${stringifyJson(key)}.`}${field} ${kind} ${side("previous")} -> ${side("current")}`;
  });
  if (items)
    return `together ${items.map(({ key, kind }) => `${kind} ${stringifyJson(key)}`).join(", ")} (${fields.join(", ")})`;
  if (!item) return fields.join(", ");
  return item.kind === "changed"
    ? `item ${stringifyJson(item.key)} (${fields.join(", ")})`
    : `${item.kind} ${stringifyJson(item.key)}`;
}
