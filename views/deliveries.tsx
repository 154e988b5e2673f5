import type { ShownAttempt, ShownDelivery } from "../src/delivering/deliveries.ts";
import type { Names } from "../src/http/names_store.ts";
import { ConfirmPost, type EndpointNames, EndpointSelect, IdField, Post, Select } from "./form.tsx";
import { type Frame, Layout, mayEdit } from "./layout.tsx";
import {
  Clip,
  ClipLink,
  Code,
  Copyable,
  Empty,
  Headers,
  Moment,
  Pager,
  Status,
  span,
  Time,
  type Tone,
} from "./pieces.tsx";

export const DELIVERY_TONES: Record<ShownDelivery["status"], Tone> = {
  pending: "info",
  delivered: "good",
  dead: "bad",
  cancelled: "none",
};

const STATUSES = [
  { value: "", text: "Any" },
  { value: "pending", text: "Pending" },
  { value: "delivered", text: "Delivered" },
  { value: "dead", text: "Dead" },
  { value: "cancelled", text: "Cancelled" },
];

export type DeliveriesProps = {
  frame: Frame;
  deliveries: ShownDelivery[];
  /** The filters as they came. */
  query: { status?: string; endpoint?: string; event?: string; watch?: string };
  endpoints: EndpointNames;
  pager: { older: string | null; newest: string | null };
};

export function DeliveriesPage({ frame, deliveries, query, endpoints, pager }: DeliveriesProps) {
  const isFiltered = Object.values(query).some((value) => value);
  return (
    <Layout frame={frame} title="Deliveries" section="/deliveries">
      <form class="filters" method="get" action="/deliveries">
        <Select label="Status" name="status" choices={STATUSES} value={query.status ?? ""} />
        <EndpointSelect endpoints={endpoints} value={query.endpoint} />
        <IdField label="Event id" name="event" prefix="evt" value={query.event} />
        <IdField label="Watch id" name="watch" prefix="watch" value={query.watch} />
        <button type="submit">Filter</button>
        {isFiltered ? <a href="/deliveries">Clear</a> : null}
      </form>
      {deliveries.length === 0 ? (
        <Empty title={isFiltered ? "No delivery fits these filters" : "No deliveries yet"}>
          <p>
            {isFiltered
              ? "Clear a filter, or look at another status."
              : "A delivery is an event owed to an endpoint. Create an endpoint and send it a test."}
          </p>
          <a class="button" href={isFiltered ? "/deliveries" : "/endpoints"}>
            {isFiltered ? "Clear the filters" : "To the endpoints"}
          </a>
        </Empty>
      ) : (
        <DeliveryTable frame={frame} deliveries={deliveries} withEndpoint />
      )}
      <Pager {...pager} />
    </Layout>
  );
}

export function DeliveryTable(props: { frame: Frame; deliveries: ShownDelivery[]; withEndpoint: boolean }) {
  const { frame, deliveries, withEndpoint } = props;
  return (
    <div class="table">
      <table>
        <thead>
          <tr>
            <th scope="col">Status</th>
            <th scope="col">Event</th>
            {withEndpoint ? <th scope="col">Endpoint</th> : null}
            <th scope="col" class="number">
              Tries
            </th>
            <th scope="col">Last answer</th>
            <th scope="col">When</th>
          </tr>
        </thead>
        <tbody>
          {deliveries.map((delivery) => (
            <tr>
              <td>
                <DeliveryStatus delivery={delivery} />
              </td>
              <td>
                <ClipLink
                  href={`/deliveries/${delivery.id}`}
                  text={delivery.event_type ?? "event dropped by retention"}
                />
              </td>
              {withEndpoint ? (
                <td data-label="Endpoint">
                  <EndpointLink {...delivery} />
                </td>
              ) : null}
              <td class="number" data-label="Tries">
                {delivery.tries}
              </td>
              <td class="quiet" data-label="Last answer">
                <LastAnswer frame={frame} delivery={delivery} />
              </td>
              <td data-label="When">
                <Time at={delivery.created_at} now={frame.now} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export function DeliveryStatus({ delivery: { status, parked } }: { delivery: ShownDelivery }) {
  return <Status tone={DELIVERY_TONES[status]} text={parked ? "parked" : status} />;
}

export function EndpointLink({ endpoint_id, endpoint_name }: { endpoint_id: string; endpoint_name: string | null }) {
  if (endpoint_name === null) return <span class="quiet">deleted</span>;
  return <ClipLink href={`/endpoints/${endpoint_id}`} text={endpoint_name} />;
}

function LastAnswer({ frame, delivery }: { frame: Frame; delivery: ShownDelivery }) {
  const { status, parked, due_at, tries, last_status, last_error } = delivery;
  const said = [last_status, status === "delivered" ? null : last_error].filter((part) => part !== null).join(" · ");
  return (
    <>
      <Clip text={said} kind="wide" />
      {status === "pending" && !parked && tries > 0 ? (
        <>
          {" "}
          next try <Time at={due_at} now={frame.now} isDue />
        </>
      ) : null}
    </>
  );
}

export function DeliveryPage(props: {
  frame: Frame;
  delivery: ShownDelivery & { attempts: ShownAttempt[] };
  /** Of its watch, by its id. */
  names: Names;
}) {
  const { frame, delivery, names } = props;
  const { id, status, parked, event_type, attempts } = delivery;
  return (
    <Layout
      frame={frame}
      title={event_type ?? "Delivery"}
      section="/deliveries"
      crumb={{ href: "/deliveries", text: "Deliveries" }}
      beside={<DeliveryStatus delivery={delivery} />}
      actions={mayEdit(frame) ? <Actions delivery={delivery} /> : null}
    >
      {parked ? (
        <p class="notice info">
          Set aside until its <a href={`/endpoints/${delivery.endpoint_id}`}>endpoint</a> can take it: it is paused, has
          as much as it may have at once, or others are before it. No try is used up.
        </p>
      ) : null}
      {status === "dead" ? (
        <p class="notice bad">
          All tries are used up. It is kept as a <a href={`/dead-letters/${id}`}>dead letter</a>, until it is sent again
          or discarded.
        </p>
      ) : null}
      <section class="sheet">
        <dl class="facts">
          <dt>Event</dt>
          <dd>
            <a href={`/events/${delivery.event_id}`}>{delivery.event_id}</a>
          </dd>
          <dt>Endpoint</dt>
          <dd>
            <EndpointLink {...delivery} />
            <span class="quiet">{delivery.url}</span>
          </dd>
          {delivery.watch_id ? (
            <>
              <dt>Watch</dt>
              <dd>
                <a href={`/watches/${delivery.watch_id}`}>{names[delivery.watch_id] ?? delivery.watch_id}</a>
              </dd>
            </>
          ) : null}
          <dt>webhook-id</dt>
          <dd>
            <Copyable text={delivery.webhook_id} />
          </dd>
          <dt>Delivery</dt>
          <dd>
            <Copyable text={id} />
          </dd>
          <dt>Created</dt>
          <dd>
            <Moment at={delivery.created_at} now={frame.now} />
          </dd>
          {status === "pending" ? (
            <>
              <dt>Next try</dt>
              <dd>
                {delivery.due_at ? <Moment at={delivery.due_at} now={frame.now} /> : "when its endpoint can take it"}
              </dd>
            </>
          ) : (
            <>
              <dt>Ended</dt>
              <dd>
                <Moment at={delivery.finished_at} now={frame.now} />
              </dd>
            </>
          )}
        </dl>
      </section>
      <h2>Tries</h2>
      {attempts.length === 0 ? (
        <Empty title="Not tried yet">
          <p>
            Reload the page in a moment, or follow it in the <a href="/live">live log</a>.
          </p>
        </Empty>
      ) : (
        attempts.toReversed().map((attempt, place) => <Attempt frame={frame} attempt={attempt} isOpen={place === 0} />)
      )}
    </Layout>
  );
}

function Actions({ delivery: { id, status, parked, event_id } }: { delivery: ShownDelivery }) {
  if (status === "delivered") return <Post to={`/events/${event_id}/replay`} text="Send its event again" />;
  return (
    <>
      <Post
        to={`/deliveries/${id}/retry`}
        text={status === "pending" && !parked ? "Try now" : "Send again"}
        kind="primary"
      />
      {status === "pending" ? (
        <ConfirmPost
          to={`/deliveries/${id}/cancel`}
          text="Cancel…"
          ask="It will not be sent. It can be sent again later, as long as its event is kept."
          sure="Cancel the delivery"
        />
      ) : null}
    </>
  );
}

const OUTCOMES: Record<ShownAttempt["outcome"], Tone> = {
  delivered: "good",
  failed: "bad",
  interrupted: "warn",
  skipped: "none",
};

/** What was sent, what came back, and how long it took. */
function Attempt({ frame, attempt, isOpen }: { frame: Frame; attempt: ShownAttempt; isOpen: boolean }) {
  const { number, at, outcome, probe, request, response, error, ms } = attempt;
  return (
    <details class="sheet" open={isOpen}>
      <summary>
        <span class="row">
          <strong>Try {number}</strong>
          <Status tone={OUTCOMES[outcome]} text={outcome} />
          {response ? <span class="mono">{response.status}</span> : null}
          <span class="quiet">
            {span(ms)} · <Time at={at} now={frame.now} />
            {probe ? " · probe of a failing endpoint" : ""}
          </span>
        </span>
      </summary>
      <div class="stack">
        {error ? <p class="fault break">{error}</p> : null}
        <div class="grid">
          <section class="stack">
            <h3>Sent</h3>
            <p class="mono break">POST {request.url}</p>
            <Headers headers={request.headers} label="Headers sent" />
            {request.body === null ? (
              <p class="quiet">The body went with its event, which retention has dropped.</p>
            ) : (
              <Code text={pretty(request.body)} label="Body sent" />
            )}
          </section>
          <section class="stack">
            <h3>Came back</h3>
            {response ? (
              <>
                <p class="mono">{response.status}</p>
                <Headers headers={response.headers} label="Headers that came back" />
                {response.body ? <Code text={pretty(response.body)} label="Body that came back" /> : null}
              </>
            ) : (
              <p class="quiet">Nothing.</p>
            )}
          </section>
        </div>
      </div>
    </details>
  );
}

/** Only the white space between the values is changed: numbers keep their digits. */
export function pretty(text: string): string {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  let depth = 0;
  const line = () => `\n${"  ".repeat(depth)}`;
  return text.replace(/"(?:[^"\\]|\\.)*"|\{\s*\}|\[\s*\]|[{}[\],:]|\s+|[^\s{}[\],:"]+/g, (token) => {
    if (token === "{" || token === "[") {
      depth++;
      return token + line();
    }
    if (token === "}" || token === "]") {
      depth--;
      return line() + token;
    }
    if (token === ",") return token + line();
    if (token === ":") return ": ";
    return /^\s/.test(token) ? "" : token;
  });
}
