import type { Clock } from "../platform/clock.ts";
import type { Database, SqlRunner } from "../platform/database.ts";
import { AppError } from "../platform/errors.ts";
import { parseId, publicId, uuidFloor } from "../platform/ids.ts";
import type { Witness } from "../platform/witness.ts";
import * as store from "./dead_letter_store.ts";
import { markBacklogs } from "./delivery_store.ts";
import { webhookId } from "./envelope.ts";
import { isoTime, type Page, type PageRequest, pageOfRows } from "./page.ts";

export type ShownLetter = ReturnType<typeof showLetter>;

/** The resource `/v1/dead-letters`. A dead letter goes by the id of its delivery (`dlv_…`). */
export type DeadLetters = {
  /** The ids in the filter are UUIDs. */
  list(filter: store.LetterFilter, page: PageRequest): Promise<Page<ShownLetter>>;
  /** `data` is the payload's JSON text, byte for byte. */
  get(id: string): Promise<{ letter: ShownLetter; data: string }>;
  /** Owes it again, with a fresh schedule. @returns the id of the delivery, a new one if the old one is too old */
  requeue(id: string, witness?: Witness): Promise<string>;
  /** The same by UUID; null when there is no such letter. */
  requeueIfKept(deliveryId: string, witness?: Witness): Promise<string | null>;
  /** The same for many, into their endpoints' backlogs, as part of an operation. @returns how many */
  requeueMany(tx: SqlRunner, deliveryIds: readonly string[], operationId: string): Promise<number>;
  /** It will never be sent; its delivery stays listed as dead. */
  discard(id: string, witness?: Witness): Promise<void>;
};

export function createDeadLetters(deps: {
  database: Database;
  clock: Clock;
  retainEventsMs: number;
  /** Something is due now that was not before. */
  wake(): void;
}): DeadLetters {
  const { sql } = deps.database;

  /** Younger than half of the retention: there is time enough for a whole schedule before the partition is dropped. */
  function inPlaceFrom(): string {
    return uuidFloor(deps.clock.now() - deps.retainEventsMs / 2);
  }

  async function find(id: string) {
    const uuid = parseId("delivery", id);
    const row = uuid === null ? undefined : await store.findLetter(sql, uuid);
    if (!row) throw letterNotFound(id);
    return row;
  }

  async function requeueIfKept(deliveryId: string, witness?: Witness): Promise<string | null> {
    const options = { park: false, inPlaceFrom: inPlaceFrom(), operationId: null };
    const [revived] = await sql.begin(async (tx) => {
      const rows = await store.requeueLetters(tx, [deliveryId], options);
      await markBacklogs(tx, rows);
      for (const { id } of rows) await witness?.(tx, { id: publicId("delivery", id) });
      return rows;
    });
    deps.wake();
    return revived?.id ?? null;
  }

  return {
    async list(filter, { cursor, limit }) {
      const rows = await store.listLetters(sql, filter, { cursor, limit: limit + 1 });
      return pageOfRows(rows, limit, showLetter);
    },

    async get(id) {
      const row = await find(id);
      return { letter: showLetter(row), data: row.data };
    },

    async requeue(id, witness) {
      const row = await find(id);
      if (row.endpoint_name === null) throw endpointGone();
      const delivery = await requeueIfKept(row.id, witness);
      if (delivery === null) throw letterNotFound(id);
      return publicId("delivery", delivery);
    },

    requeueIfKept,

    async requeueMany(tx, deliveryIds, operationId) {
      const rows = await store.requeueLetters(tx, deliveryIds, { park: true, inPlaceFrom: inPlaceFrom(), operationId });
      await markBacklogs(tx, rows);
      return rows.length;
    },

    async discard(id, witness) {
      const uuid = parseId("delivery", id);
      if (uuid === null) throw letterNotFound(id);
      await sql.begin(async (tx) => {
        if (!(await store.deleteLetter(tx, uuid))) throw letterNotFound(id);
        await witness?.(tx, { id: publicId("delivery", uuid) });
      });
    },
  };
}

function showLetter(row: store.DeadLetterRow) {
  return {
    id: publicId("delivery", row.id),
    event_id: publicId("event", row.event_id),
    webhook_id: webhookId({ id: row.event_id, originalId: row.original_id }),
    type: row.type,
    watch_id: row.watch_id === null ? null : publicId("watch", row.watch_id),
    endpoint_id: publicId("endpoint", row.endpoint_id),
    endpoint_name: row.endpoint_name,
    url: row.url,
    reason: row.reason,
    attempts: row.attempts,
    last_status: row.last_status,
    last_error: row.last_error,
    died_at: isoTime(row.died_at),
  };
}

export function endpointGone(): AppError {
  return new AppError(
    "conflict",
    "Its endpoint was deleted. To send the event to another: POST /v1/events/:id/replay with endpoint_ids.",
  );
}

function letterNotFound(id: string): AppError {
  return new AppError(
    "not_found",
    `There is no dead letter ${id.slice(0, 100)}; it never was, was requeued or discarded, or is older than RETAIN_DEAD_LETTERS.`,
  );
}
