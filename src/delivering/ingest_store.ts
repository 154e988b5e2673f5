import type { SqlRunner } from "../platform/database.ts";
import type { Published } from "./publish.ts";

export type TakenKeys = {
  /** Keys that were taken before, within 24 hours, with what was answered then. */
  known: Map<string, { requestHash: Buffer; published: Published }>;
  /** Writes down what is answered for the keys taken now. */
  keep(answers: { key: string | undefined; published: Published }[]): Promise<void>;
};

/** What stands for an answer until it is known, inside the transaction that took the key. */
const NONE = "00000000-0000-0000-0000-000000000000";

/**
 * Takes idempotency keys inside a transaction. A key that another transaction is taking now is waited for; one older
 * than 24 hours is taken over.
 */
export async function takeKeys(
  sql: SqlRunner,
  wanted: ReadonlyMap<string, { requestHash: Buffer }>,
): Promise<TakenKeys> {
  const keys = [...wanted.keys()].sort();
  const hashes = keys.map((key) => (wanted.get(key)?.requestHash ?? Buffer.alloc(0)).toString("hex"));
  const fresh = await sql<{ key: string }[]>`
    insert into deltahook.idempotency_keys as kept (key, request_hash, event_id, deliveries)
    select key, decode(hash, 'hex'), ${NONE}, 0
    from unnest(${keys}::text[], ${hashes}::text[]) with ordinality as wanted(key, hash, place)
    order by place
    on conflict (key) do update
      set request_hash = excluded.request_hash, event_id = excluded.event_id, deliveries = 0, created_at = now()
      where kept.created_at < now() - interval '24 hours'
    returning key`;
  const taken = new Set(fresh.map((row) => row.key));
  const others = keys.filter((key) => !taken.has(key));
  return {
    known: others.length === 0 ? new Map() : await readKeys(sql, others),
    async keep(answers) {
      const keyed = answers.filter((answer) => answer.key !== undefined && taken.has(answer.key));
      if (keyed.length === 0) return;
      await sql`
        update deltahook.idempotency_keys kept
        set event_id = answer.event_id, deliveries = answer.deliveries
        from unnest(${keyed.map((answer) => answer.key as string)}::text[], ${keyed.map((answer) => answer.published.eventId)}::uuid[],
                    ${keyed.map((answer) => answer.published.deliveries)}::int[]) as answer(key, event_id, deliveries)
        where kept.key = answer.key`;
    },
  };
}

async function readKeys(sql: SqlRunner, keys: string[]): Promise<TakenKeys["known"]> {
  const rows = await sql<{ key: string; request_hash: Buffer; event_id: string; deliveries: number }[]>`
    select key, request_hash, event_id, deliveries from deltahook.idempotency_keys where key = any(${keys}::text[])`;
  return new Map(
    rows.map((row) => [
      row.key,
      { requestHash: row.request_hash, published: { eventId: row.event_id, deliveries: row.deliveries } },
    ]),
  );
}
