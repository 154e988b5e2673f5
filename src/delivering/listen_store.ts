import type { Sql, SqlRunner } from "../platform/database.ts";
import { cancelOwed, deleteEndpoint } from "./endpoint_store.ts";

/** One try as it waits for its answer. */
export type ListenRequest = { id: string; headers: Record<string, string>; body: Uint8Array };

/** What came of it where it was forwarded to: an answer, or a sentence that says why there is none. */
export type ListenAnswer = { status: number; headers: Record<string, string>; body: string } | { error: string };

/** The lease of a new listener. @returns false when there are `most` already */
export async function insertListener(
  sql: SqlRunner,
  listener: { endpointId: string; openedBy: string; stream: string },
  most: number,
): Promise<boolean> {
  const result = await sql`
    insert into deltahook.listeners (endpoint_id, opened_by, stream)
    select ${listener.endpointId}, ${listener.openedBy}, ${listener.stream}
    where (select count(*) from deltahook.listeners) < ${most}`;
  return result.count > 0;
}

export async function findListener(sql: SqlRunner, endpointId: string): Promise<{ openedBy: string } | undefined> {
  const [row] = await sql<{ openedBy: string }[]>`
    select opened_by as "openedBy" from deltahook.listeners where endpoint_id = ${endpointId}`;
  return row;
}

/** From now on this connection is the listener's. @returns false when the listener is gone */
export async function takeOver(sql: SqlRunner, endpointId: string, stream: string): Promise<boolean> {
  const result = await sql`
    update deltahook.listeners set stream = ${stream}, seen_at = now() where endpoint_id = ${endpointId}`;
  return result.count > 0;
}

/** Renews the leases of these connections. @returns those that still are their listener's */
export async function renewLeases(sql: SqlRunner, streams: readonly string[]): Promise<Set<string>> {
  const rows = await sql<{ stream: string }[]>`
    update deltahook.listeners set seen_at = now() where stream = any(${streams as string[]}::uuid[]) returning stream`;
  return new Set(rows.map((row) => row.stream));
}

/** The requests that these connections have not been given yet, oldest first; from now on they have. */
export async function takeRequests(
  sql: SqlRunner,
  streams: readonly string[],
): Promise<(ListenRequest & { stream: string })[]> {
  const rows = await sql<(ListenRequest & { stream: string })[]>`
    update deltahook.listen_requests request set stream = listener.stream
    from deltahook.listeners listener
    where listener.stream = any(${streams as string[]}::uuid[]) and request.endpoint_id = listener.endpoint_id
      and request.stream is distinct from listener.stream and request.answer is null and request.deadline_at > now()
    returning request.id, listener.stream, request.headers, request.body`;
  return rows.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/** Puts a request for a listener, once. @returns false when the listener is gone */
export async function putRequest(
  sql: SqlRunner,
  request: ListenRequest & { endpointId: string; timeoutMs: number },
): Promise<boolean> {
  const result = await sql`
    insert into deltahook.listen_requests (id, endpoint_id, deadline_at, headers, body)
    select ${request.id}, endpoint_id, now() + make_interval(secs => ${request.timeoutMs / 1000}),
      ${JSON.stringify(request.headers)}::text::json, ${Buffer.from(request.body)}
    from deltahook.listeners where endpoint_id = ${request.endpointId}
    on conflict (id) do update set deadline_at = excluded.deadline_at`;
  return result.count > 0;
}

/** Answers to requests of one listener that still wait for theirs. @returns how many did */
export async function answerRequests(
  sql: SqlRunner,
  endpointId: string,
  answers: readonly { request: string; answer: ListenAnswer }[],
): Promise<number> {
  const result = await sql`
    update deltahook.listen_requests request set answer = given.answer::json
    from unnest(${answers.map(({ request }) => request)}::uuid[],
                ${answers.map(({ answer }) => JSON.stringify(answer))}::text[]) as given(id, answer)
    where request.id = given.id and request.endpoint_id = ${endpointId} and request.answer is null`;
  return result.count;
}

/**
 * Takes away those of these requests that are answered.
 * @returns them with their answers, and with null those that are not there any more; the others still wait
 */
export function takeAnswers(
  sql: SqlRunner,
  ids: readonly string[],
): Promise<{ id: string; answer: ListenAnswer | null }[]> {
  return sql<{ id: string; answer: ListenAnswer | null }[]>`
    with taken as (
      delete from deltahook.listen_requests where id = any(${ids as string[]}::uuid[]) and answer is not null
      returning id, answer
    )
    select id, answer from taken
    union all
    select wanted.id, null from unnest(${ids as string[]}::uuid[]) as wanted(id)
    where not exists (select from deltahook.listen_requests request where request.id = wanted.id)`;
}

export async function deleteRequest(sql: SqlRunner, id: string): Promise<void> {
  await sql`delete from deltahook.listen_requests where id = ${id}`;
}

/** Removes listeners that nobody has followed for `afterMs`, and cancels what they are owed. */
export async function removeStale(sql: Sql, afterMs: number): Promise<void> {
  const isStale = sql`seen_at < now() - make_interval(secs => ${afterMs / 1000})`;
  const stale = await sql<{ id: string }[]>`select endpoint_id as id from deltahook.listeners where ${isStale}`;
  for (const { id } of stale) {
    const removed = await sql.begin(async (tx) => {
      // First, as whoever deletes an endpoint.
      await tx`select from deltahook.endpoint_health where endpoint_id = ${id} for update`;
      const still = await tx`select from deltahook.listeners where endpoint_id = ${id} and ${isStale} for update`;
      return still.length > 0 && deleteEndpoint(tx, id);
    });
    if (removed) await cancelOwed(sql, id);
  }
}
