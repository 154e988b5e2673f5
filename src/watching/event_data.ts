import type { Json, JsonObject } from "../platform/json.ts";
import type { EventDraft } from "./judge.ts";

/** What only the caller knows of an event. Times are RFC 3339. */
export type EventContext = {
  watch: { id: string; name: string };
  /** Counts the events of this watch, from 1. */
  sequence: number;
  /** The change happened between these two polls; `after` is null for a first one. */
  window: { after: string | null; until: string };
};

/** The `data` of a watch's event (CONTRACT, "What is sent"); write it with `stringifyJson`. */
export function eventData(draft: EventDraft, { watch, sequence, window }: EventContext): JsonObject {
  const data: JsonObject = {
    watch: { ...watch },
    sequence,
    window: { ...window },
    changes: draft.changes as unknown as Json[],
  };
  if (draft.item) data.item = draft.item as unknown as JsonObject;
  if (draft.items) data.items = draft.items as unknown as Json[];
  return data;
}
