import type postgres from "postgres";
import type { Door, Found, Submission } from "./door.ts";
import { milliseconds } from "./duration.ts";
import { HookshotError } from "./error.ts";
import { Passing, persist } from "./persistence.ts";
import type { DatabaseOptions, DeliveryStatus, RetryPolicy } from "./types.ts";

type Stored = {
  id: string;
  url: string;
  status: DeliveryStatus["status"];
  tries: number;
  due_at: string | null;
  finished_at: string | null;
  last_status: number | null;
  last_error: string | null;
};

/** Connection lost or refused, Postgres starting or ending, or our transaction undone for another's sake. */
const PASSING =
  /^(08...|57P0[1-5]|40001|40P01|53300|CONNECT.*|ECONN.*|ENOENT|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENOTFOUND|EAI_AGAIN)$/;

/** Straight into Postgres, by the functions deltahook.send, send_to and status; a member of deltahook_sender may use them. */
export function openDatabaseDoor(db: DatabaseOptions | string): Door {
  let opened: Promise<postgres.Sql> | null = null;
  const running = new Set<Promise<unknown>>();

  async function open(): Promise<postgres.Sql> {
    // Loaded only here: whoever goes over HTTP needs no driver.
    const { default: connect } = await import("postgres");
    const options = { max: 4, idle_timeout: 20, connect_timeout: 10, connection: { application_name: "hookshot" } };
    const quiet = { ...options, onnotice: () => {} };
    return typeof db === "string" ? connect(db, quiet) : connect({ ...quiet, ...(db as postgres.Options<never>) });
  }

  async function query<T>(work: (sql: postgres.Sql) => Promise<T>, deadline: number): Promise<T> {
    opened ??= open();
    const sql = await opened;
    const answered = persist(() => work(sql).catch((error) => Promise.reject(failureOf(error))), deadline);
    running.add(answered);
    return answered.finally(() => running.delete(answered));
  }

  return {
    async submit(submission, deadline) {
      if (submission.endpointIds !== undefined) {
        throw new HookshotError(
          "invalid",
          "endpointIds needs { url, apiKey }: straight into Postgres an event goes to its subscribers.",
        );
      }
      return query((sql) => insert(sql, submission), deadline);
    },

    async find(id, deadline) {
      return query(async (sql) => {
        const [row] = await sql<{ status: { waiting: boolean; deliveries: Stored[] } | null }[]>`
          select deltahook.status(${id}) as status`;
        return row?.status ? read(row.status) : null;
      }, deadline);
    },

    async close() {
      if (opened === null) return;
      const sql = await opened;
      opened = null;
      await Promise.allSettled(running);
      // At once: after a connection was cut and made again the driver would wait for ever.
      await sql.end({ timeout: 0 });
    },
  };
}

async function insert(sql: postgres.Sql, submission: Submission): Promise<string> {
  const { type, data, url, headers, retry, idempotencyKey, timeoutMs = null, keepMs = null } = submission;
  const [row] =
    url === undefined
      ? await sql<{ id: string }[]>`
          select deltahook.send(${type}, ${data}::text::json, idempotency_key => ${idempotencyKey}) as id`
      : await sql<{ id: string }[]>`
          select deltahook.send_to(${url}, ${data}::text::json, ${type},
            headers => ${headers ? JSON.stringify(headers) : null}::text::json,
            retry => ${retry ? JSON.stringify(stored(retry)) : null}::text::json,
            idempotency_key => ${idempotencyKey}, timeout_ms => ${timeoutMs}, keep_ms => ${keepMs}) as id`;
  if (!row) throw new Error("a function returned no row");
  return row.id;
}

/** As the database keeps a policy: complete, and in milliseconds. */
function stored(retry: RetryPolicy) {
  if ("delays" in retry) return { delays: retry.delays.map((delay) => milliseconds(delay, "retry.delays")) };
  const { attempts, first = "5s", factor = 2, max = "1d" } = retry;
  return { attempts, first: milliseconds(first, "retry.first"), factor, max: milliseconds(max, "retry.max") };
}

function read({ waiting, deliveries }: { waiting: boolean; deliveries: Stored[] }): Found {
  return {
    waiting,
    deliveries: deliveries.map(({ due_at, finished_at, last_status, last_error, ...same }) => ({
      ...same,
      dueAt: due_at,
      finishedAt: finished_at,
      lastStatus: last_status,
      lastError: last_error,
    })),
  };
}

function failureOf(error: unknown): unknown {
  const { code, message, hint } = error as { code?: unknown; message: string; hint?: string };
  if (typeof code !== "string") return error;
  if (PASSING.test(code)) return new Passing(`Postgres cannot be reached (${message}).`, { cause: error });
  const said = hint ? `${sentence(message)} ${hint}` : sentence(message);
  if (code === "23505") return new HookshotError("conflict", said, { cause: error });
  if (code === "42883" || code === "3F000") {
    return new HookshotError("not_found", `${said} Is this DeltaHook's database, and migrated by this version?`, {
      cause: error,
    });
  }
  if (code === "42501" || code.startsWith("28")) {
    const remedy = "Check user and password, and that the user is a member of deltahook_sender.";
    return new HookshotError("refused", `${said} ${remedy}`, { cause: error });
  }
  return new HookshotError("invalid", said, { cause: error });
}

function sentence(message: string): string {
  return /[.?!]$/.test(message) ? message : `${message}.`;
}
