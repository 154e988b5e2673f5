import type { ShownOperation } from "../src/delivering/operations.ts";
import type { Names } from "../src/http/names_store.ts";
import { ConfirmPost } from "./form.tsx";
import { type Frame, Layout, mayEdit } from "./layout.tsx";
import { count, Empty, Moment, Pager, Status, Time, type Tone } from "./pieces.tsx";

const TONES: Record<ShownOperation["state"], Tone> = {
  running: "info",
  done: "good",
  cancelled: "none",
  failed: "bad",
};
const KINDS: Record<ShownOperation["kind"], string> = {
  recover: "Recover an endpoint",
  requeue: "Send dead letters again",
  discard: "Discard dead letters",
};
const DONE: Record<ShownOperation["kind"], string> = {
  recover: "owed again",
  requeue: "owed again",
  discard: "discarded",
};

export function OperationsPage(props: {
  frame: Frame;
  operations: ShownOperation[];
  pager: { older: string | null; newest: string | null };
}) {
  const { frame, operations, pager } = props;
  return (
    <Layout frame={frame} title="Operations" section="/operations">
      {operations.length === 0 ? (
        <Empty title="No operations yet">
          <p>
            Sending many dead letters again, discarding them, or recovering an endpoint after an outage, shows its
            progress here.
          </p>
          <a class="button" href="/dead-letters">
            To the dead letters
          </a>
        </Empty>
      ) : (
        <div class="table">
          <table>
            <thead>
              <tr>
                <th scope="col">State</th>
                <th scope="col">What</th>
                <th scope="col" class="number">
                  Done
                </th>
                <th scope="col">By</th>
                <th scope="col">Started</th>
              </tr>
            </thead>
            <tbody>
              {operations.map((operation) => (
                <tr>
                  <td>
                    <Status tone={TONES[operation.state]} text={operation.state} />
                  </td>
                  <td>
                    <a href={`/operations/${operation.id}`}>{KINDS[operation.kind]}</a>
                  </td>
                  <td class="number" data-label="Done">
                    {count(operation.done)} of {count(operation.total ?? 0)}
                  </td>
                  <td data-label="By">{operation.created_by || "the API"}</td>
                  <td data-label="Started">
                    <Time at={operation.created_at} now={frame.now} />
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

export function OperationPage(props: {
  frame: Frame;
  operation: ShownOperation;
  /** Of what its request names, by their ids. */
  names: Names;
}) {
  const { frame, operation, names } = props;
  return (
    <Layout
      frame={frame}
      title={KINDS[operation.kind]}
      section="/operations"
      crumb={{ href: "/operations", text: "Operations" }}
    >
      <Progress frame={frame} operation={operation} />
      <section class="sheet">
        <dl class="facts">
          <dt>Started</dt>
          <dd>
            <Moment at={operation.created_at} now={frame.now} /> by {operation.created_by || "the API"}
          </dd>
          {Object.entries(operation.request).map(([name, value]) => (
            <>
              <dt>{ASKED[name] ?? name}</dt>
              <dd class="break">
                <Asked name={name} value={value} names={names} now={frame.now} />
              </dd>
            </>
          ))}
        </dl>
      </section>
    </Layout>
  );
}

const ASKED: Record<string, string> = {
  endpoint: "Endpoint",
  event: "Event",
  watch: "Watch",
  type: "Event type",
  reason: "Why",
  since: "Since",
  until: "Until",
  statuses: "Status",
};
const SECTIONS: Record<string, string> = { endpoint: "/endpoints", event: "/events", watch: "/watches" };

/** A part of the filter: what it names can be opened. */
function Asked(props: { name: string; value: unknown; names: Names; now: number }) {
  const { name, value, names, now } = props;
  const text = [value].flat().join(", ");
  if (SECTIONS[name]) return <a href={`${SECTIONS[name]}/${text}`}>{names[text] ?? text}</a>;
  return name === "since" || name === "until" ? <Moment at={text} now={now} /> : <span>{text}</span>;
}

/** Asks for itself again while the operation runs. */
export function Progress({ frame, operation }: { frame: Frame; operation: ShownOperation }) {
  const { id, kind, state, done, total, problem } = operation;
  const path = `/operations/${id}`;
  const again =
    state === "running" ? { "hx-get": `${path}/progress`, "hx-trigger": "every 1s", "hx-swap": "outerHTML" } : {};
  return (
    <section class="sheet" id="progress" {...again}>
      <div class="row spread">
        <span class="row">
          <Status tone={TONES[state]} text={state} />
          <span>
            {count(done)} of {count(total ?? 0)} {DONE[kind]}
          </span>
        </span>
        {state === "running" && mayEdit(frame) ? (
          <ConfirmPost
            to={`${path}/cancel`}
            text="Stop…"
            ask="What is done stays done; the rest is left as it is."
            sure="Stop the operation"
            slight
          />
        ) : null}
      </div>
      <progress
        max={Math.max(1, total ?? 0)}
        value={state === "done" ? Math.max(1, total ?? 0) : done}
        aria-label="Progress"
      />
      {problem ? <p class="fault">{problem}</p> : null}
    </section>
  );
}
