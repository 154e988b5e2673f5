import type { Clock } from "../platform/clock.ts";
import type { Sql, SqlRunner } from "../platform/database.ts";
import { envelope } from "./envelope.ts";
import type { NewEvent } from "./new_event.ts";
import { insertPublication, isAnyBlocked, lockBlocked, type NewDelivery, nextInLine } from "./publish_store.ts";
import type { Recipient, SubscriptionSet, Subscriptions } from "./subscriptions.ts";

export type { NewEvent };

export type Published = { eventId: string; deliveries: number };

/** The one door from watching into delivering. */
export type Publish = (sql: SqlRunner, events: readonly NewEvent[]) => Promise<Published[]>;

/** First tries per job: a job costs more than a delivery, so that they travel together (docs/how-it-works.md). */
export const CHUNK = 32;

/**
 * States events: event rows, deliveries to all who want them and their jobs, in the caller's transaction or in one of
 * its own. Deliveries of an endpoint that is paused or has a backlog are parked behind that backlog.
 */
export function createPublish(clock: Clock, subscriptions: Subscriptions): Publish {
  return async (sql, events) => {
    if (events.length === 0) return [];
    const set = await subscriptions.load(sql);
    const ids = events.map((event) => event.id ?? clock.uuid());
    const recipients = events.map((event, i) => recipientsOf(set, event, ids[i] as string));
    const deliveries = addressed(ids, recipients, clock);
    const missing = {
      ids: ids.filter((_, i) => !events[i]?.written),
      events: events.filter((event) => !event.written),
    };
    const insert = (runner: SqlRunner) =>
      insertPublication(runner, { ...missing, deliveries, jobs: chunked(deliveries, clock) });
    const queueUp = async (runner: SqlRunner) => {
      await park(runner, deliveries);
      await insert(runner);
    };
    // A line or a backlog is joined under a lock that lasts until the commit; all others need but one statement.
    if (!isPool(sql)) await queueUp(sql);
    else if (await mustQueue(sql, deliveries)) await sql.begin(queueUp);
    else await insert(sql);
    return ids.map((eventId, i) => ({ eventId, deliveries: recipients[i]?.length ?? 0 }));
  };
}

function recipientsOf(set: SubscriptionSet, event: NewEvent, id: string): Recipient[] {
  if (event.target) return [{ endpointId: event.target.endpointId, ordered: false }];
  if (event.endpointIds && event.endpointIds.length > 0) return set.chosen(event.endpointIds);
  return set.matching(
    event.type,
    () => envelope({ id, originalId: null, type: event.type, data: event.data }),
    event.aboutEndpoint,
  );
}

function addressed(ids: string[], recipients: Recipient[][], clock: Clock): NewDelivery[] {
  return ids.flatMap((eventId, i) =>
    (recipients[i] ?? []).map(({ endpointId, ordered }) => ({
      id: clock.uuid(),
      eventId,
      endpointId,
      ordered,
      seq: null,
      parked: false,
      job: null,
    })),
  );
}

function isPool(sql: SqlRunner): sql is Sql {
  return "begin" in sql;
}

async function mustQueue(sql: Sql, deliveries: readonly NewDelivery[]): Promise<boolean> {
  if (deliveries.some((delivery) => delivery.ordered)) return true;
  return deliveries.length > 0 && (await isAnyBlocked(sql, endpointsOf(deliveries)));
}

/** An ordered endpoint's deliveries all join its line, and the line has at most one head outside. */
async function park(sql: SqlRunner, deliveries: NewDelivery[]): Promise<void> {
  if (deliveries.length === 0) return;
  const ordered = deliveries.filter((delivery) => delivery.ordered);
  const blocked = await lockBlocked(sql, endpointsOf(deliveries), endpointsOf(ordered));
  const lines = ordered.length > 0 ? await nextInLine(sql, ordered) : new Map<string, { seq: number; free: boolean }>();
  for (const delivery of deliveries) {
    const line = lines.get(delivery.endpointId);
    if (line) {
      delivery.seq = line.seq++;
      delivery.parked = !line.free;
      line.free = false;
    }
    if (blocked.has(delivery.endpointId)) delivery.parked = true;
  }
}

function endpointsOf(deliveries: readonly NewDelivery[]): string[] {
  return [...new Set(deliveries.map((delivery) => delivery.endpointId))].sort();
}

function chunked(deliveries: NewDelivery[], clock: Clock): { id: string; deliveries: string[] }[] {
  const jobs: { id: string; deliveries: string[] }[] = [];
  for (const delivery of deliveries) {
    if (delivery.parked) continue;
    let job = jobs.at(-1);
    if (!job || job.deliveries.length >= CHUNK) {
      job = { id: clock.uuid(), deliveries: [] };
      jobs.push(job);
    }
    job.deliveries.push(delivery.id);
    delivery.job = job.id;
  }
  return jobs;
}
