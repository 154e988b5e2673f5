import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import { AppError } from "../platform/errors.ts";
import { parseId, publicId } from "../platform/ids.ts";
import { deleteLetter } from "./dead_letter_store.ts";
import type { Deliverer } from "./deliver.ts";
import type { Deliveries, ShownAttempt } from "./deliveries.ts";
import { cancelDelivery } from "./delivery_store.ts";
import { type EndpointRow, findEndpoint } from "./endpoint_store.ts";
import { endpointNotFound } from "./endpoints.ts";
import { insertPing } from "./event_store.ts";
import { loadOwed } from "./store.ts";

export type Pinged = { event_id: string; delivery_id: string; attempt: ShownAttempt };

/** Sends a `test.ping` event to one endpoint now, also when it is paused, and answers the attempt. It is tried once. */
export type TestPing = (endpointId: string) => Promise<Pinged>;

/** Longer than any timeout: until then nobody takes the delivery for lost. */
const LEASE_MS = 10 * 60_000;

export function createTestPing(deps: {
  database: Database;
  clock: Clock;
  deliverer: Deliverer;
  deliveries: Deliveries;
}): TestPing {
  const { sql } = deps.database;

  return async (endpointId) => {
    const uuid = parseId("endpoint", endpointId);
    const endpoint = uuid === null ? undefined : await findEndpoint(sql, uuid);
    if (!endpoint) throw endpointNotFound(endpointId);
    if (endpoint.kind === "direct") throw noAddress(endpoint);
    const ping = { event: deps.clock.uuid(), delivery: deps.clock.uuid(), job: deps.clock.uuid() };
    const shownEndpoint = { id: endpointId, name: endpoint.name };
    const data = JSON.stringify({ endpoint: shownEndpoint, message: "A test of this endpoint." });
    await insertPing(sql, { ...ping, endpoint: endpoint.id, data, leaseMs: LEASE_MS });
    const [owed] = await loadOwed(sql, [ping.delivery], [ping.job]);
    const recorded = owed ? await deps.deliverer.tryNow(owed) : null;
    await forget(ping.delivery);
    const shown = await deps.deliveries.get(publicId("delivery", ping.delivery));
    const attempt = shown.attempts.at(-1);
    if (!recorded || !attempt) throw endpointNotFound(endpointId);
    return { event_id: publicId("event", ping.event), delivery_id: shown.id, attempt };
  };

  /** A test that failed is neither tried again nor a dead letter. */
  async function forget(deliveryId: string): Promise<void> {
    await cancelDelivery(sql, deliveryId, "A test is tried once.");
    await deleteLetter(sql, deliveryId);
  }
}

function noAddress({ name }: EndpointRow): AppError {
  return new AppError(
    "conflict",
    `This is the implicit endpoint of ${name}, without an address of its own: send an event with "url" instead.`,
  );
}
