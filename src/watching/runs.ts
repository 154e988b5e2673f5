import type { Publish } from "../delivering/publish.ts";
import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import { AppError } from "../platform/errors.ts";
import { publicId, uuidTime } from "../platform/ids.ts";
import { type Json, type JsonObject, parseJson } from "../platform/json.ts";
import type { Witness } from "../platform/witness.ts";
import { type Backtest, type BacktestInput, createBacktest } from "./backtest.ts";
import type { Chunks } from "./chunk.ts";
import { keyOfRow } from "./collect.ts";
import type { NotPolled, PollEnd } from "./conclude.ts";
import type { Held } from "./finding.ts";
import { eventsOf } from "./record.ts";
import { lastUnchanged } from "./record_store.ts";
import { type ShownPoll, showEnd, showPoll } from "./shown.ts";
import { readState, writeRow } from "./state_text.ts";
import { claimNow } from "./store.ts";
import { readDefinition } from "./stored_watch.ts";
import type { WatchInput } from "./watch.ts";
import { watchNotFound, watchUuid } from "./watches.ts";
import * as store from "./watches_store.ts";

/** What is known of a field or an item; `missing` counts the polls for which it has been gone. */
export type ShownValue = { value?: Json; missing: boolean; stated?: Json; missing_polls: number };

export type ShownState = {
  fields: Record<string, ShownValue>;
  /** The first 1,000 of `items_total`, in the order in which they came. */
  items: (ShownValue & { key: Json })[];
  items_total: number;
};

/** A held poll that was confirmed or discarded, by its watch. */
export type SettledPoll = { id: string; events: number };

/** What people do with the polls of a watch. */
export type Runs = {
  /** Polls now, as the schedule would, and answers the poll. @throws AppError (409) while one is running. */
  pollNow(id: string, signal: AbortSignal): Promise<ShownPoll>;
  polls(
    id: string,
    page: { cursor: string | null; limit: number },
  ): Promise<{ rows: store.PollRow[]; show(row: store.PollRow): ShownPoll }>;
  state(id: string): Promise<ShownState>;
  /** States what a held poll found, and takes its values as the reference. @returns how many events */
  confirmHeld(id: string, witness?: Witness<SettledPoll>): Promise<{ events: number }>;
  /** Takes the values of a held poll as the reference and states nothing. */
  discardHeld(id: string, witness?: Witness<SettledPoll>): Promise<void>;
  /** The events that the kept bodies would have given. `accept` reads the watch as it would be, or throws. */
  backtest(id: string, change: BacktestInput, accept: (merged: unknown) => WatchInput): Promise<Backtest>;
};

const MOST_ITEMS = 1_000;

export function createRuns(deps: {
  database: Database;
  clock: Clock;
  publish: Publish;
  chunks: Chunks;
  leaseMs: number;
}): Runs {
  const { clock, publish, chunks } = deps;
  const { sql } = deps.database;

  async function settleHeld(
    id: string,
    isConfirmed: boolean,
    witness?: Witness<SettledPoll>,
  ): Promise<{ events: number }> {
    const watchId = watchUuid(id);
    return sql.begin(async (tx) => {
      const row = await store.lockHeld(tx, watchId);
      if (!row) throw watchNotFound(id);
      if (row.held === null) {
        throw new AppError(
          "conflict",
          "No poll of this watch is held: it was settled already, or a later poll has overtaken it.",
        );
      }
      const held = parseJson(row.held) as unknown as Held;
      const { event_type, endpoint_ids } = readDefinition(row.definition);
      const before = await lastUnchanged(tx, [{ watchId, since: row.lastSuccessAt ?? 0, before: held.poll_id }]);
      const last = before.get(watchId);
      const events = eventsOf({
        watch: { id: watchId, name: row.name, eventType: event_type, endpointIds: endpoint_ids },
        drafts: isConfirmed ? held.drafts : [],
        sequence: row.sequence,
        window: { afterMs: last === undefined ? row.lastSuccessAt : uuidTime(last), untilMs: uuidTime(held.poll_id) },
      });
      const upserts = held.state.upserts.map((each) => ({ key: each.key, value: writeRow(each) }));
      const sequence = row.sequence + events.length;
      await store.applyHeld(tx, { watchId, sequence, upserts, deletes: [...held.state.deletes] });
      await publish(tx, events);
      await witness?.(tx, { id: publicId("watch", watchId), events: events.length });
      return { events: events.length };
    }) as Promise<{ events: number }>;
  }

  return {
    async pollNow(id, signal) {
      const watchId = watchUuid(id);
      const job = clock.uuid();
      const claimed = await claimNow(sql, { id: watchId, job, leaseMs: deps.leaseMs });
      if (claimed === null) throw watchNotFound(id);
      if (claimed === "busy") throw running();
      const end = await chunks.pollOne({ id: watchId, job, signal });
      if (end === null) throw watchNotFound(id);
      if (isEnd(end)) return showEnd(end);
      throw refusal(end, clock.now());
    },

    async polls(id, page) {
      const watchId = watchUuid(id);
      if (!(await store.findWatch(sql, watchId))) throw watchNotFound(id);
      const rows = await store.listPolls(sql, { watchId, cursor: page.cursor, limit: page.limit + 1 });
      return { rows, show: showPoll };
    },

    async state(id) {
      const watchId = watchUuid(id);
      if (!(await store.findWatch(sql, watchId))) throw watchNotFound(id);
      const fields = await store.listState(sql, { watchId, prefix: "f:", limit: MOST_ITEMS });
      const items = await store.listState(sql, { watchId, prefix: "i:", limit: MOST_ITEMS });
      const total = items.length < MOST_ITEMS ? items.length : await store.countItems(sql, watchId);
      return {
        fields: Object.fromEntries(fields.map(({ key, value }) => [key.slice(2), showValue(key, value)])),
        items: items.map(({ key, value }) => ({ key: keyOfRow(key), ...showValue(key, value) })),
        items_total: total,
      };
    },

    confirmHeld: (id, witness) => settleHeld(id, true, witness),
    async discardHeld(id, witness) {
      await settleHeld(id, false, witness);
    },

    backtest: createBacktest({ sql, clock }),
  };
}

function showValue(key: string, text: string): ShownValue {
  const row = readState(`{${JSON.stringify(key)}:${text}}`).get(key);
  if (!row) throw new TypeError("a row of state that cannot be read");
  const shown: ShownValue = { missing: !("v" in row.seen), missing_polls: row.missing };
  if ("v" in row.seen) shown.value = row.seen.v;
  if (row.stated && "v" in row.stated) shown.stated = row.stated.v as JsonObject;
  return shown;
}

function isEnd(end: PollEnd | NotPolled): end is PollEnd {
  return "outcome" in end;
}

function running(): AppError {
  return new AppError(
    "conflict",
    "A poll of this watch is running; its result will be the newest of GET /v1/watches/:id/polls.",
  );
}

function refusal({ why, retryAt }: NotPolled, now: number): AppError {
  if (why === "overtaken") return running();
  if (why === "stopped")
    return new AppError("unavailable", "The server is shutting down; try again.", { retryAfterSeconds: 5 });
  const retryAfterSeconds = Math.max(1, Math.ceil((retryAt - now) / 1_000));
  const when = new Date(retryAt).toISOString();
  return new AppError(
    "throttled",
    `The watch's host cannot be asked now (its limits, or a wait that it asked for); it is polled at ${when}.`,
    { retryAfterSeconds },
  );
}
