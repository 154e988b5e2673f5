import type { ShownLetter } from "../src/delivering/dead_letters.ts";
import { EndpointLink, pretty } from "./deliveries.tsx";
import { ConfirmPost, type EndpointNames, EndpointSelect, Field, IdField, Post, Select } from "./form.tsx";
import { type Frame, Layout, mayEdit } from "./layout.tsx";
import { Clip, ClipLink, Code, Copyable, CopyButton, Empty, href, Moment, Pager, Status, Time } from "./pieces.tsx";

const REASONS: Record<ShownLetter["reason"], string> = {
  exhausted: "all tries used up",
  gone: "endpoint gone (410)",
  expired: "waited too long",
  rejected: "rejected",
};

export type LetterQuery = { endpoint?: string; event?: string; watch?: string; type?: string; reason?: string };

export function DeadLettersPage(props: {
  frame: Frame;
  letters: ShownLetter[];
  query: LetterQuery;
  endpoints: EndpointNames;
  pager: { older: string | null; newest: string | null };
}) {
  const { frame, letters, query, endpoints, pager } = props;
  const isFiltered = Object.values(query).some((value) => value);
  const canEdit = mayEdit(frame);
  return (
    <Layout
      frame={frame}
      title="Dead letters"
      section="/dead-letters"
      actions={
        canEdit && letters.length > 0 ? (
          <>
            <a class="button" href={href("/dead-letters/requeue", query)}>
              {isFiltered ? "Send all of these again…" : "Send all again…"}
            </a>
            <a class="button" href={href("/dead-letters/discard", query)}>
              {isFiltered ? "Discard all of these…" : "Discard all…"}
            </a>
          </>
        ) : null
      }
    >
      <form class="filters" method="get" action="/dead-letters">
        <Select
          label="Why"
          name="reason"
          value={query.reason ?? ""}
          choices={[{ value: "", text: "Any" }, ...Object.entries(REASONS).map(([value, text]) => ({ value, text }))]}
        />
        <Field label="Event type" name="type" value={query.type ?? ""} autoComplete="off" />
        <EndpointSelect endpoints={endpoints} value={query.endpoint} />
        <IdField label="Watch id" name="watch" prefix="watch" value={query.watch} />
        <button type="submit">Filter</button>
        {isFiltered ? <a href="/dead-letters">Clear</a> : null}
      </form>
      {letters.length === 0 ? (
        <Empty title={isFiltered ? "No dead letter fits these filters" : "No dead letters"}>
          <p>
            {isFiltered
              ? "Clear a filter to see others."
              : "Deliveries whose tries are all used up are kept here, to be looked at, sent again or discarded. All is well."}
          </p>
        </Empty>
      ) : (
        <form class="stack" method="post" action="/dead-letters/chosen">
          {canEdit ? (
            <div class="row">
              <label class="check needs-script">
                <input type="checkbox" data-check-all /> <span>All on this page</span>
              </label>
              <button type="submit" name="do" value="requeue">
                Send chosen again
              </button>
              <details class="confirm">
                <summary>Discard chosen…</summary>
                <div>
                  <p>The chosen letters are discarded for good; they will never be sent.</p>
                  <button type="submit" name="do" value="discard" class="danger">
                    Discard them
                  </button>
                </div>
              </details>
            </div>
          ) : null}
          <div class="table">
            <table>
              <thead>
                <tr>
                  {canEdit ? (
                    <th scope="col">
                      <span class="said">Choose</span>
                    </th>
                  ) : null}
                  <th scope="col">Why</th>
                  <th scope="col">Event</th>
                  <th scope="col">Endpoint</th>
                  <th scope="col">Last answer</th>
                  <th scope="col">Died</th>
                </tr>
              </thead>
              <tbody>
                {letters.map((letter) => (
                  <tr>
                    {canEdit ? (
                      <td>
                        <input
                          type="checkbox"
                          class="chosen"
                          name={letter.id}
                          value="on"
                          aria-label={`Choose ${letter.type} to ${letter.endpoint_name ?? "a deleted endpoint"}`}
                        />
                      </td>
                    ) : null}
                    <td>
                      <Status tone="bad" text={REASONS[letter.reason]} />
                    </td>
                    <td>
                      <ClipLink href={`/dead-letters/${letter.id}`} text={letter.type} />
                    </td>
                    <td data-label="Endpoint">
                      <EndpointLink {...letter} />
                    </td>
                    <td data-label="Last answer" class="quiet">
                      <Clip text={lastAnswer(letter)} kind="wide" />
                    </td>
                    <td data-label="Died">
                      <Time at={letter.died_at} now={frame.now} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </form>
      )}
      <Pager {...pager} />
    </Layout>
  );
}

function lastAnswer({ last_status, last_error }: ShownLetter): string {
  return [last_status, last_error].filter((part) => part !== null).join(" · ");
}

export function DeadLetterPage({ frame, letter, data }: { frame: Frame; letter: ShownLetter; data: string }) {
  const path = `/dead-letters/${letter.id}`;
  return (
    <Layout
      frame={frame}
      title={letter.type}
      section="/dead-letters"
      crumb={{ href: "/dead-letters", text: "Dead letters" }}
      beside={<Status tone="bad" text={REASONS[letter.reason]} />}
      actions={
        mayEdit(frame) ? (
          <>
            {letter.endpoint_name === null ? null : <Post to={`${path}/requeue`} text="Send it again" kind="primary" />}
            <ConfirmPost
              to={`${path}/discard`}
              text="Discard…"
              ask="It will never be sent. Its delivery stays listed as dead."
              sure="Discard it"
            />
          </>
        ) : null
      }
    >
      {letter.endpoint_name === null ? (
        <p class="notice warn">Its endpoint was deleted, so that it cannot be sent again from here.</p>
      ) : null}
      <section class="sheet">
        <dl class="facts">
          <dt>Endpoint</dt>
          <dd>
            <EndpointLink {...letter} />
            <span class="quiet">{letter.url}</span>
          </dd>
          <dt>Delivery</dt>
          <dd>
            <a href={`/deliveries/${letter.id}`}>every try</a> <span class="quiet">{letter.attempts} in all</span>
          </dd>
          <dt>Last answer</dt>
          <dd>{lastAnswer(letter) || "none"}</dd>
          <dt>webhook-id</dt>
          <dd>
            <Copyable text={letter.webhook_id} />
          </dd>
          <dt>Died</dt>
          <dd>
            <Moment at={letter.died_at} now={frame.now} />
          </dd>
        </dl>
        <div class="row spread">
          <h2>Data</h2>
          <CopyButton text={data} />
        </div>
        <Code text={pretty(data)} label="Data of the event" />
      </section>
    </Layout>
  );
}
