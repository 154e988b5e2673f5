import type { LiveRow } from "../src/http/live_store.ts";
import { Select } from "./form.tsx";
import { type Frame, Layout } from "./layout.tsx";
import { count, Said, Status, span, type Tone } from "./pieces.tsx";

const SHOWS = [
  { value: "all", text: "Everything" },
  { value: "polls", text: "Polls" },
  { value: "deliveries", text: "Webhooks" },
  { value: "failed", text: "Failures" },
];

export type LiveLine = LiveRow & { at: string; subjectId: string; endpointId: string | null };

/** `stream` is the path of the log that the page follows. */
export function LivePage({ frame, show, stream }: { frame: Frame; show: string; stream: string }) {
  return (
    <Layout
      frame={frame}
      title="Live log"
      section="/live"
      beside={
        <span class="needs-script" role="status">
          <span id="stream-state" class="status info">
            <span aria-hidden="true">…</span>
            <span>connecting</span>
          </span>
        </span>
      }
      actions={
        <button type="button" class="copy" data-pause aria-pressed="false">
          Pause
        </button>
      }
    >
      <form class="filters" method="get" action="/live">
        <Select label="Show" name="show" choices={SHOWS} value={show} />
        <button type="submit">Show</button>
      </form>
      <noscript>
        <p class="notice warn">
          The live log needs JavaScript. Without it, <a href="/deliveries">Deliveries</a> and each watch's poll log show
          the same after a reload.
        </p>
      </noscript>
      <div>
        <ol
          class="log"
          aria-label="What happens, the newest first"
          hx-sse:connect={stream}
          hx-trigger="load, every 10s"
        />
        <div class="empty waiting">
          <h2>Waiting for the next poll or webhook</h2>
          <p>
            Everything that happens from now on appears here within a second. To see something at once, open a{" "}
            <a href="/watches">watch</a> and poll it, or an <a href="/endpoints">endpoint</a> and send a test.
          </p>
        </div>
      </div>
    </Layout>
  );
}

const TONES: Record<string, Tone> = {
  unchanged: "none",
  not_modified: "none",
  baseline: "info",
  changed: "good",
  held: "warn",
  failed: "bad",
  delivered: "good",
  interrupted: "warn",
  skipped: "none",
};

/** A batch of the log, the newest first. */
export function LiveLines({ lines, skipped }: { lines: LiveLine[]; skipped: number }) {
  return (
    <>
      {skipped > 0 ? <li class="skipped">{count(skipped)} more at the same moment are not shown</li> : null}
      {lines.map((line) => (
        <li id={`live-${line.id}`}>
          <span class="quiet mono">
            <time dateTime={line.at}>{line.at.slice(11, 23)}</time>
          </span>
          <span>
            <Status tone={TONES[line.outcome] ?? "none"} text={line.outcome.replace("_", " ")} />
          </span>
          <span class="what break">{line.kind === "poll" ? <Poll {...line} /> : <Attempt {...line} />}</span>
          <span class="number code quiet">{line.status ?? ""}</span>
          <span class="number quiet">{span(line.ms)}</span>
          {line.problem ? (
            <span class="detail quiet small">
              <Said text={line.problem} now={Date.parse(line.at)} />
            </span>
          ) : null}
        </li>
      ))}
    </>
  );
}

function Poll({ subjectId, name, changes }: LiveLine) {
  return (
    <>
      <span class="quiet">poll </span>
      <a href={`/watches/${subjectId}`}>{name ?? subjectId}</a>
      {changes > 0 ? ` ${changes} ${changes === 1 ? "change" : "changes"}` : ""}
    </>
  );
}

function Attempt({ subjectId, name, type, number }: LiveLine) {
  return (
    <>
      <span class="quiet">webhook </span>
      <a href={`/deliveries/${subjectId}`}>{type ?? subjectId}</a> to {name ?? "a deleted endpoint"}
      {number > 1 ? <span class="quiet"> try {number}</span> : null}
    </>
  );
}
