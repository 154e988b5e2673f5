import type { Clock } from "../platform/clock.ts";
import type { SqlRunner } from "../platform/database.ts";
import { envelope } from "./envelope.ts";
import { insertPublication, lockBlocked, type NewDelivery, nextInLine } from "./publish_store.ts";
import type { Recipient, SubscriptionSet, Subscriptions } from "./subscriptions.ts";

/** One fact to tell. */
export type NewEvent = {
  type: string;
  /** The payload's `data` as JSON text: these very bytes are sent. */
  data: string;
  origin: "watch" | "api" | "sql" | "system";
  watchId?: string;
  /** Exactly these endpoints (UUIDs); empty or absent: whoever subscribes to the type. */
  endpointIds?: readonly string[];
  /** The endpoint that a system event is about, and that it never reaches. */
  aboutEndpoint?: string;
  /** A direct send: the implicit endpoint of its origin, and what is particular to this one. */
  target?: { endpointId: string; stored: string };
  idempotencyKey?: string;
};

export type Published = { eventId: string; deliveries: number };

/** The one door from watching into delivering. */
export type Publish = (sql: SqlRunner, events: readonly NewEvent[]) => Promise<Published[]>;

/** First tries per job: a job costs more than a delivery, so that they travel together (docs/how-it-works.md). */
export const CHUNK = 32;

/**
 * States events: event rows, deliveries to all who want them and their jobs, in the caller's transaction or in one
 * statement of its own. Deliveries of an endpoint that is paused or has a backlog are parked behind that backlog.
 */
export function createPublish(clock: Clock, subscriptions: Subscriptions): Publish {
  return async (sql, events) => {
    if (events.length === 0) return [];
    const set = await subscriptions.load(sql);
    const ids = events.map(() => clock.uuid());
    const recipients = events.map((event, i) => recipientsOf(set, event, ids[i] as string));
    const deliveries = addressed(ids, recipients, clock);
    await park(sql, deliveries);
    const jobs = chunked(deliveries, clock);
    await insertPublication(sql, { ids, events, deliveries, jobs });
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

/** An ordered endpoint's deliveries all join its line, and the line has at most one head outside. */
async function park(sql: SqlRunner, deliveries: NewDelivery[]): Promise<void> {
  if (deliveries.length === 0) return;
  const endpointIds = [...new Set(deliveries.map((delivery) => delivery.endpointId))].sort();
  const blocked = await lockBlocked(sql, endpointIds);
  const ordered = deliveries.filter((delivery) => delivery.ordered);
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
