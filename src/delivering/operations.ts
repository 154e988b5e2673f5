import type { Clock } from "../platform/clock.ts";
import { type Database, isAway, type Transaction } from "../platform/database.ts";
import { AppError, messageOf } from "../platform/errors.ts";
import { parseId, publicId, uuidFloor, uuidTime } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import { type Repeater, repeat } from "../platform/repeat.ts";
import type { Witness } from "../platform/witness.ts";
import { countDiscardable, countLetters, deleteLetters, type LetterFilter, lettersAfter } from "./dead_letter_store.ts";
import type { DeadLetters } from "./dead_letters.ts";
import { markBacklogs, repeatDelivered, reviveDeliveries } from "./delivery_store.ts";
import { findEndpoint } from "./endpoint_store.ts";
import { endpointNotFound } from "./endpoints.ts";
import * as store from "./operation_store.ts";
import { isoTime, type Page, type PageRequest, pageOfRows } from "./page.ts";

export type ShownOperation = ReturnType<typeof showOperation>;
/** A dry run only counts. */
export type Counted = { dry_run: true; total: number };

export type Recovery = {
  since: Date;
  until?: Date | undefined;
  statuses: store.RecoverStatus[];
  dryRun: boolean;
};

/** Long work that a person starts: `/v1/operations`. Ids are public ones (`op_…`). */
export type Operations = {
  /** Owes dead letters again, those that are dead now. The ids in the filter are UUIDs. */
  requeue(
    filter: LetterFilter,
    options: { dryRun: boolean; by: string },
    witness?: Witness<ShownOperation>,
  ): Promise<ShownOperation | Counted>;
  /** Discards dead letters for good, those that are dead now; of deleted endpoints too. The ids in the filter are UUIDs. */
  discard(
    filter: LetterFilter,
    options: { dryRun: boolean; by: string },
    witness?: Witness<ShownOperation>,
  ): Promise<ShownOperation | Counted>;
  /** Owes an endpoint again what it was owed in that time. */
  recover(
    endpointId: string,
    recovery: Recovery,
    by: string,
    witness?: Witness<ShownOperation>,
  ): Promise<ShownOperation | Counted>;
  list(page: PageRequest): Promise<Page<ShownOperation>>;
  get(id: string): Promise<ShownOperation>;
  /** Ends it behind the batch under way; what was done stays done. */
  cancel(id: string, witness?: Witness): Promise<ShownOperation>;
};

const BATCH = 500;
/** Nothing follows from a discard: there is less to hold up. */
const DISCARD_BATCH = 2_000;
const LOOK_MS = 2_000;
/** An operation that cannot go on is given up, so that it does not fail for ever. */
const TRIES = 5;

export function createOperations(deps: {
  database: Database;
  clock: Clock;
  /** There is work for {@link runOperations} on this node; other nodes find it by themselves. */
  onStarted(): void;
}): Operations {
  const { sql } = deps.database;
  /** The end of the millisecond that runs. */
  const soon = () => deps.clock.now() + 1;

  /** What dies while an operation runs was not counted by whoever asked, nor must it be requeued once more. */
  function deadUntilNow(filter: LetterFilter): LetterFilter {
    const now = new Date(soon()).toISOString();
    return { ...filter, until: filter.until !== undefined && filter.until < now ? filter.until : now };
  }

  async function find(id: string): Promise<store.OperationRow> {
    const uuid = parseId("operation", id);
    const row = uuid === null ? undefined : await store.findOperation(sql, uuid);
    if (!row)
      throw new AppError("not_found", `There is no operation ${id.slice(0, 100)}. GET /v1/operations lists all.`);
    return row;
  }

  async function start(
    operation: { request: store.OperationRequest; total: number; createdBy: string },
    witness: Witness<ShownOperation> | undefined,
  ): Promise<ShownOperation> {
    const row = await sql.begin(async (tx) => {
      const made = await store.insertOperation(tx, operation);
      await witness?.(tx, showOperation(made));
      return made;
    });
    deps.onStarted();
    return showOperation(row);
  }

  return {
    async requeue(filter, { dryRun, by }, witness) {
      const bounded = deadUntilNow(filter);
      const total = await countLetters(sql, bounded);
      if (dryRun) return { dry_run: true, total };
      return start({ request: { kind: "requeue", filter: bounded }, total, createdBy: by }, witness);
    },

    async discard(filter, { dryRun, by }, witness) {
      const bounded = deadUntilNow(filter);
      const total = await countDiscardable(sql, bounded);
      if (dryRun) return { dry_run: true, total };
      return start({ request: { kind: "discard", filter: bounded }, total, createdBy: by }, witness);
    },

    async recover(endpointId, { since, until, statuses, dryRun }, by, witness) {
      const uuid = parseId("endpoint", endpointId);
      if (uuid === null || !(await findEndpoint(sql, uuid))) throw endpointNotFound(endpointId);
      const end = Math.min(until?.getTime() ?? Number.POSITIVE_INFINITY, soon());
      const request = {
        kind: "recover" as const,
        endpoint: uuid,
        since: since.toISOString(),
        until: new Date(end).toISOString(),
        statuses,
      };
      const total = await store.countOwed(sql, request);
      return dryRun ? { dry_run: true, total } : start({ request, total, createdBy: by }, witness);
    },

    async list({ cursor, limit }) {
      return pageOfRows(await store.listOperations(sql, { cursor, limit: limit + 1 }), limit, showOperation);
    },

    get: async (id) => showOperation(await find(id)),

    async cancel(id, witness) {
      const row = await find(id);
      const cancelled = await sql.begin(async (tx) => {
        const done = await store.cancelOperation(tx, row.id);
        if (done) await witness?.(tx, { id: publicId("operation", row.id) });
        return done;
      });
      if (!cancelled)
        throw new AppError("conflict", `The operation is ${row.state}: only a running one can be cancelled.`);
      return showOperation(await find(id));
    },
  };
}

/**
 * Works off the running operations, one bounded batch per transaction, each with the position where to go on: after a
 * crash another node continues, and nothing is done twice. What is owed again joins its endpoint's backlog, which
 * drains at the endpoint's own pace.
 */
export function runOperations(deps: { database: Database; deadLetters: DeadLetters; log: Log }): Repeater {
  const { sql } = deps.database;
  const failures = new Map<string, number>();

  async function work(): Promise<number | undefined> {
    const claimed: { row?: store.OperationRow } = {};
    try {
      const found = await sql.begin(async (tx) => {
        const row = await store.claimOperation(tx);
        if (!row) return false;
        claimed.row = row;
        await step(tx, row);
        return true;
      });
      if (claimed.row) failures.delete(claimed.row.id);
      return found ? 0 : undefined;
    } catch (error) {
      if (claimed.row && !isAway(error)) await noteFailure(claimed.row.id, error);
      throw error;
    }
  }

  async function step(tx: Transaction, row: store.OperationRow): Promise<void> {
    const position = row.position ?? uuidFloor(0);
    const done = await batchOf(tx, row.id, row.request, position);
    if (done === null) await store.finishOperation(tx, row.id, null);
    else await store.advanceOperation(tx, row.id, done);
  }

  /** Null when nothing is left behind the position. */
  function batchOf(tx: Transaction, operationId: string, request: store.OperationRequest, position: string) {
    if (request.kind === "requeue") return requeueBatch(tx, operationId, request.filter, position);
    if (request.kind === "discard") return discardBatch(tx, request.filter, position);
    return recoverBatch(tx, operationId, request, position);
  }

  async function discardBatch(tx: Transaction, filter: LetterFilter, position: string) {
    const ids = await lettersAfter(tx, filter, position, DISCARD_BATCH);
    const last = ids.at(-1);
    return last === undefined ? null : { position: last, done: await deleteLetters(tx, ids) };
  }

  async function requeueBatch(tx: Transaction, operationId: string, filter: LetterFilter, position: string) {
    const ids = await lettersAfter(tx, filter, position, BATCH);
    const last = ids.at(-1);
    if (last === undefined) return null;
    return { position: last, done: await deps.deadLetters.requeueMany(tx, ids, operationId) };
  }

  async function recoverBatch(
    tx: Transaction,
    operationId: string,
    request: Extract<store.OperationRequest, { kind: "recover" }>,
    position: string,
  ) {
    const owed = await store.owedAfter(tx, request, position, BATCH);
    const last = owed.at(-1);
    if (!last) return null;
    const idsOf = (wanted: store.RecoverStatus) => owed.filter(({ status }) => status === wanted).map(({ id }) => id);
    const requeued = await deps.deadLetters.requeueMany(tx, idsOf("dead"), operationId);
    const revived = await reviveDeliveries(tx, idsOf("cancelled"), { from: "cancelled", park: true, operationId });
    const repeated = await repeatDelivered(tx, idsOf("delivered"), operationId);
    await markBacklogs(tx, [...revived, ...repeated]);
    return { position: last.id, done: requeued + revived.length + repeated.length };
  }

  async function noteFailure(id: string, error: unknown): Promise<void> {
    const failed = (failures.get(id) ?? 0) + 1;
    failures.set(id, failed);
    if (failed < TRIES) return;
    failures.delete(id);
    deps.log.error("operation given up", { operation: publicId("operation", id), problem: messageOf(error) });
    await store.finishOperation(sql, id, "It failed again and again; the log has the cause. What was done stays done.");
  }

  return repeat({ name: "operations", everyMs: LOOK_MS, log: deps.log, work });
}

function showOperation(row: store.OperationRow) {
  return {
    id: publicId("operation", row.id),
    kind: row.kind,
    state: row.state,
    request: showRequest(row.request),
    done: row.done,
    total: row.total,
    problem: row.problem,
    created_by: row.created_by,
    created_at: isoTime(uuidTime(row.id)),
    updated_at: isoTime(row.updated_at),
    finished_at: isoTime(row.finished_at),
  };
}

function showRequest(request: store.OperationRequest): Record<string, unknown> {
  if (request.kind === "recover") {
    const { endpoint, since, until, statuses } = request;
    return { endpoint: publicId("endpoint", endpoint), since, until, statuses };
  }
  const { endpoint, event, watch, ...rest } = request.filter;
  return {
    ...(endpoint === undefined ? {} : { endpoint: publicId("endpoint", endpoint) }),
    ...(event === undefined ? {} : { event: publicId("event", event) }),
    ...(watch === undefined ? {} : { watch: publicId("watch", watch) }),
    ...rest,
  };
}
