import type { SqlRunner } from "../platform/database.ts";
import { arrayOf } from "./array.ts";
import { compressBody, type KeptBody } from "./bodies.ts";

/**
 * Keeps bodies that differ from the last one kept of their watch, and drops those beyond what it keeps. Of a watch that is
 * gone, or was changed since, nothing is kept.
 */
export async function insertBodies(sql: SqlRunner, bodies: readonly KeptBody[]): Promise<void> {
  const compressed = await Promise.all(bodies.map(async (kept) => ({ ...kept, body: await compressBody(kept.text) })));
  const fitting = compressed.flatMap(({ body, ...kept }) => (body ? [{ ...kept, body: Buffer.from(body) }] : []));
  if (fitting.length === 0) return;
  await sql`
    with
    given as materialized (
      select given.* from unnest(
        ${arrayOf(fitting, ({ id }) => id)}::uuid[], ${arrayOf(fitting, ({ watchId }) => watchId)}::uuid[],
        ${arrayOf(fitting, ({ revision }) => revision)}::int[], ${arrayOf(fitting, ({ keep }) => keep)}::int[],
        ${arrayOf(fitting, ({ digest }) => signed(digest))}::bigint[],
        ${fitting.map(({ body }) => body.toString("base64"))}::text[]
      ) as given(id, watch_id, revision, keep, digest, body)
      join deltahook.watches watch on watch.id = given.watch_id and watch.revision = given.revision
      for key share of watch
    ),
    inserted as (
      insert into deltahook.watch_bodies (watch_id, id, digest, body)
      select watch_id, id, digest, decode(body, 'base64') from given
      where digest is distinct from (
        select digest from deltahook.watch_bodies last where last.watch_id = given.watch_id order by id desc limit 1
      )
      returning id
    )
    delete from deltahook.watch_bodies old
    using given join inserted using (id)
    where old.watch_id = given.watch_id and old.id <= (
      select id from deltahook.watch_bodies kept where kept.watch_id = given.watch_id
      order by id desc offset given.keep - 1 limit 1
    )`;
}

/** The kept bodies of a watch by the ids of their polls, oldest first. */
export async function listBodies(sql: SqlRunner, watchId: string): Promise<string[]> {
  const rows = await sql<{ id: string }[]>`
    select id from deltahook.watch_bodies where watch_id = ${watchId} order by id`;
  return rows.map(({ id }) => id);
}

export async function loadBody(sql: SqlRunner, watchId: string, id: string): Promise<Uint8Array | null> {
  const [row] = await sql<{ body: Uint8Array }[]>`
    select body from deltahook.watch_bodies where watch_id = ${watchId} and id = ${id}`;
  return row?.body ?? null;
}

/** Postgres has no unsigned bigint. */
function signed(digest: number | bigint): string {
  return BigInt.asIntN(64, BigInt(digest)).toString();
}
