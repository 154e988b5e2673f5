import type { ShownDelivery } from "../src/delivering/deliveries.ts";
import type { ShownEvent } from "../src/delivering/events.ts";
import type { Names } from "../src/http/names_store.ts";
import { DeliveryTable, pretty } from "./deliveries.tsx";
import { Field, IdField, Post } from "./form.tsx";
import { type Frame, Layout, mayEdit } from "./layout.tsx";
import { ClipLink, Code, Copyable, CopyButton, Empty, Moment, Pager, Status, Time } from "./pieces.tsx";

const ORIGINS: Record<ShownEvent["origin"], string> = {
  watch: "a watch",
  api: "the API",
  sql: "SQL",
  system: "DeltaHook",
};

export function EventsPage(props: {
  frame: Frame;
  events: ShownEvent[];
  /** Of their watches, by their ids. */
  names: Names;
  query: { type?: string; watch?: string };
  pager: { older: string | null; newest: string | null };
}) {
  const { frame, events, names, query, pager } = props;
  const isFiltered = Object.values(query).some((value) => value);
  return (
    <Layout frame={frame} title="Events" section="/events">
      <form class="filters" method="get" action="/events">
        <Field label="Type" name="type" value={query.type ?? ""} placeholder="order.paid" autoComplete="off" />
        <IdField label="Watch id" name="watch" prefix="watch" value={query.watch} />
        <button type="submit">Filter</button>
        {isFiltered ? <a href="/events">Clear</a> : null}
      </form>
      {events.length === 0 ? (
        <Empty title={isFiltered ? "No event fits these filters" : "No events yet"}>
          <p>
            An event is a fact to tell: stated by a watch when something changes, or sent by a program with{" "}
            <code>POST /v1/events</code>.
          </p>
          <a class="button" href={isFiltered ? "/events" : "/docs"}>
            {isFiltered ? "Clear the filters" : "How to send one"}
          </a>
        </Empty>
      ) : (
        <div class="table">
          <table>
            <thead>
              <tr>
                <th scope="col">Type</th>
                <th scope="col">From</th>
                <th scope="col">Id</th>
                <th scope="col">When</th>
              </tr>
            </thead>
            <tbody>
              {events.map((event) => (
                <tr>
                  <td>
                    <ClipLink href={`/events/${event.id}`} text={event.type} />
                  </td>
                  <td data-label="From">
                    <Origin event={event} names={names} />
                  </td>
                  <td data-label="Id" class="mono quiet">
                    {event.id}
                  </td>
                  <td data-label="When">
                    <Time at={event.created_at} now={frame.now} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Pager {...pager} />
    </Layout>
  );
}

function Origin({ event, names }: { event: ShownEvent; names: Names }) {
  const { watch_id: id, origin } = event;
  if (id === null) return <>{ORIGINS[origin]}</>;
  return names[id] ? <ClipLink href={`/watches/${id}`} text={names[id]} /> : <span class="quiet">a deleted watch</span>;
}

export function EventPage(props: {
  frame: Frame;
  event: ShownEvent;
  data: string;
  deliveries: ShownDelivery[];
  /** Of its watch, by its id. */
  names: Names;
}) {
  const { frame, event, data, deliveries, names } = props;
  return (
    <Layout
      frame={frame}
      title={event.type}
      section="/events"
      crumb={{ href: "/events", text: "Events" }}
      beside={<Status tone="none" text={`from ${ORIGINS[event.origin]}`} />}
      actions={
        mayEdit(frame) && deliveries.length > 0 ? <Post to={`/events/${event.id}/replay`} text="Send it again" /> : null
      }
    >
      <section class="sheet">
        <dl class="facts">
          <dt>Id</dt>
          <dd>
            <Copyable text={event.id} />
          </dd>
          <dt>When</dt>
          <dd>
            <Moment at={event.created_at} now={frame.now} />
          </dd>
          {event.watch_id ? (
            <>
              <dt>Watch</dt>
              <dd>
                <Origin event={event} names={names} />
              </dd>
            </>
          ) : null}
          {event.url ? (
            <>
              <dt>Sent to</dt>
              <dd>{event.url}</dd>
            </>
          ) : null}
          {event.idempotency_key ? (
            <>
              <dt>Idempotency key</dt>
              <dd class="mono">{event.idempotency_key}</dd>
            </>
          ) : null}
        </dl>
        <div class="row spread">
          <h2>Data</h2>
          <CopyButton text={data} />
        </div>
        <Code text={pretty(data)} label="Data of the event" />
      </section>
      <h2>Deliveries</h2>
      {deliveries.length === 0 ? (
        <Empty title="Nobody wanted this event">
          <p>
            No endpoint takes the type <code>{event.type}</code>, or its filter left it out. Events are matched when
            they are stated.
          </p>
          <a class="button" href="/endpoints">
            To the endpoints
          </a>
        </Empty>
      ) : (
        <DeliveryTable frame={frame} deliveries={deliveries} withEndpoint />
      )}
    </Layout>
  );
}
