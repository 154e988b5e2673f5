import type { Sql } from "../platform/database.ts";
import { publicId } from "../platform/ids.ts";

/** What a person should look at; of each kind the first few. */
export type Attention = {
  watches: { id: string; name: string; state: "failing" | "held"; problem: string | null }[];
  endpoints: { id: string; name: string; reason: "manual" | "gone" | "failing"; since: string }[];
  letters: { id: string; type: string; endpointName: string | null; error: string | null; diedAt: string }[];
};

const SHOWN = 5;
const NEW_LETTERS = "24 hours";

/** Each question is answered by an index or a small table, and stops at the first few. */
export async function readAttention(sql: Sql): Promise<Attention> {
  const [watches, endpoints, letters] = await Promise.all([
    sql<{ id: string; name: string; failing: boolean; problem: string | null }[]>`
      select watch.id, watch.name, status.failing, status.problem
      from deltahook.watch_status status join deltahook.watches watch on watch.id = status.watch_id
      where (status.failing or status.held is not null) and watch.paused_at is null
      limit ${SHOWN}`,
    sql<{ id: string; name: string; reason: "manual" | "gone" | "failing"; since: Date }[]>`
      select endpoint.id, endpoint.name, paused_reason as reason, paused_since as since
      from deltahook.endpoint_health health join deltahook.endpoints endpoint on endpoint.id = health.endpoint_id
      where paused_reason is not null
      order by paused_since desc limit ${SHOWN}`,
    sql<{ id: string; type: string; endpointName: string | null; error: string | null; diedAt: Date }[]>`
      select delivery_id as id, type, endpoint.name as "endpointName", last_error as error, died_at as "diedAt"
      from deltahook.dead_letters dead left join deltahook.endpoints endpoint on endpoint.id = dead.endpoint_id
      where died_at > now() - ${NEW_LETTERS}::text::interval
      order by died_at desc limit ${SHOWN}`,
  ]);
  return {
    watches: watches.map(({ id, name, failing, problem }) => ({
      id: publicId("watch", id),
      name,
      state: failing ? "failing" : "held",
      problem,
    })),
    endpoints: endpoints.map((row) => ({ ...row, id: publicId("endpoint", row.id), since: row.since.toISOString() })),
    letters: letters.map((row) => ({ ...row, id: publicId("delivery", row.id), diedAt: row.diedAt.toISOString() })),
  };
}
