import type { Events } from "../../delivering/events.ts";
import { ExactNumber, parseJson, stringifyJson } from "../../platform/json.ts";

/** One stated change: values as JSON texts, null where there was none. */
export type StatedChange = { event: string; at: string; previous: string | null; current: string | null };
/** The last changes of one field, the newest first. `item` is the key of the element that it is in. */
export type FieldHistory = { field: string; item: string | null; changes: StatedChange[] };

/** So many events are looked at. */
const MOST_EVENTS = 20;
const MOST_FIELDS = 50;
const MOST_CHANGES = 5;

/** The last changes of each field, from the last events that a watch (a UUID) stated; what changed last comes first. */
export async function valueHistory(events: Pick<Events, "listStated">, watch: string): Promise<FieldHistory[]> {
  const histories = new Map<string, FieldHistory>();
  for (const { event, data } of await events.listStated(watch, MOST_EVENTS)) {
    for (const { field, item, ...change } of changesOf(event, data)) {
      const key = JSON.stringify([item, field]);
      const history = histories.get(key) ?? { field, item, changes: [] };
      if (histories.size < MOST_FIELDS) histories.set(key, history);
      if (history.changes.length < MOST_CHANGES) history.changes.push(change);
    }
  }
  return [...histories.values()];
}

/** What an event tells (CONTRACT, "What is sent"); an event of another shape tells nothing. */
function changesOf(event: { id: string; created_at: string | null }, text: string) {
  const data = membersOf(parseJson(text));
  const item = membersOf(data.item);
  const until = membersOf(data.window).until;
  const about = { event: event.id, at: typeof until === "string" ? until : (event.created_at ?? "") };
  const own = Array.isArray(data.changes) ? data.changes.map(membersOf) : [];
  return own.flatMap((change) => {
    if (typeof change.field !== "string") return [];
    const key = "item" in change ? change.item : item.key;
    return [
      {
        field: change.field,
        item: key === undefined ? null : typeof key === "string" ? key : stringifyJson(key),
        ...about,
        previous: "previous" in change ? stringifyJson(change.previous) : null,
        current: "current" in change ? stringifyJson(change.current) : null,
      },
    ];
  });
}

function membersOf(value: unknown): Record<string, unknown> {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject && !(value instanceof ExactNumber) ? (value as Record<string, unknown>) : {};
}
