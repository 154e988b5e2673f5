import type { Deliveries } from "../../delivering/deliveries.ts";
import {
  type EventInput,
  eventBatchInput,
  eventInput,
  idempotencyKey,
  replayInput,
} from "../../delivering/event_input.ts";
import type { Accepted, EventDraft, Events, ShownEvent } from "../../delivering/events.ts";
import type { CheckUrl } from "../../delivering/input.ts";
import { AppError, invalid } from "../../platform/errors.ts";
import { parseId } from "../../platform/ids.ts";
import { elementSlices, memberSlices, type Slice } from "../../platform/json_slices.ts";
import { exampleId, listExample, listQuery, pageAnswer } from "../lists.ts";
import { type Route, route } from "../route.ts";
import { DELIVERY_EXAMPLE } from "./deliveries.ts";
import { idFilter, typeFilter } from "./filters.ts";
import { withRawMember } from "./raw_member.ts";
import { createWitness } from "./recorder.ts";

const TAG = "Events";
const BATCH_BYTES = 8 * 1024 * 1024;

const BODY = { type: "order.paid", data: { order: 42, total: 120.5 }, idempotency_key: "order-42-paid" };
const ACCEPTED = { id: exampleId("event"), deliveries: 2 };

const EXAMPLE: ShownEvent = {
  id: exampleId("event"),
  webhook_id: exampleId("event"),
  type: "order.paid",
  origin: "api",
  watch_id: null,
  endpoint_ids: null,
  url: null,
  idempotency_key: "order-42-paid",
  created_at: "2026-11-21T20:00:00.000Z",
};

export type EventRouteDeps = { events: Events; deliveries: Deliveries; checkUrl: CheckUrl };

/** Facts to tell: stated here, looked up, and told once more. */
export function eventRoutes({ events, deliveries, checkUrl }: EventRouteDeps): Route[] {
  const witness = createWitness("event");

  return [
    route({
      method: "POST",
      path: "/v1/events",
      summary: "State an event; answered once it is committed",
      tag: TAG,
      access: "editor",
      body: eventInput(checkUrl),
      bodyExample: BODY,
      answers: [{ status: 202, description: "Its id and how many deliveries are owed", example: ACCEPTED }],
      async handle({ body, text, headers }) {
        const input = withKey(body, headers.get("idempotency-key"));
        return { status: 202, body: await events.submit(draftOf(input, text, 0, text.length, "")) };
      },
    }),

    route({
      method: "POST",
      path: "/v1/events/batch",
      summary: "State up to 500 events, all or none",
      tag: TAG,
      access: "editor",
      body: eventBatchInput(checkUrl),
      bodyExample: { events: [BODY] },
      maxBodyBytes: BATCH_BYTES,
      answers: [{ status: 202, description: "In the order sent", example: { data: [ACCEPTED] } }],
      async handle({ body, text, headers }) {
        if (headers.has("idempotency-key")) throw keyOfBatch();
        const slices = elementSlices(text, sliceOf(text, 0, "events").start);
        const drafts = body.events.map((input, i) => {
          const { start, end } = slices[i] as Slice;
          return draftOf(input, text, start, end, `/events/${i}`);
        });
        return { status: 202, body: { data: await events.submitAll(drafts) } };
      },
    }),

    route({
      method: "GET",
      path: "/v1/events",
      summary: "List events, without their payloads",
      tag: TAG,
      access: "viewer",
      query: listQuery.extend({ type: typeFilter, watch: idFilter("watch") }),
      answers: [{ status: 200, description: "A page of events, newest first", example: listExample(EXAMPLE) }],
      handle: async ({ query }) => pageAnswer("event", await events.list(query)),
    }),

    route({
      method: "GET",
      path: "/v1/events/:id",
      summary: "Show an event; its `data` byte for byte as it was sent",
      tag: TAG,
      access: "viewer",
      answers: [{ status: 200, description: "The event", example: { ...EXAMPLE, data: BODY.data } }],
      async handle({ id }) {
        const { event, data } = await events.get(id);
        return withRawMember(200, event, "data", data);
      },
    }),

    route({
      method: "GET",
      path: "/v1/events/:id/deliveries",
      summary: "List an event's deliveries",
      tag: TAG,
      access: "viewer",
      query: listQuery,
      answers: [
        { status: 200, description: "A page of deliveries, newest first", example: listExample(DELIVERY_EXAMPLE) },
      ],
      async handle({ id, query }) {
        const { event } = await events.get(id);
        const page = await deliveries.list({ ...query, event: parseId("event", event.id) ?? undefined });
        return pageAnswer("delivery", page);
      },
    }),

    route({
      method: "POST",
      path: "/v1/events/:id/replay",
      summary: "Send an event once more, under the same webhook-id",
      tag: TAG,
      access: "editor",
      body: replayInput,
      bodyExample: { endpoint_ids: [exampleId("endpoint")] },
      answers: [{ status: 202, description: "Its id and how many deliveries are owed", example: ACCEPTED }],
      async handle(request) {
        const witnessed = witness<Accepted>(request, "replay", ({ deliveries: made }) => ({ deliveries: made }));
        const replayed = await events.replay(request.id, request.body, witnessed);
        return { status: 202, body: replayed };
      },
    }),
  ];
}

/** An event with the bytes of its `data`, cut from the request that it stands in. */
function draftOf(input: EventInput, text: string, start: number, end: number, pointer: string): EventDraft {
  const data = sliceOf(text, start, "data");
  return { input, data: text.slice(data.start, data.end), body: text.slice(start, end), pointer };
}

function sliceOf(text: string, start: number, name: string): Slice {
  const slice = memberSlices(text, start).get(name);
  if (!slice) throw new Error(`the validated body has no ${name}`);
  return slice;
}

/** The header and the property mean the same. */
function withKey(input: EventInput, header: string | null): EventInput {
  if (header === null) return input;
  const key = idempotencyKey.safeParse(header);
  if (!key.success) {
    throw new AppError("malformed", "The Idempotency-Key header must have 1 to 255 characters, no control characters.");
  }
  if (input.idempotency_key !== undefined && input.idempotency_key !== key.data) {
    throw invalid("/idempotency_key", "The header Idempotency-Key says otherwise: give the key in one place.");
  }
  return { ...input, idempotency_key: key.data };
}

function keyOfBatch(): AppError {
  return new AppError(
    "malformed",
    'The header Idempotency-Key is for one event. In a batch, give each event its own "idempotency_key".',
  );
}
