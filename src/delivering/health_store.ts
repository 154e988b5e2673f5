import type { Sql, SqlRunner } from "../platform/database.ts";
import type { Health } from "./health.ts";

export type HealthRow = Health & { endpointId: string; name: string; url: string; autoPause: boolean };

/** Locks the health of these endpoints, in id order as everybody does, and reads it. */
export async function lockHealth(sql: SqlRunner, endpointIds: readonly string[]): Promise<HealthRow[]> {
  return sql<HealthRow[]>`
    select health.endpoint_id as "endpointId", endpoint.name, endpoint.url, endpoint.auto_pause as "autoPause",
      paused_reason as "pausedReason", (extract(epoch from paused_since) * 1000)::float8 as "pausedSince",
      (extract(epoch from hold_until) * 1000)::float8 as "holdUntil",
      (extract(epoch from failing_since) * 1000)::float8 as "failingSince", warned,
      (extract(epoch from window_at) * 1000)::float8 as "windowAt", window_tries as "windowTries",
      window_failures as "windowFailures", (extract(epoch from probe_at) * 1000)::float8 as "probeAt", probe_step as "probeStep"
    from deltahook.endpoint_health health
    join deltahook.endpoints endpoint on endpoint.id = health.endpoint_id
    where health.endpoint_id = any(${endpointIds as string[]}::uuid[])
    order by health.endpoint_id
    for update of health`;
}

export async function saveHealth(sql: SqlRunner, endpointId: string, health: Health): Promise<void> {
  await sql`
    update deltahook.endpoint_health set
      paused_reason = ${health.pausedReason}, paused_since = ${at(health.pausedSince)}, hold_until = ${at(health.holdUntil)},
      failing_since = ${at(health.failingSince)}, warned = ${health.warned}, window_at = ${at(health.windowAt)},
      window_tries = ${health.windowTries}, window_failures = ${health.windowFailures}, probe_at = ${at(health.probeAt)},
      probe_step = ${health.probeStep}
    where endpoint_id = ${endpointId}`;
}

function at(ms: number | null): Date | null {
  return ms === null ? null : new Date(ms);
}

/**
 * Sends one probe for each failing endpoint whose time has come: its oldest parked delivery, in a job of its own, or the
 * head of its line while that waits for its next try. The next probe is moved away first, so that a probe lost with its
 * node is followed by another.
 */
export async function sendProbes(sql: Sql, leaseMs: number): Promise<number> {
  const [row] = await sql<{ probes: number }[]>`
    with
    due as (
      select endpoint_id from deltahook.endpoint_health
      where paused_reason = 'failing' and probe_at <= now() and coalesce(hold_until <= now(), true)
      order by endpoint_id limit 1000
      for update skip locked
    ),
    claimed as (
      update deltahook.endpoint_health health set probe_at = now() + make_interval(secs => ${leaseMs / 1000})
      from due where health.endpoint_id = due.endpoint_id
    ),
    probes as (
      select deltahook.uuid7() as job, coalesce(
        (select id from deltahook.deliveries
         where endpoint_id = due.endpoint_id and state = 'pending' and not parked and seq is not null limit 1),
        (select id from deltahook.deliveries
         where endpoint_id = due.endpoint_id and parked
         order by seq, id limit 1)) as id
      from due
    ),
    taken as (
      update deltahook.deliveries delivery set parked = false, probe = true, due_at = now(), job = probes.job
      from probes where delivery.id = probes.id and delivery.state = 'pending' and delivery.job is null
      returning delivery.id, delivery.job
    )
    select deltahook.enqueue('deliver', array_agg(job::text),
             array_agg(json_build_object('job', job, 'deliveries', array[id]))) as probes
    from taken`;
  return row?.probes ?? 0;
}
