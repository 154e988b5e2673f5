import type { Change } from "./diff.ts";
import { type FieldsVerdict, judgeFields } from "./fields.ts";
import { type ItemChange, type ItemsVerdict, judgeItems } from "./items.ts";
import type { Poll } from "./reading.ts";
import type { StateChange } from "./state.ts";

/** An event to state; `eventData` makes its payload. */
export type EventDraft = {
  changes: readonly Change[];
  /** `events: "each"`: the one item that it is about. */
  item?: ItemChange;
  /** `events: "together"`: all items that it is about; each change then names its item. */
  items?: readonly ItemChange[];
};

export type Verdict = {
  outcome: "baseline" | "unchanged" | "changed" | "held" | "failed";
  /** What to state; of a held poll, what a person may confirm. */
  events: readonly EventDraft[];
  /** What to record; of a held poll, only once it is confirmed or discarded. A failed one has nothing. */
  state: StateChange;
  /** Differences stated (or held): changes of fields, and items that came, went or changed. */
  changes: number;
  /** Something differs from what was last seen, stated or not: what an adaptive schedule learns from. */
  moved: boolean;
  /** What failed or is held, and what to do. */
  problem: string | null;
  /** For the poll log: new references taken, changes that the conditions kept back. */
  notes: readonly string[];
};

/** More stated by one poll looks like a fault of the source, and is held until a person says otherwise. */
const MAX_STATED = 1_000;

/** Compares one reply with what is known, and decides what to state and what to record. Pure; the state is not altered. */
export function judge(poll: Poll): Verdict {
  const { watch } = poll;
  const fields = judgeFields(poll);
  const items = watch.items ? judgeItems(poll, watch.items) : null;
  if (items?.fault) return failed(items.fault);
  if (!items && fields.faults.length > 0 && fields.faults.length === watch.fields.length)
    return failed(fields.faults.join("; "));
  const events = [...fieldsEvent(fields), ...(items ? itemsEvents(items, watch.items?.together === true) : [])];
  const upserts = items ? [...fields.upserts, ...items.upserts] : fields.upserts;
  const deletes = items ? [...fields.deletes, ...items.deletes] : fields.deletes;
  const faults = items ? [...fields.faults, ...items.faults] : fields.faults;
  const notes = items ? [...fields.notes, ...items.notes] : fields.notes;
  if (events.length + upserts.length + deletes.length + faults.length + notes.length === 0) return UNCHANGED;

  const hold = items && watch.items?.guard ? reasonToHold(items) : null;
  const isFirst = poll.state === null || poll.state.size === 0;
  return {
    outcome: hold ? "held" : isFirst ? "baseline" : events.length > 0 ? "changed" : "unchanged",
    events,
    state: { upserts, deletes },
    changes: fields.changes.length + (items?.drafts.length ?? 0),
    moved: fields.moved || (items?.moved ?? false),
    problem: hold ?? (faults.length > 0 ? faults.join("; ") : null),
    notes,
  };
}

const UNCHANGED: Verdict = Object.freeze({
  outcome: "unchanged",
  events: [],
  state: { upserts: [], deletes: [] },
  changes: 0,
  moved: false,
  problem: null,
  notes: [],
});

function failed(problem: string): Verdict {
  return { ...UNCHANGED, outcome: "failed", problem };
}

function fieldsEvent({ changes }: FieldsVerdict): EventDraft[] {
  return changes.length > 0 ? [{ changes }] : [];
}

function itemsEvents({ drafts }: ItemsVerdict, together: boolean): readonly EventDraft[] {
  if (!together || drafts.length === 0) return drafts;
  const changes = drafts.flatMap(({ item, changes: own }) => own.map((change) => ({ ...change, item: item.key })));
  return [{ changes, items: drafts.map(({ item }) => item) }];
}

function reasonToHold({ removed, known, drafts }: ItemsVerdict): string | null {
  if (removed > known / 2) {
    return `${removed} of ${known} items are gone, more than half: confirm to state them as removed, or discard`;
  }
  if (drafts.length <= MAX_STATED) return null;
  return `${drafts.length} items changed at once, more than ${MAX_STATED}: confirm to state them all, or discard`;
}
