import { LEASE_MS, type Listener, type Listening } from "../../delivering/listen.ts";
import { answersInput, listenQuery } from "../../delivering/listen_input.ts";
import type { ListenRequest } from "../../delivering/listen_store.ts";
import type { Principal } from "../../identity/principal.ts";
import { AppError } from "../../platform/errors.ts";
import { publicId } from "../../platform/ids.ts";
import { exampleId } from "../lists.ts";
import { frame } from "../live.ts";
import { type Route, route } from "../route.ts";
import { createWitness } from "./recorder.ts";

const TAG = "Listening";

/** Then the reader comes back by itself, and its key is looked at again. */
const LONGEST_MS = 60_000;
/** Frames that may wait to be read before no more are taken for a connection. */
const MOST_UNREAD = 16;
const MOST_ANSWERS_BYTES = 4 * 1_048_576;

type ShownListener = ReturnType<typeof showListener>;
type ShownRequest = ReturnType<typeof showRequest>;

const READY_EXAMPLE: { listener: ShownListener } = {
  listener: {
    id: exampleId("endpoint"),
    secret: "whsec_qCvCXYcHW0BVfMaV1f3ZlQ4Qe6rL5oOQ0nq3s2m1k0g=",
    event_types: ["order.*"],
    filter: null,
    lease_seconds: LEASE_MS / 1_000,
  },
};
const DELIVERY_EXAMPLE: ShownRequest = {
  id: exampleId("request"),
  webhook_id: exampleId("event"),
  headers: { "content-type": "application/json", "webhook-id": exampleId("event") },
  body: '{"type":"order.paid","timestamp":"2026-11-21T20:00:00.000Z","data":{"order":42}}',
};

/** What `deltahook listen` is made of: a temporary endpoint whose deliveries come down a stream, and their answers. */
export function listenRoutes({ listening }: { listening: Listening }): Route[] {
  const witness = createWitness("endpoint");

  return [
    route({
      method: "GET",
      path: "/v1/listen",
      summary: "Open a temporary endpoint and read what it is sent, as server-sent events",
      tag: TAG,
      access: "editor",
      query: listenQuery,
      answers: [
        {
          status: 200,
          description:
            "The event `ready` with the listener, then `delivery` for each request to answer; `listener` goes on with an earlier one within 30 s",
          type: "text/event-stream",
          example:
            frame({ event: "ready", data: JSON.stringify(READY_EXAMPLE) }) +
            frame({ event: "delivery", data: JSON.stringify(DELIVERY_EXAMPLE) }),
        },
      ],
      async handle(request) {
        refuseForeignPage(request.headers);
        const told = ({ eventTypes, filter }: Listener) => ({ event_types: eventTypes, filter });
        const listener = await listening.open(
          whoIs(request.principal),
          request.query,
          witness<Listener>(request, "listen", told),
        );
        return streamOf(listening, listener, request.signal);
      },
    }),

    route({
      method: "POST",
      path: "/v1/listen/:id/answers",
      summary: "Answer requests of a listener that you opened; each becomes the response of its attempt",
      tag: TAG,
      access: "editor",
      body: answersInput,
      bodyExample: { answers: [{ request: exampleId("request"), status: 200, headers: {}, body: "ok" }] },
      maxBodyBytes: MOST_ANSWERS_BYTES,
      answers: [{ status: 200, description: "How many of them were still waited for", example: { taken: 1 } }],
      async handle({ id, body, principal }) {
        return { status: 200, body: { taken: await listening.answer(whoIs(principal), id, body.answers) } };
      },
    }),
  ];
}

/**
 * It makes something although it is a GET: no other site may send a browser, with its session, here. On plain http
 * browsers do not say where a request comes from: then only an Authorization header will do, which none sends by itself.
 */
function refuseForeignPage(headers: Headers): void {
  const site = headers.get("sec-fetch-site");
  if (site === "same-origin") return;
  if ((site === null || site === "none") && headers.has("authorization")) return;
  throw new AppError("forbidden", "A page of another site may have sent this request: listen with an API key instead.");
}

function whoIs(principal: Principal): string {
  return principal.kind === "nobody" ? "nobody" : `${principal.kind}:${principal.id}`;
}

function streamOf(listening: Listening, listener: Listener, signal: AbortSignal): Response {
  const encoder = new TextEncoder();
  const ended = new AbortController();
  const ends = AbortSignal.any([signal, ended.signal, AbortSignal.timeout(LONGEST_MS)]);

  const source: UnderlyingDefaultSource<Uint8Array> = {
    start(controller) {
      const write = (text: string) => {
        if (!ends.aborted) controller.enqueue(encoder.encode(text));
      };
      write(frame({ event: "ready", data: JSON.stringify({ listener: showListener(listener) }) }));
      const leave = listening.follow(listener, {
        isReady: () => (controller.desiredSize ?? 0) > 0,
        deliver: (request) => write(frame({ event: "delivery", data: JSON.stringify(showRequest(request)) })),
        beat: () => write(": still here\n\n"),
        end: () => ended.abort(),
      });
      const close = () => {
        leave();
        closeQuietly(controller);
      };
      if (ends.aborted) close();
      else ends.addEventListener("abort", close, { once: true });
    },
    cancel: () => ended.abort(),
  };
  const stream = new ReadableStream(source, { highWaterMark: MOST_UNREAD });
  return new Response(stream, { headers: { "content-type": "text/event-stream", "x-accel-buffering": "no" } });
}

function closeQuietly(controller: ReadableStreamDefaultController<Uint8Array>): void {
  try {
    controller.close();
  } catch {
    // It was cancelled by the reader.
  }
}

function showListener({ id, secret, eventTypes, filter }: Listener) {
  return { id, secret, event_types: eventTypes, filter, lease_seconds: LEASE_MS / 1_000 };
}

function showRequest({ id, headers, body }: ListenRequest) {
  const webhookId = headers["webhook-id"] ?? "";
  return { id: publicId("request", id), webhook_id: webhookId, headers, body: new TextDecoder().decode(body) };
}
