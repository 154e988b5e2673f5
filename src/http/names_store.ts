import type { SqlRunner } from "../platform/database.ts";
import { type IdKind, parseId, publicId } from "../platform/ids.ts";

/** What public ids are called, by id. One that is gone meanwhile has no name. */
export type Names = Record<string, string>;

const NAMED = ["watch", "endpoint", "secret"] as const satisfies IdKind[];

/** One look for all of them; what is no id of a watch, an endpoint or a secret is passed over. */
export async function readNames(sql: SqlRunner, ids: readonly (string | null | undefined)[]): Promise<Names> {
  const uuidsOf = (kind: IdKind) => ids.flatMap((id) => parseId(kind, id ?? "") ?? []);
  const [watches, endpoints, secrets] = NAMED.map(uuidsOf);
  const rows = await sql<{ kind: IdKind; id: string; name: string }[]>`
    select 'watch' as kind, id, name from deltahook.watches where id = any(${watches ?? []}::uuid[])
    union all
    select 'endpoint', id, name from deltahook.endpoints where id = any(${endpoints ?? []}::uuid[])
    union all
    select 'secret', id, name from deltahook.secrets where id = any(${secrets ?? []}::uuid[])`;
  return Object.fromEntries(rows.map(({ kind, id, name }) => [publicId(kind, id), name]));
}

const MOST_OFFERED = 200;

/** The endpoints that a filter offers, by name, and the chosen one among them. Ids are public ones. */
export async function listEndpointNames(
  sql: SqlRunner,
  chosen: string | undefined,
): Promise<{ id: string; name: string }[]> {
  const rows = await sql<{ id: string; name: string }[]>`
    (select id, name from deltahook.endpoints where kind = 'subscribed' order by id desc limit ${MOST_OFFERED})
    union
    select id, name from deltahook.endpoints where id = ${chosen ?? null}`;
  const byName = rows.toSorted((one, other) => one.name.localeCompare(other.name, "en"));
  return byName.map(({ id, name }) => ({ id: publicId("endpoint", id), name }));
}
