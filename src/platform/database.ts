import { Kysely } from "kysely";
import { PostgresJSDialect } from "kysely-postgres-js";
import postgres from "postgres";
import { messageOf } from "./errors.ts";
import type { Log } from "./log.ts";

/** Where Postgres is: an address, or the parts of a private Unix socket (`host` is its folder). */
export type ConnectionTarget =
  | { url: string }
  | { host: string; port: number; user: string; database: string; password?: string };

export type Sql = postgres.Sql<{ int8: number }>;
export type Transaction = postgres.TransactionSql<{ int8: number }>;
/** Either: what a statement needs that may run inside a caller's transaction. */
export type SqlRunner = Sql | Transaction;

/** `sql` runs what stands written in a store; `kysely` builds the queries that are put together from parts. */
export type Database = { sql: Sql; kysely: Kysely<object>; close(): Promise<void> };

/**
 * Opens a pool. Connections are made when needed and come back by themselves after Postgres was away; a query in
 * flight then rejects, and its caller decides.
 */
export function connectDatabase(target: ConnectionTarget, options: { max: number; log: Log; name?: string }): Database {
  const shared: postgres.Options<{ int8: postgres.PostgresType<number> }> = {
    max: options.max,
    idle_timeout: 60,
    connect_timeout: 10,
    backoff: (attempt) => Math.min(2, 0.05 * 2 ** attempt),
    // Counters and sizes: all of ours stay far below 2^53.
    types: {
      int8: { to: 20, from: [20], serialize: (value: number) => String(value), parse: (text: string) => Number(text) },
    },
    connection: { application_name: options.name ?? "deltahook", timezone: "UTC" },
    onnotice: (notice) => options.log.debug("postgres notice", { notice: messageOf(notice.message) }),
  };
  const sql = "url" in target ? postgres(target.url, shared) : postgres({ ...shared, ...target });
  const kysely = new Kysely<object>({ dialect: new PostgresJSDialect({ postgres: sql as never }) });
  return { sql, kysely, close: () => sql.end({ timeout: 5 }) };
}

/**
 * Has a query planned for its very values. Otherwise Postgres may plan it for any, after five times on a connection, and
 * takes a watch with a million events for one with ten. For lists that people filter; what runs all the time keeps its plan.
 */
export function planEachTime<Query extends PromiseLike<unknown>>(query: Query): Query {
  // As `prepare: false` does for a whole pool; the driver's types do not tell that a query has it too.
  (query as unknown as { options: { prepare: boolean } }).options.prepare = false;
  return query;
}

/** A DATABASE_URL → where to connect. `postgres://user@/name?host=/run/postgresql` names a Unix socket, as in libpq. */
export function targetOf(databaseUrl: string): ConnectionTarget {
  const url = new URL(databaseUrl.replace(/^(\w+:\/\/(?:[^@/]*@)?)(?=\/)/, "$1localhost"));
  const host = url.searchParams.get("host");
  if (!host?.startsWith("/")) return { url: databaseUrl };
  const password = decodeURIComponent(url.password);
  return {
    host,
    port: Number(url.searchParams.get("port") ?? (url.port || 5432)),
    user: decodeURIComponent(url.username) || "postgres",
    database: decodeURIComponent(url.pathname.slice(1)) || "postgres",
    ...(password === "" ? {} : { password }),
  };
}

/** The same place, as `pg` (inside graphile-worker) wants it. */
export function connectionString(target: ConnectionTarget): string {
  if ("url" in target) return target.url;
  const password = target.password === undefined ? "" : `:${encodeURIComponent(target.password)}`;
  return `postgres://${target.user}${password}@/${target.database}?host=${encodeURIComponent(target.host)}&port=${target.port}`;
}

/** Whether a statement failed only because Postgres is away or starting (so that it may be tried again). */
export function isAway(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== "string") return false;
  return AWAY.has(code) || code.startsWith("08") || code.startsWith("57P");
}

const AWAY = new Set([
  "CONNECTION_CLOSED",
  "CONNECTION_ENDED",
  "CONNECTION_DESTROYED",
  "CONNECT_TIMEOUT",
  "ECONNREFUSED",
  "ECONNRESET",
  "ENOENT",
  "EPIPE",
  "ETIMEDOUT",
]);

/** Whether Postgres undid a transaction only to let another one through. */
function wasVictim(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return code === "40P01" || code === "40001";
}

/**
 * Runs `work`, again and again while Postgres is away or prefers others, until it succeeds, fails for another reason, or
 * `signal` ends the wait. For what must not be lost: a try that was made has to be written down. A connection lost
 * during the commit leaves open whether it happened, so `work` must bear to be done twice.
 */
export async function persist<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let tries = 0; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!(isAway(error) || wasVictim(error)) || signal.aborted) throw error;
      await Bun.sleep(Math.min(1_000, 50 * 2 ** tries));
    }
  }
}
