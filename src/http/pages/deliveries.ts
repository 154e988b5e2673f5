import { z } from "zod";
import { DeliveriesPage, DeliveryPage } from "../../../views/deliveries.tsx";
import { EventPage, EventsPage } from "../../../views/events.tsx";
import type { Accepted } from "../../delivering/events.ts";
import type { Resources } from "../../delivering/resources.ts";
import type { Database } from "../../platform/database.ts";
import { parseId, publicId } from "../../platform/ids.ts";
import { idFilter } from "../api/filters.ts";
import { createWitness } from "../api/recorder.ts";
import { listEndpointNames, readNames } from "../names_store.ts";
import type { Route } from "../route.ts";
import { beforeQuery, PAGE_ROWS, pagerOf } from "./list.ts";
import { withNotice } from "./notices.ts";
import { action, page } from "./page.ts";

/** Events and the deliveries that they are owed as. */
export function deliveryPages({ database, resources }: { database: Database; resources: Resources }): Route[] {
  const { sql } = database;
  const { events, deliveries } = resources;
  const eventWitness = createWitness("event");
  const witness = createWitness("delivery");

  return [
    page({
      path: "/events",
      access: "viewer",
      query: { before: beforeQuery("event"), type: z.string().max(200).optional(), watch: idFilter("watch") },
      async show({ query: { before, type, watch } }, frame) {
        const { data, next } = await events.list({ type, watch, cursor: before, limit: PAGE_ROWS });
        const query = { ...(type ? { type } : {}), ...(watch ? { watch: publicId("watch", watch) } : {}) };
        const watches = data.map(({ watch_id }) => watch_id);
        const names = await readNames(sql, watches);
        return EventsPage({ frame, events: data, names, query, pager: pagerOf("/events", query, { before, next }) });
      },
    }),

    page({
      path: "/events/:id",
      access: "viewer",
      async show({ id }, frame) {
        const { event, data } = await events.get(id);
        const uuid = parseId("event", id) ?? undefined;
        const [owed, names] = await Promise.all([
          deliveries.list({ event: uuid, cursor: null, limit: PAGE_ROWS }),
          readNames(sql, [event.watch_id]),
        ]);
        return EventPage({ frame, event, data, deliveries: owed.data, names });
      },
    }),

    action({
      path: "/events/:id/replay",
      access: "editor",
      async perform(request) {
        const witnessed = eventWitness<Accepted>(request, "replay", ({ deliveries: made }) => ({ deliveries: made }));
        await events.replay(request.id, [], witnessed);
        return withNotice(`/events/${request.id}`, "replayed");
      },
    }),

    page({
      path: "/deliveries",
      access: "viewer",
      query: {
        before: beforeQuery("delivery"),
        status: z.enum(["pending", "delivered", "dead", "cancelled"]).optional(),
        endpoint: idFilter("endpoint"),
        event: idFilter("event"),
        watch: idFilter("watch"),
      },
      async show({ query: { before, ...filter } }, frame) {
        const [{ data, next }, endpoints] = await Promise.all([
          deliveries.list({ ...filter, cursor: before, limit: PAGE_ROWS }),
          listEndpointNames(sql, filter.endpoint),
        ]);
        const { status, endpoint, event, watch } = filter;
        const query = {
          ...(status ? { status } : {}),
          ...(endpoint ? { endpoint: publicId("endpoint", endpoint) } : {}),
          ...(event ? { event: publicId("event", event) } : {}),
          ...(watch ? { watch: publicId("watch", watch) } : {}),
        };
        return DeliveriesPage({
          frame,
          deliveries: data,
          query,
          endpoints,
          pager: pagerOf("/deliveries", query, { before, next }),
        });
      },
    }),

    page({
      path: "/deliveries/:id",
      access: "viewer",
      async show({ id }, frame) {
        const delivery = await deliveries.get(id);
        return DeliveryPage({ frame, delivery, names: await readNames(sql, [delivery.watch_id]) });
      },
    }),

    action({
      path: "/deliveries/:id/retry",
      access: "editor",
      async perform(request) {
        const tell = (made: { id: string }) => ({ delivery: made.id });
        const { id } = await deliveries.retry(request.id, witness(request, "retry", tell, request.id));
        return withNotice(`/deliveries/${id}`, "retried");
      },
    }),

    action({
      path: "/deliveries/:id/cancel",
      access: "editor",
      async perform(request) {
        await deliveries.cancel(request.id, witness(request, "cancel"));
        return withNotice(`/deliveries/${request.id}`, "cancelled");
      },
    }),
  ];
}
