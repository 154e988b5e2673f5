import type { ComponentChildren } from "preact";
import type { Attention } from "../src/http/attention.ts";
import type { Window } from "../src/http/series.ts";
import { type Frame, Layout, mayEdit } from "./layout.tsx";
import { Clip, ClipLink, count, Empty, href, Said, Status, span, Time } from "./pieces.tsx";

export type Figures = {
  deliveriesPerMinute: number;
  pollsPerMinute: number;
  /** Of the tries; null without any. */
  successShare: number | null;
  failedPolls: number;
  dead: number;
  latency: { p50: number | null; p95: number | null };
  lag: { p50: number | null; p95: number | null };
  queue: { jobs: number; owed: number; oldestMs: number; countedTo: number };
  attention: Attention;
};

const WINDOWS: Window[] = ["1h", "24h", "7d", "30d"];

export function OverviewPage(props: { frame: Frame; figures: Figures; window: Window; hasNothing: boolean }) {
  const { frame, figures, window, hasNothing } = props;
  return (
    <Layout frame={frame} title="Overview" section="/" plots>
      {hasNothing ? <FirstSteps frame={frame} /> : null}
      <div class="stack" id="figures" hx-get="/overview/figures" hx-trigger="every 5s" hx-swap="innerHTML">
        <FiguresPart frame={frame} figures={figures} />
      </div>
      <section class="stack needs-script" aria-labelledby="plots-title">
        <div class="row spread">
          <h2 id="plots-title">Over time</h2>
          <nav class="tabs" aria-label="How far back">
            {WINDOWS.map((each) => (
              <a href={href("/", { window: each })} aria-current={each === window ? "true" : undefined}>
                {each}
              </a>
            ))}
          </nav>
        </div>
        <div class="plots" data-plots={`/overview/series?window=${window}`}>
          <Plot kind="deliveries" title="Deliveries per minute">
            <NoDeliveries />
          </Plot>
          <Plot kind="latency" title="Delivery latency">
            <NoDeliveries />
          </Plot>
          <Plot kind="polls" title="Polls per minute">
            <NoPolls />
          </Plot>
          <Plot kind="lag" title="Poll lag">
            <NoPolls />
          </Plot>
        </div>
      </section>
    </Layout>
  );
}

/** What is true now; the page asks for it again every few seconds. */
export function FiguresPart({ frame, figures }: { frame: Frame; figures: Figures }) {
  const { latency, lag, queue, successShare } = figures;
  const atLeast = (n: number) => (n >= queue.countedTo ? `${count(n)}+` : count(n));
  return (
    <>
      <dl class="figures">
        <Figure name="Deliveries / min" value={rate(figures.deliveriesPerMinute)} note="over 5 minutes" />
        <Figure name="Polls / min" value={rate(figures.pollsPerMinute)} note="over 5 minutes" />
        <Figure
          name="Successful tries"
          value={successShare === null ? "–" : `${(successShare * 100).toFixed(successShare > 0.999 ? 0 : 1)} %`}
          note={`${count(figures.dead)} dead · 1 h`}
        />
        <Figure name="Delivery latency" value={span(latency.p50)} note={`p95 ${span(latency.p95)} · 1 h`} />
        <Figure name="Poll lag" value={span(lag.p50)} note={`p95 ${span(lag.p95)} · 1 h`} />
        <Figure
          name="Owed and waiting"
          value={atLeast(queue.owed)}
          note={queue.oldestMs > 1_000 ? `oldest job due ${span(queue.oldestMs)}` : "nothing late"}
        />
      </dl>
      <NeedsAttention frame={frame} attention={figures.attention} />
    </>
  );
}

function Figure({ name, value, note }: { name: string; value: string; note: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value} <small>{note}</small>
      </dd>
    </div>
  );
}

function NeedsAttention({ frame, attention }: { frame: Frame; attention: Attention }) {
  const { watches, endpoints, letters } = attention;
  if (watches.length + endpoints.length + letters.length === 0) {
    return (
      <section class="sheet">
        <div class="row">
          <h2>Needs attention</h2> <Status tone="good" text="nothing" />
        </div>
      </section>
    );
  }
  return (
    <section class="sheet">
      <h2>Needs attention</h2>
      <div class="table">
        <table>
          <tbody>
            {watches.map(({ id, name, state, problem }) => (
              <tr>
                <td>
                  <Status tone={state === "failing" ? "bad" : "warn"} text={`watch ${state}`} />
                </td>
                <td>
                  <ClipLink href={`/watches/${id}`} text={name} />
                </td>
                <td class="quiet">
                  <span class="clip wide">
                    <Said text={problem} now={frame.now} />
                  </span>
                </td>
              </tr>
            ))}
            {endpoints.map(({ id, name, reason, since }) => (
              <tr>
                <td>
                  <Status tone={reason === "manual" ? "warn" : "bad"} text="endpoint paused" />
                </td>
                <td>
                  <ClipLink href={`/endpoints/${id}`} text={name} />
                </td>
                <td class="quiet">
                  {PAUSES[reason]}, <Time at={since} now={frame.now} />
                </td>
              </tr>
            ))}
            {letters.map(({ id, type, endpointName, error, diedAt }) => (
              <tr>
                <td>
                  <Status tone="bad" text="dead letter" />
                </td>
                <td>
                  <ClipLink href={`/dead-letters/${id}`} text={type} />
                  <Clip text={`to ${endpointName ?? "a deleted endpoint"}`} kind="quiet" />
                </td>
                <td class="quiet">
                  <Clip text={error ?? ""} kind="wide" /> <Time at={diedAt} now={frame.now} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

export const PAUSES = {
  manual: "by a person",
  gone: "since it answered 410 Gone",
  failing: "since it keeps failing; it is probed and resumes by itself",
} as const;

function FirstSteps({ frame }: { frame: Frame }) {
  return (
    <Empty title="Nothing here yet: two steps to a first webhook">
      <ol>
        <li>
          <a href="/endpoints/new">Create an endpoint</a>: where webhooks go.
        </li>
        <li>
          <a href="/watches/new">Create a watch</a>: which API to ask, and what to look at; or send events by{" "}
          <a href="/docs">the API</a>.
        </li>
      </ol>
      <p>
        Only looking around? <a href="/play">Play</a> has a sample to watch and a receiver, both built in.
      </p>
      {mayEdit(frame) ? null : <p class="quiet">Your role is viewer: ask an editor to do it.</p>}
    </Empty>
  );
}

function NoDeliveries() {
  return (
    <>
      No webhook was sent in this time. <a href="/endpoints">Open an endpoint</a> and send a test, or try it in{" "}
      <a href="/play">Play</a>.
    </>
  );
}

function NoPolls() {
  return (
    <>
      Nothing was polled in this time. <a href="/watches">Open a watch</a> and poll it, or{" "}
      <a href="/watches/new">create one</a>.
    </>
  );
}

/** `children` stand in its place as long as there is nothing to draw. */
function Plot({ kind, title, children }: { kind: string; title: string; children: ComponentChildren }) {
  return (
    <figure class="sheet">
      <figcaption class="row spread">
        <h3>{title}</h3>
        <span class="quiet small" data-legend={kind} />
      </figcaption>
      <div class="plot" data-plot={kind} role="img" aria-label={title} />
      <template id={`${kind}-empty`}>
        <p class="quiet nothing">{children}</p>
      </template>
    </figure>
  );
}

function rate(perMinute: number): string {
  return perMinute >= 10 || perMinute === 0 ? count(Math.round(perMinute)) : perMinute.toFixed(1);
}
