import { equalJson, type Json, type JsonObject, setMember } from "../platform/json.ts";
import { collectItems, keyOfRow } from "./collect.ts";
import type { FieldPlan, ItemsPlan } from "./compile.ts";
import { type Change, writeChange } from "./diff.ts";
import { ExtractFault, readField } from "./extract.ts";
import { type Compared, sameKnown, statable, statedAfter } from "./fields.ts";
import type { Poll } from "./reading.ts";
import { ITEMS_KEY, membersOf, reference, type StateRow, type StoredValue, type WatchState } from "./state.ts";

/** What became of an item, as it is sent; `previous` and `current` are its fields by name. */
export type ItemChange = {
  key: Json;
  kind: "added" | "changed" | "removed";
  previous?: JsonObject;
  current?: JsonObject;
};

/** An item's change together with the changes of its fields. */
export type ItemDraft = { item: ItemChange; changes: Change[] };

export type ItemsVerdict = {
  /** Why the poll fails; nothing else counts then. */
  fault: string | null;
  drafts: readonly ItemDraft[];
  upserts: readonly StateRow[];
  deletes: readonly string[];
  /** Items found removed, and items known before: what the mass guard weighs. */
  removed: number;
  known: number;
  faults: readonly string[];
  notes: readonly string[];
  moved: boolean;
};

/** Compares a collection with its rows, item by item. Order does not matter; unchanged items leave nothing behind. */
export function judgeItems(poll: Poll, plan: ItemsPlan): ItemsVerdict {
  const items = collectItems(plan, [poll.document, ...(poll.morePages ?? [])]);
  if (typeof items === "string") return { ...NOTHING, fault: items };
  const meta = poll.state?.get(ITEMS_KEY);
  const hasReference = meta !== undefined && meta.config === plan.config;
  if (!hasReference && !poll.complete && !plan.window) return { ...NOTHING, fault: INCOMPLETE };
  const judge = new ItemsJudge(poll, plan, items);
  return hasReference ? judge.compare(membersOf(meta.seen)) : judge.takeReference(meta !== undefined);
}

const NOTHING: ItemsVerdict = {
  fault: null,
  drafts: [],
  upserts: [],
  deletes: [],
  removed: 0,
  known: 0,
  faults: [],
  notes: [],
  moved: false,
};

const INCOMPLETE =
  'the first walk did not reach the last page, so there is no reference to compare with: raise "max_pages", or set "window" for a list of the latest';

/** A window forgets items only beyond this, since one that leaves may come back when a newer one is deleted. */
const LEAST_REMEMBERED = 1_000;

class ItemsJudge {
  readonly #poll: Poll;
  readonly #plan: ItemsPlan;
  readonly #items: ReadonlyMap<string, Json>;
  readonly #state: WatchState;
  readonly #drafts: ItemDraft[] = [];
  readonly #upserts: StateRow[] = [];
  readonly #deletes: string[] = [];
  readonly #faults = new Set<string>();
  readonly #notes: string[] = [];
  #kept = 0;
  #removed = 0;
  #known = 0;
  #moved = false;

  constructor(poll: Poll, plan: ItemsPlan, items: ReadonlyMap<string, Json>) {
    this.#poll = poll;
    this.#plan = plan;
    this.#items = items;
    this.#state = poll.state ?? new Map();
  }

  /** Takes every item as it is: silently, or with `emit_initial` as added. */
  takeReference(hadOne: boolean): ItemsVerdict {
    const tell = this.#poll.watch.emitInitial && this.#state.size === 0;
    for (const [key, item] of this.#items) {
      const current = this.#readAll(item);
      this.#upserts.push(reference(key, { v: current }, ""));
      if (tell) this.#drafts.push(this.#whole(key, "added", current));
    }
    for (const key of this.#state.keys()) if (key.startsWith("i:") && !this.#items.has(key)) this.#deletes.push(key);
    this.#recordConfig();
    if (hadOne) this.#notes.push("items: new reference taken, since their path, their key or the request was changed");
    else if (this.#state.size > 0) this.#notes.push("items: first reference taken");
    return this.#verdict();
  }

  /** `configs` are the fingerprints of the fields when their values were recorded. */
  compare(configs: JsonObject): ItemsVerdict {
    const { fields } = this.#plan;
    const retaken = new Set(fields.filter(({ name, config }) => configs[name] !== config).map(({ name }) => name));
    const sameFields = retaken.size === 0 && Object.keys(configs).length === fields.length;
    if (!sameFields) this.#recordConfig();
    if (retaken.size > 0) this.#notes.push(`items: new reference taken for ${quoted([...retaken])}`);
    let found = 0;
    for (const [key, item] of this.#items) {
      const row = this.#state.get(key);
      if (row === undefined) this.#add(key, item);
      else if (++found && !(sameFields && this.#isQuiet(row, item))) this.#change(row, item, retaken);
    }
    const isAll = this.#state.size === found + this.#poll.watch.fields.length + 1;
    if (!isAll) this.#visitRest();
    if (this.#kept > 0) this.#notes.push(this.#keptBack());
    return this.#verdict();
  }

  /** Most items are as they were: this looks, and allocates nothing. */
  #isQuiet(row: StateRow, item: Json): boolean {
    if (row.stated !== null || row.missing !== 0 || !("v" in row.seen) || row.seen.gaps) return false;
    const seen = row.seen.v as JsonObject;
    for (const field of this.#plan.fields) {
      const current = readField(field, item, this.#poll.hash);
      if (current instanceof ExtractFault || !sameKnown(memberOf(seen, field.name), current)) return false;
    }
    return true;
  }

  #add(key: string, item: Json): void {
    const current = this.#readAll(item);
    this.#moved = true;
    // Held back or not, its first values are what drift is measured from.
    this.#upserts.push(reference(key, { v: current }, ""));
    const compared = this.#plan.fields.map((field) => ({
      ...{ field, seen: undefined, stated: undefined, read: true },
      current: memberOf(current, field.name),
    }));
    this.#tell(this.#whole(key, "added", current), statable(compared, this.#plan.conditions).changes.length > 0);
  }

  #change(row: StateRow, item: Json, retaken: ReadonlySet<string>): void {
    const gaps: { [field: string]: number } = {};
    const compared = this.#plan.fields.map((field) => this.#compareMember(field, row, item, retaken, gaps));
    const { changes, kept } = statable(compared, this.#plan.conditions);
    if (compared.some(({ seen, current }) => !sameKnown(seen, current))) this.#moved = true;
    if (kept.length > 0) this.#kept++;
    if (changes.length > 0) {
      const previous = objectOf(compared, ({ field, seen, stated }) => (field.againstStated ? stated : seen));
      const current = objectOf(compared, (each) => each.current);
      this.#drafts.push({ item: { key: keyOfRow(row.key), kind: "changed", previous, current }, changes });
    }
    this.#advance(row, compared, changes, gaps);
  }

  #compareMember(
    field: FieldPlan,
    row: StateRow,
    item: Json,
    retaken: ReadonlySet<string>,
    gaps: { [field: string]: number },
  ): Compared {
    const found = readField(field, item, this.#poll.hash);
    if (found instanceof ExtractFault) this.#faults.add(found.message);
    if (retaken.has(field.name)) {
      const current = found instanceof ExtractFault ? undefined : found;
      return { field, seen: current, stated: current, current, read: false };
    }
    const seen = memberOf(membersOf(row.seen), field.name);
    const stated = row.stated === null ? seen : memberOf(membersOf(row.stated), field.name);
    const gap = found === undefined && seen !== undefined ? gapOf(row.seen, field.name) + 1 : 0;
    const awaited = gap > 0 && gap < field.missingAfter;
    if (awaited) gaps[field.name] = gap;
    const read = !awaited && !(found instanceof ExtractFault);
    return { field, seen, stated, current: read ? found : seen, read };
  }

  #advance(row: StateRow, compared: Compared[], told: readonly Change[], gaps: { [field: string]: number }): void {
    const v = objectOf(compared, ({ current }) => current);
    const stated = objectOf(compared, (each) => (each.read ? statedAfter(each, told) : each.stated));
    const seen: StoredValue = Object.keys(gaps).length > 0 ? { v, gaps } : { v };
    const next = { ...reference(row.key, seen, ""), stated: sameKnown(stated, v) ? null : { v: stated } };
    if (row.missing !== 0 || !sameStored(row.seen, seen) || !sameStored(row.stated, next.stated))
      this.#upserts.push(next);
  }

  /** Rows whose item was not found, and rows of fields that the watch no longer has. */
  #visitRest(): void {
    const names = new Set(this.#poll.watch.fields.map(({ rowKey }) => rowKey));
    const gone: StateRow[] = [];
    for (const [key, row] of this.#state) {
      if (key.startsWith("i:")) this.#known++;
      if (key.startsWith("f:") && !names.has(key)) this.#deletes.push(key);
      if (key.startsWith("i:") && !this.#items.has(key)) gone.push(row);
    }
    if (this.#plan.window) this.#forget(gone);
    else if (this.#poll.complete) for (const row of gone) this.#miss(row);
  }

  #miss(row: StateRow): void {
    if (row.missing + 1 < this.#plan.removedAfter) {
      this.#upserts.push({ ...row, missing: row.missing + 1 });
      return;
    }
    const previous = membersOf(row.seen);
    this.#removed++;
    this.#moved = true;
    this.#deletes.push(row.key);
    const compared = this.#plan.fields.map((field) => ({
      ...{ field, current: undefined, read: true },
      seen: memberOf(previous, field.name),
      stated: memberOf(membersOf(row.stated ?? row.seen), field.name),
    }));
    this.#tell(this.#whole(row.key, "removed", previous), statable(compared, this.#plan.conditions).changes.length > 0);
  }

  /** Rows come oldest first. */
  #forget(gone: readonly StateRow[]): void {
    const surplus = gone.length - Math.max(LEAST_REMEMBERED, 10 * this.#items.size);
    for (const row of gone.slice(0, Math.max(0, surplus))) this.#deletes.push(row.key);
  }

  #tell(draft: ItemDraft, holds: boolean): void {
    if (holds) this.#drafts.push(draft);
    else this.#kept++;
  }

  #readAll(item: Json): JsonObject {
    const values: JsonObject = {};
    for (const field of this.#plan.fields) {
      const found = readField(field, item, this.#poll.hash);
      if (found instanceof ExtractFault) this.#faults.add(found.message);
      else if (found !== undefined) setMember(values, field.name, found);
    }
    return values;
  }

  /** An item that came or went, with all its fields. */
  #whole(rowKey: string, kind: "added" | "removed", values: JsonObject): ItemDraft {
    const isAdded = kind === "added";
    const present = this.#plan.fields.filter(({ name }) => Object.hasOwn(values, name));
    return {
      item: { key: keyOfRow(rowKey), kind, ...(isAdded ? { current: values } : { previous: values }) },
      changes: present.map((field) => {
        const value = memberOf(values, field.name);
        return writeChange(field, kind, isAdded ? undefined : value, isAdded ? value : undefined);
      }),
    };
  }

  #recordConfig(): void {
    this.#upserts.push(reference(ITEMS_KEY, { v: { ...this.#plan.fieldConfigs } }, this.#plan.config));
  }

  #keptBack(): string {
    const count = this.#kept === 1 ? "1 item" : `${this.#kept} items`;
    return `items: ${count} changed, kept back by the conditions: ${this.#plan.conditions.map(({ text }) => text).join(", ")}`;
  }

  #verdict(): ItemsVerdict {
    return {
      fault: null,
      drafts: this.#drafts,
      upserts: this.#upserts,
      deletes: this.#deletes,
      removed: this.#removed,
      known: this.#known,
      faults: [...this.#faults],
      notes: this.#notes,
      moved: this.#moved,
    };
  }
}

function memberOf(object: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

function objectOf(compared: readonly Compared[], pick: (each: Compared) => Json | undefined): JsonObject {
  const object: JsonObject = {};
  for (const each of compared) {
    const value = pick(each);
    if (value !== undefined) setMember(object, each.field.name, value);
  }
  return object;
}

function gapOf(stored: StoredValue, name: string): number {
  return "v" in stored ? (stored.gaps?.[name] ?? 0) : 0;
}

function sameStored(a: StoredValue | null, b: StoredValue | null): boolean {
  return a === null || b === null ? a === b : equalJson(a as Json, b as Json);
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(", ");
}
