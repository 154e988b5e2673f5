import type { SqlRunner, Transaction } from "../platform/database.ts";
import type { SecretKind } from "./secret_shapes.ts";

/** A secret without its value. */
export type SecretRow = {
  id: string;
  name: string;
  kind: SecretKind;
  /** Where it may go; null: anywhere. */
  hosts: string[] | null;
  revision: number;
  created_at: Date;
  updated_at: Date;
};

/** `sealed` null: the value stays as it is. */
export type SecretChange = {
  id: string;
  revision: number;
  name: string;
  kind: SecretKind;
  hosts: string[] | null;
  sealed: string | null;
};

export type SealedSecret = {
  id: string;
  kind: SecretKind;
  hosts: string[] | null;
  sealed: string;
  revision: number;
};

export type FetchFailure = { problem: string; refused: boolean };

export type FetchLease = { state: "held"; holder: string } | { state: "busy" } | ({ state: "failed" } & FetchFailure);

/** The value is sealed for the id, so the id is made before the row. */
export async function newSecretId(sql: SqlRunner): Promise<string> {
  const rows = await sql<{ id: string }[]>`select deltahook.uuid7() as id`;
  return rows.map((row) => row.id).join();
}

export async function insertSecret(
  sql: SqlRunner,
  secret: { id: string; name: string; kind: SecretKind; hosts: string[] | null; sealed: string },
): Promise<SecretRow | undefined> {
  const [row] = await sql<SecretRow[]>`
    insert into deltahook.secrets (id, name, kind, hosts, sealed)
    values (${secret.id}, ${secret.name}, ${secret.kind}, ${secret.hosts}, ${secret.sealed})
    on conflict (name) do nothing
    returning id, name, kind, hosts, revision, created_at, updated_at`;
  return row;
}

/** Newest first, after (older than) the given id. */
export async function listSecrets(sql: SqlRunner, after: string | null, limit: number): Promise<SecretRow[]> {
  return sql<SecretRow[]>`
    select id, name, kind, hosts, revision, created_at, updated_at from deltahook.secrets
    where ${after}::uuid is null or id < ${after} order by id desc limit ${limit}`;
}

export async function findSecret(sql: SqlRunner, id: string): Promise<SecretRow | undefined> {
  const [row] = await sql<SecretRow[]>`
    select id, name, kind, hosts, revision, created_at, updated_at from deltahook.secrets where id = ${id}`;
  return row;
}

export async function findSealed(sql: SqlRunner, ids: readonly string[]): Promise<SealedSecret[]> {
  return sql<SealedSecret[]>`
    select id, kind, hosts, sealed, revision from deltahook.secrets where id = any(${[...ids]}::uuid[])`;
}

export async function findHosts(sql: SqlRunner, ids: readonly string[]): Promise<Map<string, string[] | null>> {
  const rows = await sql<{ id: string; hosts: string[] | null }[]>`
    select id, hosts from deltahook.secrets where id = any(${[...ids]}::uuid[])`;
  return new Map(rows.map(({ id, hosts }) => [id, hosts]));
}

/** Only if nobody changed it since `revision`. @returns undefined when somebody did. Throws 23505 for a taken name. */
export async function updateSecret(sql: SqlRunner, secret: SecretChange): Promise<SecretRow | undefined> {
  const [row] = await sql<SecretRow[]>`
    update deltahook.secrets
    set name = ${secret.name}, kind = ${secret.kind}, hosts = ${secret.hosts}, sealed = coalesce(${secret.sealed}, sealed),
        revision = revision + 1, updated_at = now()
    where id = ${secret.id} and revision = ${secret.revision}
    returning id, name, kind, hosts, revision, created_at, updated_at`;
  return row;
}

/** Locks the secret against new users of it, and names those that it has (a few, and how many in all). */
export async function lockSecret(
  sql: Transaction,
  id: string,
): Promise<{ users: { kind: "watch" | "endpoint"; name: string }[]; total: number } | undefined> {
  const [found] = await sql`select 1 from deltahook.secrets where id = ${id} for update`;
  if (!found) return undefined;
  const users = await sql<{ kind: "watch" | "endpoint"; name: string; total: number }[]>`
    select kind, name, count(*) over () as total from (
      select 'watch' as kind, name from deltahook.watches where secret_id = ${id}
      union all
      select 'endpoint', name from deltahook.endpoints where secret_id = ${id}) as users
    order by kind, name limit 5`;
  return { users, total: users[0]?.total ?? 0 };
}

export async function deleteSecret(sql: SqlRunner, id: string): Promise<void> {
  await sql`delete from deltahook.secrets where id = ${id}`;
}

/** The token fetched with this revision of a secret, unless it has expired. Stale after 80 % of its life. */
export async function findToken(
  sql: SqlRunner,
  secretId: string,
  revision: number,
): Promise<{ sealed: string; stale: boolean } | undefined> {
  const [row] = await sql<{ sealed: string; stale: boolean }[]>`
    select sealed, now() >= fetched_at + (expires_at - fetched_at) * 0.8 as stale
    from deltahook.oauth_tokens
    where secret_id = ${secretId} and secret_revision = ${revision} and expires_at > now()`;
  return row;
}

export async function findCurrentToken(
  sql: SqlRunner,
  secretId: string,
): Promise<{ sealed: string; ageMs: number } | undefined> {
  const [row] = await sql<{ sealed: string; ageMs: number }[]>`
    select sealed, (extract(epoch from now() - fetched_at) * 1000)::float8 as "ageMs"
    from deltahook.oauth_tokens where secret_id = ${secretId}`;
  return row;
}

/** Only while the secret still has that revision: a late answer must not bring an old client's token back. */
export async function saveToken(
  sql: SqlRunner,
  token: { secretId: string; revision: number; sealed: string; lifeMs: number },
): Promise<void> {
  await sql`
    insert into deltahook.oauth_tokens (secret_id, sealed, secret_revision, expires_at)
    select id, ${token.sealed}, revision, now() + ${token.lifeMs} * interval '1 millisecond'
    from deltahook.secrets where id = ${token.secretId} and revision = ${token.revision} for key share
    on conflict (secret_id) do update set sealed = excluded.sealed, secret_revision = excluded.secret_revision,
      fetched_at = now(), expires_at = excluded.expires_at`;
}

/** Only if it is still that one. */
export async function deleteToken(sql: SqlRunner, secretId: string, sealed: string): Promise<void> {
  await sql`delete from deltahook.oauth_tokens where secret_id = ${secretId} and sealed = ${sealed}`;
}

/** Takes the right to fetch a token, unless another has it or the last try just failed. */
export async function takeFetch(
  sql: SqlRunner,
  secretId: string,
  revision: number,
  leaseMs: number,
): Promise<FetchLease> {
  const holder = crypto.randomUUID();
  const [taken] = await sql`
    insert into deltahook.oauth_fetches (secret_id, secret_revision, holder, until)
    values (${secretId}, ${revision}, ${holder}, now() + ${leaseMs} * interval '1 millisecond')
    on conflict (secret_id) do update
      set secret_revision = excluded.secret_revision, holder = excluded.holder, until = excluded.until, problem = null
      where oauth_fetches.until <= now() or oauth_fetches.secret_revision < excluded.secret_revision
    returning 1`;
  if (taken) return { state: "held", holder };
  const [other] = await sql<{ problem: string; refused: boolean }[]>`
    select problem, refused from deltahook.oauth_fetches where secret_id = ${secretId} and problem is not null`;
  return other ? { state: "failed", ...other } : { state: "busy" };
}

/** Gives the right back; a failure is told to whoever asks within the next `quietMs`. */
export async function endFetch(
  sql: SqlRunner,
  secretId: string,
  holder: string,
  failure: FetchFailure | null,
  quietMs: number,
): Promise<void> {
  if (!failure) {
    await sql`delete from deltahook.oauth_fetches where secret_id = ${secretId} and holder = ${holder}`;
    return;
  }
  await sql`
    update deltahook.oauth_fetches
    set holder = null, problem = ${failure.problem}, refused = ${failure.refused},
        until = now() + ${quietMs} * interval '1 millisecond'
    where secret_id = ${secretId} and holder = ${holder}`;
}
