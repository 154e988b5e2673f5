import type { SqlRunner, Transaction } from "../platform/database.ts";
import type { LetterFilter } from "./dead_letter_store.ts";

/** What a person asked for, with UUIDs and RFC 3339 times. */
export type OperationRequest =
  | { kind: "requeue"; filter: LetterFilter }
  | { kind: "discard"; filter: LetterFilter }
  | { kind: "recover"; endpoint: string; since: string; until: string; statuses: RecoverStatus[] };

export type RecoverStatus = "dead" | "cancelled" | "delivered";

export type OperationRow = {
  id: string;
  kind: OperationRequest["kind"];
  state: "running" | "done" | "cancelled" | "failed";
  request: OperationRequest;
  done: number;
  total: number | null;
  position: string | null;
  problem: string | null;
  created_by: string;
  updated_at: Date;
  finished_at: Date | null;
};

export async function insertOperation(
  sql: SqlRunner,
  operation: { request: OperationRequest; total: number; createdBy: string },
): Promise<OperationRow> {
  const [row] = await sql<OperationRow[]>`
    insert into deltahook.operations (kind, request, total, created_by)
    values (${operation.request.kind}, ${JSON.stringify(operation.request)}::text::json, ${operation.total},
            ${operation.createdBy})
    returning *`;
  return row as OperationRow;
}

/** Newest first. */
export function listOperations(
  sql: SqlRunner,
  { cursor, limit }: { cursor: string | null; limit: number },
): Promise<OperationRow[]> {
  return sql<OperationRow[]>`
    select * from deltahook.operations where true ${cursor ? sql`and id < ${cursor}` : sql``}
    order by id desc limit ${limit}`;
}

export async function findOperation(sql: SqlRunner, id: string): Promise<OperationRow | undefined> {
  const [row] = await sql<OperationRow[]>`select * from deltahook.operations where id = ${id}`;
  return row;
}

/** @returns false when it was no longer running */
export async function cancelOperation(sql: SqlRunner, id: string): Promise<boolean> {
  const result = await sql`
    update deltahook.operations set state = 'cancelled', finished_at = now(), updated_at = now()
    where id = ${id} and state = 'running'`;
  return result.count > 0;
}

/** The running operation that has waited longest for its next batch; held by this transaction alone. */
export async function claimOperation(sql: Transaction): Promise<OperationRow | undefined> {
  const [row] = await sql<OperationRow[]>`
    select * from deltahook.operations where state = 'running'
    order by updated_at limit 1
    for update skip locked`;
  return row;
}

/** What a batch did, in the transaction that did it. */
export async function advanceOperation(
  sql: Transaction,
  id: string,
  step: { position: string; done: number },
): Promise<void> {
  await sql`
    update deltahook.operations set position = ${step.position}, done = done + ${step.done}, updated_at = clock_timestamp()
    where id = ${id}`;
}

/** Its end, if it is still running. */
export async function finishOperation(sql: SqlRunner, id: string, problem: string | null): Promise<void> {
  await sql`
    update deltahook.operations
    set state = ${problem === null ? "done" : "failed"}, problem = ${problem}, finished_at = now(), updated_at = now()
    where id = ${id} and state = 'running'`;
}

export type ToRecover = { id: string; status: RecoverStatus };
type Recovery = Extract<OperationRequest, { kind: "recover" }>;

/** What the endpoint was owed behind a position, the oldest first. Of the dead only those whose letter is kept. */
export function owedAfter(sql: SqlRunner, request: Recovery, position: string, limit: number): Promise<ToRecover[]> {
  return sql<ToRecover[]>`
    select id, status from (${owed(sql, request)}) owed
    where id > ${position} order by id limit ${limit}`;
}

export async function countOwed(sql: SqlRunner, request: Recovery): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*)::int as count from (${owed(sql, request)}) owed`;
  return row?.count ?? 0;
}

function owed(sql: SqlRunner, { endpoint, since, until, statuses }: Recovery) {
  const ended = statuses.filter((status) => status !== "dead");
  return sql`
    select id, state as status from deltahook.deliveries
    where endpoint_id = ${endpoint} and state = any(${ended}::text[])
      and id >= deltahook.uuid7_floor(${since}::text::timestamptz) and id < deltahook.uuid7_floor(${until}::text::timestamptz)
    union all
    select delivery_id, 'dead' from deltahook.dead_letters
    where endpoint_id = ${endpoint} and ${statuses.includes("dead")}
      and delivery_id >= deltahook.uuid7_floor(${since}::text::timestamptz)
      and delivery_id < deltahook.uuid7_floor(${until}::text::timestamptz)`;
}
