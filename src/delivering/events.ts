import { createBatcher } from "../platform/batch.ts";
import type { Clock } from "../platform/clock.ts";
import type { Database } from "../platform/database.ts";
import { AppError, invalid } from "../platform/errors.ts";
import { parseId, publicId, uuidTime } from "../platform/ids.ts";
import type { Witness } from "../platform/witness.ts";
import type { Vault } from "../vault/vault.ts";
import { type DirectEndpoints, storeTarget } from "./direct.ts";
import type { EndpointKind } from "./endpoint.ts";
import { existingEndpoints } from "./endpoint_store.ts";
import { webhookId } from "./envelope.ts";
import type { EventInput } from "./event_input.ts";
import * as store from "./event_store.ts";
import { type Ingest, requestHash, type Submission } from "./ingest.ts";
import { isoTime, type Page, type PageRequest, pageOfRows } from "./page.ts";
import type { Published } from "./publish.ts";

/** An event to be accepted: `data` and `body` are slices of the request, `pointer` is where it stands in that. */
export type EventDraft = { input: EventInput; data: string; body: string; pointer: string };
export type Accepted = { id: string; deliveries: number };
export type ShownEvent = ReturnType<typeof showEvent>;

/** The resource `/v1/events`. Ids are public ones (`evt_…`); an unknown one throws a 404. */
export type Events = {
  /** Resolves after the commit. */
  submit(draft: EventDraft): Promise<Accepted>;
  /** All or none, in one transaction; answers in order. */
  submitAll(drafts: EventDraft[]): Promise<Accepted[]>;
  /** Without the payloads. `watch` is a UUID. */
  list(page: PageRequest & { type?: string | undefined; watch?: string | undefined }): Promise<Page<ShownEvent>>;
  /** What a watch (a UUID) stated last, the newest first, with the payloads. */
  listStated(watch: string, limit: number): Promise<{ event: ShownEvent; data: string }[]>;
  /** `data` is the payload's JSON text, byte for byte. */
  get(id: string): Promise<{ event: ShownEvent; data: string }>;
  /** Sends it once more, under the same `webhook-id`, to the given endpoints (UUIDs) or those that it was owed to. */
  replay(id: string, endpointIds: readonly string[], witness?: Witness<Accepted>): Promise<Accepted>;
};

const MOST_DATA_BYTES = 256 * 1024;

export function createEvents(deps: {
  database: Database;
  clock: Clock;
  vault: Vault;
  ingest: Ingest;
  direct: DirectEndpoints;
  /** Something is due now that was not before. */
  wake(): void;
}): Events {
  const { sql } = deps.database;
  const known = createBatcher<readonly string[], Map<string, EndpointKind>>({
    size: 500,
    waitMs: 1,
    concurrency: 2,
    async run(wanted) {
      const rows = await existingEndpoints(sql, [...new Set(wanted.flat())]);
      const kinds = new Map(rows.map(({ id, kind }) => [id, kind]));
      return wanted.map(() => kinds);
    },
  });

  async function submissionOf(draft: EventDraft): Promise<Submission> {
    const { input, data, body } = draft;
    refuseTooLarge(draft);
    const event: Submission["event"] = { type: input.type, data, origin: "api" };
    if (input.idempotency_key !== undefined) event.idempotencyKey = input.idempotency_key;
    if (input.endpoint_ids.length > 0) {
      await requireEndpoints(input.endpoint_ids, draft.pointer);
      event.endpointIds = input.endpoint_ids;
    }
    if (input.url !== undefined) {
      const { url, headers, retry, timeout: timeoutMs, dead_letter_retention: keepMs } = input;
      event.id = deps.clock.uuid();
      const stored = await storeTarget(deps.vault, event.id, { url, headers, retry, timeoutMs, keepMs });
      event.target = { endpointId: await deps.direct.endpointFor(url), stored };
    }
    return { event, requestHash: requestHash(body) };
  }

  /** @throws AppError (422) naming the first that is no endpoint to choose. */
  async function requireEndpoints(ids: readonly string[], pointer: string): Promise<void> {
    const kinds = await known.add(ids);
    const at = ids.findIndex((id) => !kinds.has(id) || kinds.get(id) === "direct");
    const id = ids[at];
    if (id === undefined) return;
    const found = publicId("endpoint", id);
    throw invalid(
      `${pointer}/endpoint_ids/${at}`,
      kinds.has(id)
        ? `${found} is the implicit endpoint of an origin: send with "url" instead.`
        : `There is no endpoint ${found}. GET /v1/endpoints lists all.`,
    );
  }

  async function find(id: string) {
    const uuid = parseId("event", id);
    const row = uuid === null ? undefined : await store.findEvent(sql, uuid);
    if (!row) throw eventNotFound(id);
    return row;
  }

  return {
    async submit(draft) {
      return accepted(await deps.ingest.submit(await submissionOf(draft)));
    },

    async submitAll(drafts) {
      const submissions = await Promise.all(drafts.map(submissionOf));
      return (await deps.ingest.submitAll(submissions)).map(accepted);
    },

    async list({ limit, ...filter }) {
      return pageOfRows(await store.listEvents(sql, { ...filter, limit: limit + 1 }), limit, showEvent);
    },

    async listStated(watch, limit) {
      const rows = await store.listStated(sql, watch, limit);
      return rows.map((row) => ({ event: showEvent(row), data: row.data }));
    },

    async get(id) {
      const row = await find(id);
      return { event: showEvent(row), data: row.data };
    },

    async replay(id, endpointIds, witness) {
      const row = await find(id);
      if (endpointIds.length > 0) {
        if (row.url !== null) throw invalid("/endpoint_ids", `The event was sent to ${row.url} and goes there again.`);
        await requireEndpoints(endpointIds, "");
      }
      const recipients = endpointIds.length > 0 ? endpointIds : await store.recipientsSoFar(sql, row.id);
      if (recipients.length === 0) throw nobody();
      const replayed = await sql.begin(async (tx) => {
        const made = { id: publicId("event", row.id), deliveries: await store.insertReplays(tx, row.id, recipients) };
        await witness?.(tx, made);
        return made;
      });
      deps.wake();
      return replayed;
    },
  };
}

export function eventNotFound(id: string): AppError {
  return new AppError(
    "not_found",
    `There is no event ${id.slice(0, 100)}; it never was, or it is older than RETAIN_EVENTS.`,
  );
}

function accepted({ eventId, deliveries }: Published): Accepted {
  return { id: publicId("event", eventId), deliveries };
}

function showEvent(row: store.EventRow) {
  return {
    id: publicId("event", row.id),
    webhook_id: webhookId({ id: row.id, originalId: row.original_id }),
    type: row.type,
    origin: row.origin,
    watch_id: row.watch_id === null ? null : publicId("watch", row.watch_id),
    endpoint_ids: row.endpoint_ids?.map((id) => publicId("endpoint", id)) ?? null,
    url: row.url,
    idempotency_key: row.idempotency_key,
    created_at: isoTime(uuidTime(row.original_id ?? row.id)),
  };
}

function refuseTooLarge({ data, pointer }: EventDraft): void {
  if (data.length <= MOST_DATA_BYTES / 4 || Buffer.byteLength(data) <= MOST_DATA_BYTES) return;
  const message = `data has more than ${MOST_DATA_BYTES} bytes (256 KiB). Send less, or a link to the rest.`;
  throw new AppError("too_large", message, { faults: [{ pointer: `${pointer}/data`, message }] });
}

function nobody(): AppError {
  return new AppError(
    "conflict",
    'Nobody received this event, or none of them exists any more. Name whom to send it to in "endpoint_ids".',
  );
}
