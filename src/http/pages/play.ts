import { PlayPage, Received, type ReceivedWebhook } from "../../../views/play.tsx";
import { endpointInput } from "../../delivering/endpoint_input.ts";
import type { ShownEndpoint } from "../../delivering/endpoints.ts";
import { envelope } from "../../delivering/envelope.ts";
import { eventInput } from "../../delivering/event_input.ts";
import type { CheckUrl } from "../../delivering/input.ts";
import type { Resources } from "../../delivering/resources.ts";
import { signatureHeader, signingKey } from "../../delivering/signature.ts";
import type { Database } from "../../platform/database.ts";
import { publicId, uuidTime } from "../../platform/ids.ts";
import { watchInput } from "../../watching/watch.ts";
import type { CreatedWatches } from "../../watching/watches.ts";
import type { Watching } from "../../watching/watching.ts";
import { createWitness } from "../api/recorder.ts";
import {
  listReceived,
  PLAY_FAILING,
  PLAY_RECEIVER,
  PLAY_SOURCE,
  type ReceivedRow,
  readPlayground,
} from "../play_store.ts";
import type { Route, RouteRequest } from "../route.ts";
import { validate } from "../validation.ts";
import { withNotice } from "./notices.ts";
import { action, fragment, page } from "./page.ts";

const SAMPLE_WATCH = {
  name: "Sample order",
  request: { url: PLAY_SOURCE },
  schedule: { every: "2s" },
  fields: { status: "$.order.status", total: "$.order.total" },
  event_type: "sample.order.changed",
};
/** Of these two it gets only what is sent to it by name. It soon gives up, and is never paused, so that all can be seen. */
const FAILING_ENDPOINT = {
  name: "Play: always fails",
  url: PLAY_FAILING,
  event_types: ["play.fails"],
  retry: { delays: ["2s", "5s", "10s"] },
  auto_pause: false,
};

type Asker = Pick<RouteRequest<unknown, unknown>, "principal" | "address">;

/** A first webhook without any other program: the built-in source and receivers, and what arrived there. */
export function playPages(deps: {
  database: Database;
  watching: Pick<Watching, "watches">;
  resources: Pick<Resources, "endpoints" | "events">;
  checkUrl: CheckUrl;
}): Route[] {
  const { sql } = deps.database;
  const { watches } = deps.watching;
  const { endpoints, events } = deps.resources;
  const watchWitness = createWitness("watch");
  const endpointWitness = createWitness("endpoint");
  const endpointBody = endpointInput(deps.checkUrl);
  const eventBody = eventInput(deps.checkUrl);

  const playground = () => readPlayground(sql);

  async function received(): Promise<ReceivedWebhook[]> {
    const rows = await listReceived(sql);
    const ids = [...new Set(rows.map((row) => row.endpoint_id))];
    const keys = new Map(await Promise.all(ids.map(async (id) => [id, await keysOf(id)] as const)));
    return rows.map((row) => showReceived(row, keys.get(row.endpoint_id) ?? []));
  }

  /** The signing secrets in force. */
  async function keysOf(endpoint: string): Promise<Uint8Array[]> {
    const { secret, previous } = await endpoints.secret(publicId("endpoint", endpoint));
    return [secret, ...previous.map((earlier) => earlier.secret)].map(signingKey);
  }

  /** The id of the endpoint at a built-in address, which is made when there is none. */
  async function endpointAt(asker: Asker, url: string, body: object): Promise<string> {
    const known = (await playground()).endpoints.find((endpoint) => endpoint.url === url);
    if (known) return publicId("endpoint", known.id);
    const witnessed = endpointWitness<ShownEndpoint>(asker, "create", ({ name }) => ({ name, url }));
    const { id } = await endpoints.create(validate(endpointBody, body, "form"), witnessed);
    return id;
  }

  const playEndpoint = (asker: Asker) => endpointAt(asker, PLAY_RECEIVER, { name: "Play", url: PLAY_RECEIVER });

  return [
    page({
      path: "/play",
      access: "viewer",
      async show(_request, frame) {
        const [{ watches: known, endpoints: open }, webhooks] = await Promise.all([playground(), received()]);
        return PlayPage({
          frame,
          watches: known.map(({ id, name }) => ({ id: publicId("watch", id), name })),
          endpoints: open.map(({ id, name, url }) => ({ id: publicId("endpoint", id), name, url })),
          canReceive: open.some(({ url }) => url === PLAY_RECEIVER),
          webhooks,
        });
      },
    }),

    page({
      path: "/play/received",
      access: "viewer",
      show: async (_request, frame) => fragment(Received({ frame, webhooks: await received() })),
    }),

    action({
      path: "/play/endpoint",
      access: "editor",
      async perform(request) {
        await playEndpoint(request);
        return withNotice("/play", "created");
      },
    }),

    action({
      path: "/play/watch",
      access: "editor",
      async perform(request) {
        if ((await playground()).watches.length > 0) return "/play";
        // Named, so that no endpoint of real use hears of the sample.
        const body = { ...SAMPLE_WATCH, endpoint_ids: [await playEndpoint(request)] };
        const witnessed = watchWitness<CreatedWatches>(request, "create", { name: body.name });
        await watches.create([validate(watchInput, body, "form")], undefined, witnessed);
        return withNotice("/play", "created");
      },
    }),

    action({
      path: "/play/fail",
      access: "editor",
      async perform(request) {
        const data = JSON.stringify({ message: "The receiver of this event answers 500." });
        const id = await endpointAt(request, PLAY_FAILING, FAILING_ENDPOINT);
        const body = { type: "play.fails", data: JSON.parse(data), endpoint_ids: [id] };
        const input = validate(eventBody, body, "form");
        await events.submit({ input, data, body: JSON.stringify(body), pointer: "" });
        return "/play";
      },
    }),
  ];
}

function showReceived(row: ReceivedRow, keys: readonly Uint8Array[]): ReceivedWebhook {
  const { data, event_type: type } = row;
  const made =
    data === null || type === null ? null : envelope({ id: row.event_id, originalId: row.original_id, type, data });
  const body = row.request_body ?? made;
  return {
    id: row.id,
    at: new Date(uuidTime(row.id)).toISOString(),
    deliveryId: publicId("delivery", row.delivery_id),
    endpointName: row.endpoint_name,
    type,
    number: row.number,
    status: row.status,
    headers: row.request_headers,
    body,
    isVerified: body === null ? null : isSigned(row.request_headers, body, keys),
  };
}

/** As a receiver checks it: one of the signatures is that of one of its secrets (Standard Webhooks 1.0). */
export function isSigned(headers: Record<string, string>, body: string, keys: readonly Uint8Array[]): boolean {
  const { "webhook-id": id = "", "webhook-timestamp": timestamp = "", "webhook-signature": signatures = "" } = headers;
  const expected = signatureHeader(id, Number(timestamp), body, keys).split(" ");
  return signatures.split(" ").some((signature) => signature !== "" && expected.includes(signature));
}
