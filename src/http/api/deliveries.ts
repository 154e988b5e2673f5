import { z } from "zod";
import type { Deliveries, ShownAttempt, ShownDelivery } from "../../delivering/deliveries.ts";
import { exampleId, listExample, listQuery, pageAnswer } from "../lists.ts";
import { type Route, route } from "../route.ts";
import { idFilter } from "./filters.ts";
import { createWitness } from "./recorder.ts";

const TAG = "Deliveries";

export const ATTEMPT_EXAMPLE: ShownAttempt = {
  number: 1,
  at: "2026-11-21T20:00:00.120Z",
  outcome: "failed",
  probe: false,
  request: {
    url: "https://billing.example.com/hooks",
    headers: { "content-type": "application/json", "webhook-id": exampleId("event") },
    body: '{"type":"order.paid","timestamp":"2026-11-21T20:00:00.000Z","data":{"order":42}}',
  },
  response: { status: 503, headers: { "retry-after": "30" }, body: "maintenance" },
  error: "The endpoint answered 503.",
  ms: 48,
  plugins: [],
};

export const DELIVERY_EXAMPLE: ShownDelivery = {
  id: exampleId("delivery"),
  status: "pending",
  event_id: exampleId("event"),
  event_type: "order.paid",
  webhook_id: exampleId("event"),
  watch_id: null,
  endpoint_id: exampleId("endpoint"),
  endpoint_name: "Billing",
  url: "https://billing.example.com/hooks",
  tries: 1,
  parked: false,
  due_at: "2026-11-21T20:00:30.120Z",
  last_status: 503,
  last_error: "The endpoint answered 503.",
  created_at: "2026-11-21T20:00:00.000Z",
  finished_at: null,
};

const deliveriesQuery = listQuery.extend({
  status: z.enum(["pending", "delivered", "dead", "cancelled"]).optional(),
  endpoint: idFilter("endpoint"),
  event: idFilter("event"),
  watch: idFilter("watch"),
});

/** Each event owed to each endpoint, with every try. */
export function deliveryRoutes({ deliveries }: { deliveries: Deliveries }): Route[] {
  const witness = createWitness("delivery");

  return [
    route({
      method: "GET",
      path: "/v1/deliveries",
      summary: "List deliveries",
      tag: TAG,
      access: "viewer",
      query: deliveriesQuery,
      answers: [
        { status: 200, description: "A page of deliveries, newest first", example: listExample(DELIVERY_EXAMPLE) },
      ],
      handle: async ({ query }) => pageAnswer("delivery", await deliveries.list(query)),
    }),

    route({
      method: "GET",
      path: "/v1/deliveries/:id",
      summary: "Show a delivery with every attempt: what was sent and what came back",
      tag: TAG,
      access: "viewer",
      answers: [
        { status: 200, description: "The delivery", example: { ...DELIVERY_EXAMPLE, attempts: [ATTEMPT_EXAMPLE] } },
      ],
      handle: async ({ id }) => ({ status: 200, body: await deliveries.get(id) }),
    }),

    route({
      method: "POST",
      path: "/v1/deliveries/:id/retry",
      summary: "Try now; a dead or cancelled delivery gets its whole schedule again",
      tag: TAG,
      access: "editor",
      answers: [{ status: 200, description: "The delivery as it is now", example: DELIVERY_EXAMPLE }],
      async handle(request) {
        const tell = ({ id }: { id: string }) => ({ delivery: id });
        const delivery = await deliveries.retry(request.id, witness(request, "retry", tell, request.id));
        return { status: 200, body: delivery };
      },
    }),

    route({
      method: "POST",
      path: "/v1/deliveries/:id/cancel",
      summary: "Never try again",
      tag: TAG,
      access: "editor",
      answers: [
        {
          status: 200,
          description: "The delivery as it is now",
          example: { ...DELIVERY_EXAMPLE, status: "cancelled", due_at: null },
        },
      ],
      async handle(request) {
        return { status: 200, body: await deliveries.cancel(request.id, witness(request, "cancel")) };
      },
    }),
  ];
}
