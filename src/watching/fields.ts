import { equalJson } from "../platform/json.ts";
import type { CompiledWatch, FieldPlan } from "./compile.ts";
import { allHold, type Condition, type Known, numberIn } from "./conditions.ts";
import { type Change, changeOf, writeChange } from "./diff.ts";
import { ExtractFault, readField } from "./extract.ts";
import type { Poll } from "./reading.ts";
import { known, reference, type StateRow, store } from "./state.ts";

/** The three values of a field that conditions and diff look at. One that was not `read` keeps what was seen as current. */
export type Compared = { field: FieldPlan; seen: Known; stated: Known; current: Known; read: boolean };

export type FieldsVerdict = {
  /** What to state, the conditions having held. */
  changes: readonly Change[];
  upserts: readonly StateRow[];
  deletes: readonly string[];
  faults: readonly string[];
  notes: readonly string[];
  /** Something differs from what was last seen. */
  moved: boolean;
};

/** Compares the fields of a reply with their rows. */
export function judgeFields(poll: Poll): FieldsVerdict {
  return isQuiet(poll) ? QUIET : new FieldsJudge(poll).verdict();
}

/** The changes of a set of fields, kept back unless all conditions hold for them. */
export function statable(
  compared: readonly Compared[],
  conditions: readonly Condition[],
): { changes: Change[]; kept: Change[] } {
  const changes: Change[] = [];
  for (const { field, seen, stated, current, read } of compared) {
    const change = read ? changeOf(field, field.againstStated ? stated : seen, current) : null;
    if (change) changes.push(change);
  }
  if (changes.length === 0) return { changes, kept: changes };
  const holds = allHold(conditions, (name) => compared.find(({ field }) => field.name === name) ?? null);
  return holds ? { changes, kept: [] } : { changes: [], kept: changes };
}

/**
 * What counts as stated from now on. Only what an event tells advances it, with one exception: a number that appears where
 * none was stated becomes the reference, else its drift could never be measured.
 */
export function statedAfter({ field, stated, current }: Compared, told: readonly Change[]): Known {
  if (told.some((change) => change.field === field.name)) return current;
  return numberIn(stated) === null && numberIn(current) !== null ? current : stated;
}

export function sameKnown(a: Known, b: Known): boolean {
  return a === b || (a !== undefined && b !== undefined && equalJson(a, b));
}

const QUIET: FieldsVerdict = { changes: [], upserts: [], deletes: [], faults: [], notes: [], moved: false };

/** Most polls find every field as it was seen and stated: this looks, and allocates nothing. */
function isQuiet({ watch, state, document, hash }: Poll): boolean {
  if (!watch.items && state?.size !== watch.fields.length) return false;
  for (const field of watch.fields) {
    const row = state?.get(field.rowKey);
    if (row === undefined || row.stated !== null || row.missing !== 0 || row.config !== field.config) return false;
    const current = readField(field, document, hash);
    if (current instanceof ExtractFault || !sameKnown(known(row.seen), current)) return false;
  }
  return true;
}

class FieldsJudge {
  readonly #poll: Poll;
  readonly #isFirst: boolean;
  readonly #compared: Compared[] = [];
  readonly #initial: Change[] = [];
  readonly #upserts: StateRow[] = [];
  readonly #faults: string[] = [];
  readonly #notes: string[] = [];

  constructor(poll: Poll) {
    this.#poll = poll;
    this.#isFirst = poll.state === null || poll.state.size === 0;
  }

  verdict(): FieldsVerdict {
    const { watch } = this.#poll;
    for (const field of watch.fields) this.#compare(field);
    const { changes, kept } = statable(this.#compared, watch.conditions);
    for (const compared of this.#compared) this.#advance(compared, changes);
    if (kept.length > 0) this.#notes.push(keptBack(kept, watch));
    return {
      changes: this.#initial.length > 0 ? this.#initial : changes,
      upserts: this.#upserts,
      deletes: watch.items ? [] : this.#strays(),
      faults: this.#faults,
      notes: this.#notes,
      moved: this.#compared.some(({ seen, current }) => !sameKnown(seen, current)),
    };
  }

  #compare(field: FieldPlan): void {
    const { state, document, hash } = this.#poll;
    const row = state?.get(field.rowKey);
    const found = readField(field, document, hash);
    if (found instanceof ExtractFault) this.#faults.push(found.message);
    if (row === undefined || row.config !== field.config) {
      if (!(found instanceof ExtractFault)) this.#takeReference(field, found, row !== undefined);
      return;
    }
    const seen = known(row.seen);
    const stated = row.stated === null ? seen : known(row.stated);
    const awaited = found === undefined && seen !== undefined && row.missing + 1 < field.missingAfter;
    if (awaited) {
      this.#upserts.push({ ...row, missing: row.missing + 1 });
      this.#notes.push(
        `field "${field.name}" is missing: ${row.missing + 1} of ${field.missingAfter} polls until that counts`,
      );
    }
    const read = !awaited && !(found instanceof ExtractFault);
    this.#compared.push({ field, seen, stated, current: read ? found : seen, read });
  }

  #takeReference(field: FieldPlan, value: Known, hadOne: boolean): void {
    this.#upserts.push(reference(field.rowKey, store(value), field.config));
    this.#compared.push({ field, seen: value, stated: value, current: value, read: false });
    if (hadOne)
      this.#notes.push(`field "${field.name}": new reference taken, since its path or the request was changed`);
    else if (!this.#isFirst) this.#notes.push(`field "${field.name}": first reference taken`);
    else if (this.#poll.watch.emitInitial && value !== undefined) {
      this.#initial.push(writeChange(field, "appeared", undefined, value));
    }
  }

  /** Rows of what the watch no longer has; one with items looks for them there. */
  #strays(): string[] {
    const { watch, state } = this.#poll;
    const names = new Set(watch.fields.map(({ rowKey }) => rowKey));
    return [...(state?.keys() ?? [])].filter((key) => !names.has(key));
  }

  #advance(compared: Compared, told: readonly Change[]): void {
    const { field, seen, current, stated: before } = compared;
    const row = this.#poll.state?.get(field.rowKey);
    if (row === undefined || !compared.read) return;
    const stated = statedAfter(compared, told);
    const isStated = sameKnown(stated, current);
    if (
      sameKnown(seen, current) &&
      row.missing === 0 &&
      sameKnown(stated, before) &&
      isStated === (row.stated === null)
    )
      return;
    this.#upserts.push({ ...reference(row.key, store(current), row.config), stated: isStated ? null : store(stated) });
  }
}

function keptBack(kept: readonly Change[], watch: CompiledWatch): string {
  const names = kept.map(({ field }) => `"${field}"`).join(", ");
  return `${names} changed, kept back by the conditions: ${watch.conditions.map(({ text }) => text).join(", ")}`;
}
