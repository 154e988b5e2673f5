import type { Names } from "../src/http/names_store.ts";
import type { FieldHistory } from "../src/http/pages/value_history.ts";
import type { ShownState, ShownValue } from "../src/watching/runs.ts";
import type { ShownPoll, ShownWatch } from "../src/watching/shown.ts";
import { ConfirmPost, Post } from "./form.tsx";
import { type Frame, Layout, mayEdit } from "./layout.tsx";
import { Copyable, count, Empty, Headers, Pager, Said, Status, span, Time, type Tone } from "./pieces.tsx";
import { ValueHistory } from "./value_history.tsx";
import { everyOf, WatchStatus } from "./watches.tsx";

const OUTCOMES: Record<string, Tone> = { changed: "good", baseline: "info", held: "warn", failed: "bad" };

export type WatchProps = {
  frame: Frame;
  watch: ShownWatch;
  /** Of its credential and endpoints, by their ids. */
  names: Names;
  state: ShownState;
  histories: FieldHistory[];
  polls: ShownPoll[];
  pager: { older: string | null; newest: string | null };
};

export function WatchPage({ frame, watch, names, state, histories, polls, pager }: WatchProps) {
  const path = `/watches/${watch.id}`;
  return (
    <Layout
      frame={frame}
      title={watch.name}
      section="/watches"
      crumb={{ href: "/watches", text: "Watches" }}
      beside={<WatchStatus watch={watch} />}
      actions={mayEdit(frame) ? <Actions watch={watch} path={path} /> : null}
    >
      <Health frame={frame} watch={watch} path={path} />
      <div class="grid">
        <section class="sheet">
          <h2>Current values</h2>
          <Values watch={watch} state={state} />
        </section>
        <section class="sheet">
          <h2>What it does</h2>
          <WatchFacts frame={frame} watch={watch} names={names} />
        </section>
      </div>
      <section class="stack">
        <div class="row spread">
          <h2>Value history</h2>
          <a href={`/events?watch=${watch.id}`}>Its events</a>
        </div>
        <ValueHistory histories={histories} now={frame.now} />
      </section>
      <section class="stack">
        <div class="row spread">
          <h2>Poll log</h2>
          <span class="row">
            <a href={`/deliveries?watch=${watch.id}`}>Its deliveries</a>
          </span>
        </div>
        <PollLog frame={frame} polls={polls} />
        <Pager {...pager} />
      </section>
    </Layout>
  );
}

function Actions({ watch, path }: { watch: ShownWatch; path: string }) {
  return (
    <>
      <Post to={`${path}/poll`} text="Poll now" kind="primary" />
      {watch.paused ? <Post to={`${path}/resume`} text="Resume" /> : <Post to={`${path}/pause`} text="Pause" />}
      <a class="button" href={`${path}/edit`}>
        Edit
      </a>
      <ConfirmPost
        to={`${path}/delete`}
        text="Delete…"
        ask="Its values and its poll log are dropped. Events that it stated stay."
        sure="Delete the watch"
      />
    </>
  );
}

function Health({ frame, watch, path }: { frame: Frame; watch: ShownWatch; path: string }) {
  const { health, warning, paused } = watch;
  return (
    <>
      {health.held ? (
        <div class="notice warn stack">
          <p class="break">
            A poll <Time at={health.held.at} now={frame.now} /> is held: {count(health.held.changes)} changes.{" "}
            {health.held.problem}
          </p>
          {mayEdit(frame) ? (
            <div class="actions">
              <ConfirmPost
                to={`${path}/held/confirm`}
                text="State the changes…"
                ask={`${count(health.held.changes)} changes are stated as events and sent.`}
                sure="State them"
              />
              <Post to={`${path}/held/discard`} text="Take the values, state nothing" />
            </div>
          ) : null}
        </div>
      ) : null}
      {health.failures > 0 && !paused ? (
        <p class="notice bad break">
          {health.failures === 1 ? "The last poll failed." : `The last ${health.failures} polls failed.`}{" "}
          <Said text={health.problem} now={frame.now} />
        </p>
      ) : null}
      {warning ? <p class="notice warn break">{warning}</p> : null}
    </>
  );
}

function Values({ watch, state }: { watch: ShownWatch; state: ShownState }) {
  const fields = Object.entries(state.fields);
  if (fields.length === 0 && state.items.length === 0) {
    return (
      <p class="quiet">
        {watch.paused ? "None: it was paused before its first poll." : "None before the first successful poll."}
      </p>
    );
  }
  return (
    <>
      {fields.length > 0 ? (
        <dl class="facts">
          {fields.map(([name, value]) => (
            <>
              <dt class="mono">{name}</dt>
              <dd>
                <Value {...value} />
              </dd>
            </>
          ))}
        </dl>
      ) : null}
      {state.items.length > 0 ? (
        <details class="more" open={state.items.length <= 10}>
          <summary>
            {count(state.items_total)} {state.items_total === 1 ? "element" : "elements"}
          </summary>
          <dl class="facts">
            {state.items.slice(0, 200).map(({ key, ...value }) => (
              <>
                <dt class="mono break">{typeof key === "string" ? key : JSON.stringify(key)}</dt>
                <dd>
                  <Value {...value} />
                </dd>
              </>
            ))}
          </dl>
          {state.items_total > 200 ? <p class="quiet">The first 200 are shown; the API has more.</p> : null}
        </details>
      ) : null}
    </>
  );
}

function Value({ value, missing, stated }: ShownValue) {
  return (
    <>
      {missing ? <Status tone="warn" text="missing" /> : <code class="break">{JSON.stringify(value)}</code>}
      {stated === undefined ? null : <span class="quiet small"> last stated as {JSON.stringify(stated)}</span>}
    </>
  );
}

function WatchFacts({ frame, watch, names }: Pick<WatchProps, "frame" | "watch" | "names">) {
  const { request, conditions, items } = watch;
  const fields = Object.entries({ ...watch.fields, ...items?.fields });
  return (
    <>
      <dl class="facts">
        <dt>Asks</dt>
        <dd class="mono">
          {request.method} {request.url}
        </dd>
        <dt>Every</dt>
        <dd>{everyOf(watch)}</dd>
        <dt>Next poll</dt>
        <dd>{watch.paused ? "paused" : <Time at={watch.next_poll_at} now={frame.now} isDue />}</dd>
        {items ? (
          <>
            <dt>List</dt>
            <dd class="mono">
              {items.path} by {items.key}
            </dd>
          </>
        ) : null}
        <dt>Fields</dt>
        <dd class="mono">
          {fields.map(([name, field]) => (
            <div>
              {name} = {typeof field === "string" ? field : field.path}
            </div>
          ))}
        </dd>
        {conditions.length > 0 ? (
          <>
            <dt>Only when</dt>
            <dd class="mono">
              {conditions.map(({ field, op, value }) => (
                <div>
                  {field} {op} {value === undefined ? "" : JSON.stringify(value)}
                </div>
              ))}
            </dd>
          </>
        ) : null}
        <dt>Event type</dt>
        <dd class="mono">{watch.event_type}</dd>
        <dt>Goes to</dt>
        <dd>
          {watch.endpoint_ids.length === 0
            ? "every endpoint that takes this type"
            : watch.endpoint_ids.map((id) => (
                <div>
                  <a href={`/endpoints/${id}`}>{names[id] ?? id}</a>
                </div>
              ))}
        </dd>
        {watch.secret_id ? (
          <>
            <dt>Credential</dt>
            <dd>
              <a href={`/secrets/${watch.secret_id}`}>{names[watch.secret_id] ?? watch.secret_id}</a>
            </dd>
          </>
        ) : null}
        <dt>Id</dt>
        <dd>
          <Copyable text={watch.id} />
        </dd>
      </dl>
      {Object.keys(request.headers).length > 0 ? (
        <Headers headers={request.headers} label="Headers of the request" />
      ) : null}
    </>
  );
}

function toldOf({ changes, problem, note }: ShownPoll): string {
  const changed = changes > 0 ? `${changes} ${changes === 1 ? "change" : "changes"}` : null;
  return [changed, problem, note].filter((part) => part).join(" · ");
}

function PollLog({ frame, polls }: { frame: Frame; polls: ShownPoll[] }) {
  if (polls.length === 0) {
    return (
      <Empty title="Not polled yet">
        <p>The first poll takes the reference: it states nothing by itself. “Poll now” does it at once.</p>
      </Empty>
    );
  }
  return (
    <div class="table">
      <table>
        <thead>
          <tr>
            <th scope="col">Outcome</th>
            <th scope="col">When</th>
            <th scope="col" class="number">
              Status
            </th>
            <th scope="col" class="number">
              Took
            </th>
            <th scope="col" class="number">
              Bytes
            </th>
            <th scope="col">What there is to say</th>
          </tr>
        </thead>
        <tbody>
          {polls.map((poll) => (
            <tr>
              <td>
                <Status tone={OUTCOMES[poll.outcome] ?? "none"} text={poll.outcome.replace("_", " ")} />
              </td>
              <td data-label="When">
                <Time at={poll.at} now={frame.now} />
              </td>
              <td class="number" data-label="Status">
                {poll.status}
              </td>
              <td class="number" data-label="Took">
                {span(poll.ms)}
              </td>
              <td class="number" data-label="Bytes">
                {count(poll.bytes)}
              </td>
              <td class="quiet break">
                <Said text={toldOf(poll)} now={frame.now} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
