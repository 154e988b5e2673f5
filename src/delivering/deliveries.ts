import type { Clock } from "../platform/clock.ts";
import type { Database, SqlRunner, Transaction } from "../platform/database.ts";
import { AppError } from "../platform/errors.ts";
import { parseId, publicId, uuidTime } from "../platform/ids.ts";
import type { Witness } from "../platform/witness.ts";
import { type DeadLetters, endpointGone } from "./dead_letters.ts";
import * as store from "./delivery_store.ts";
import { envelope, webhookId } from "./envelope.ts";
import { isoTime, type Page, pageOfRows } from "./page.ts";

export type ShownDelivery = ReturnType<typeof showDelivery>;
export type ShownAttempt = ReturnType<typeof showAttempt>;

/** The resource `/v1/deliveries`. Ids are public ones (`dlv_…`); an unknown one throws a 404. */
export type Deliveries = {
  /** The ids in the filter are UUIDs. */
  list(filter: store.DeliveryFilter): Promise<Page<ShownDelivery>>;
  get(id: string): Promise<ShownDelivery & { attempts: ShownAttempt[] }>;
  /** Owes it now, with a fresh schedule if it had ended. The answer may be a copy, if the delivery itself is too old. */
  retry(id: string, witness?: Witness): Promise<ShownDelivery>;
  /** Never. */
  cancel(id: string, witness?: Witness): Promise<ShownDelivery>;
};

export function createDeliveries(deps: {
  database: Database;
  clock: Clock;
  deadLetters: DeadLetters;
  /** Something is due now that was not before. */
  wake(): void;
}): Deliveries {
  const { sql } = deps.database;

  async function find(id: string, runner: SqlRunner = sql) {
    const uuid = parseId("delivery", id);
    const row = uuid === null ? undefined : await store.findDelivery(runner, uuid);
    if (!row) throw deliveryNotFound(id);
    return row;
  }

  /** A write and its witness; false when it found nothing to write. */
  function write(
    row: store.DeliveryRow,
    work: (tx: Transaction) => Promise<boolean>,
    witness: Witness | undefined,
  ): Promise<boolean> {
    return sql.begin(async (tx) => {
      const written = await work(tx);
      if (written) await witness?.(tx, { id: publicId("delivery", row.id) });
      return written;
    });
  }

  async function revive(tx: Transaction, row: store.DeliveryRow, from: "cancelled" | "dead"): Promise<boolean> {
    const rows = await store.reviveDeliveries(tx, [row.id], { from, park: false, operationId: null });
    await store.markBacklogs(tx, rows);
    if (rows.length > 0) return true;
    throw conflict("The delivery was changed meanwhile, or its event was dropped by RETAIN_EVENTS; look at it again.");
  }

  return {
    async list(filter) {
      const rows = await store.listDeliveries(sql, { ...filter, limit: filter.limit + 1 });
      return pageOfRows(rows, filter.limit, showDelivery);
    },

    /** Of one moment, so that a try that ends meanwhile is seen in both or in neither. */
    get: (id) =>
      sql.begin("isolation level repeatable read read only", async (tx) => {
        const row = await find(id, tx);
        const attempts = await store.listAttempts(tx, row.id);
        const body = bodyOf(row);
        return { ...showDelivery(row), attempts: attempts.map((attempt) => showAttempt(attempt, body)) };
      }),

    async retry(id, witness) {
      const row = await find(id);
      if (row.state === "delivered") {
        const replay = `POST /v1/events/${publicId("event", row.event_id)}/replay`;
        throw conflict(`The delivery has arrived already. To send its event once more: ${replay}.`);
      }
      if (row.endpoint_name === null) throw endpointGone();
      if (row.state === "dead") {
        const requeued = await deps.deadLetters.requeueIfKept(row.id, witness);
        if (requeued !== null) return showDelivery(await find(publicId("delivery", requeued)));
      }
      if (row.state === "pending") {
        if (!(await write(row, (tx) => store.makeDueNow(tx, row.id), witness))) throw notWaiting();
      } else {
        const { state } = row;
        await write(row, (tx) => revive(tx, row, state), witness);
      }
      deps.wake();
      return showDelivery(await find(id));
    },

    async cancel(id, witness) {
      const row = await find(id);
      const cancelled = await write(row, (tx) => store.cancelDelivery(tx, row.id, "Cancelled by a person."), witness);
      if (!cancelled) throw conflict(`The delivery is ${(await find(id)).state}: only a pending one can be cancelled.`);
      return showDelivery(await find(id));
    },
  };
}

/** What every try of a delivery sends, unless a plugin changed it; null when the event is gone. */
function bodyOf(row: store.DeliveryRow & { data: string | null; direct: boolean }): string | null {
  if (row.data === null || row.event_type === null || row.direct) return row.data;
  return envelope({ id: row.event_id, originalId: row.original_id, type: row.event_type, data: row.data });
}

export function showDelivery(row: store.DeliveryRow) {
  return {
    id: publicId("delivery", row.id),
    status: row.state,
    event_id: publicId("event", row.event_id),
    event_type: row.event_type,
    webhook_id: webhookId({ id: row.event_id, originalId: row.original_id }),
    watch_id: row.watch_id === null ? null : publicId("watch", row.watch_id),
    endpoint_id: publicId("endpoint", row.endpoint_id),
    endpoint_name: row.endpoint_name,
    url: row.url,
    tries: row.attempt - 1,
    /** Set aside until the endpoint can take it: paused, over its share or rate, or behind others in its line. */
    parked: row.parked,
    due_at: row.parked ? null : isoTime(row.due_at),
    last_status: row.last_status,
    last_error: row.last_error,
    created_at: isoTime(uuidTime(row.id)),
    finished_at: isoTime(row.finished_at),
  };
}

/** @param body what is sent when no plugin changed it */
export function showAttempt(row: store.AttemptRow, body: string | null) {
  return {
    number: row.number,
    at: isoTime(uuidTime(row.id)),
    outcome: row.outcome,
    probe: row.probe,
    request: { url: row.url, headers: row.request_headers, body: row.request_body ?? body },
    response:
      row.status === null ? null : { status: row.status, headers: row.response_headers ?? {}, body: row.response_body },
    error: row.error,
    ms: row.ms,
    plugins: row.plugins ?? [],
  };
}

function deliveryNotFound(id: string): AppError {
  return new AppError(
    "not_found",
    `There is no delivery ${id.slice(0, 100)}; it never was, or it is older than RETAIN_EVENTS.`,
  );
}

function notWaiting(): AppError {
  return conflict(
    "The delivery waits for its turn in an ordered endpoint's line, or has ended just now; look at it again.",
  );
}

function conflict(message: string): AppError {
  return new AppError("conflict", message);
}
