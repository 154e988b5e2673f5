import { pretty } from "./deliveries.tsx";
import { Post } from "./form.tsx";
import { type Frame, Layout, mayEdit } from "./layout.tsx";
import { Code, Copyable, Empty, Headers, Status, Time } from "./pieces.tsx";

/** One try, as the receiver saw it. */
export type ReceivedWebhook = {
  id: string;
  at: string;
  deliveryId: string;
  endpointName: string;
  type: string | null;
  number: number;
  /** What the receiver answered. */
  status: number;
  headers: Record<string, string>;
  /** Null when retention has dropped the event. */
  body: string | null;
  /** Null when there is no body to check the signature of. */
  isVerified: boolean | null;
};

export type PlayProps = {
  frame: Frame;
  /** That read the sample. */
  watches: { id: string; name: string }[];
  /** At a built-in receiver. */
  endpoints: { id: string; name: string; url: string }[];
  canReceive: boolean;
  webhooks: ReceivedWebhook[];
};

export function PlayPage({ frame, watches, endpoints, canReceive, webhooks }: PlayProps) {
  return (
    <Layout
      frame={frame}
      title="Play"
      section="/play"
      actions={mayEdit(frame) ? <Actions hasWatch={watches.length > 0} canReceive={canReceive} /> : null}
    >
      <section class="sheet stack">
        <p>
          See a first webhook without any other program. These addresses are answered by DeltaHook itself: a sample
          source to watch, and receivers that show what arrives.
        </p>
        <dl class="facts">
          <dt>Source</dt>
          <dd>
            <Copyable text="deltahook://sample" /> an order whose status changes every 5 seconds
          </dd>
          <dt>Receiver</dt>
          <dd>
            <Copyable text="deltahook://play" /> takes every webhook and answers 200
          </dd>
          <dt>Failing receiver</dt>
          <dd>
            <Copyable text="deltahook://play/fail" /> answers 500, so that retries and dead letters can be seen
          </dd>
          {watches.length > 0 ? (
            <>
              <dt>Watches of the sample</dt>
              <dd>
                <Links section="/watches" things={watches} />{" "}
                <span class="quiet">pause or delete when seen enough</span>
              </dd>
            </>
          ) : null}
          {endpoints.length > 0 ? (
            <>
              <dt>Endpoints here</dt>
              <dd>
                <Links section="/endpoints" things={endpoints} />
              </dd>
            </>
          ) : null}
        </dl>
      </section>
      <h2>Received</h2>
      <Received frame={frame} webhooks={webhooks} />
    </Layout>
  );
}

function Actions({ hasWatch, canReceive }: { hasWatch: boolean; canReceive: boolean }) {
  return (
    <>
      {hasWatch ? null : <Post to="/play/watch" text="Create the sample watch" kind="primary" />}
      {canReceive ? null : <Post to="/play/endpoint" text="Create a play endpoint" />}
      <Post to="/play/fail" text="Send one that fails" />
    </>
  );
}

function Links({ section, things }: { section: string; things: { id: string; name: string }[] }) {
  return (
    <>
      {things.map(({ id, name }, place) => (
        <>
          {place > 0 ? ", " : ""}
          <a href={`${section}/${id}`}>{name}</a>
        </>
      ))}
    </>
  );
}

/** What arrived, the newest first. Asks for itself again as long as the page is open. */
export function Received({ frame, webhooks }: { frame: Frame; webhooks: ReceivedWebhook[] }) {
  return (
    <div class="stack" id="received" hx-get="/play/received" hx-trigger="every 2s" hx-swap="outerMorph">
      {webhooks.length === 0 ? (
        <Empty title="Nothing has arrived yet">
          <p>
            Create the sample watch: its first poll remembers the order, and the next change sends a webhook here,
            within ten seconds. Or give an endpoint of yours the address <code>deltahook://play</code> and send it a
            test.
          </p>
        </Empty>
      ) : (
        webhooks.map((webhook) => <Webhook frame={frame} webhook={webhook} isOpen={webhooks.length === 1} />)
      )}
    </div>
  );
}

/** Left alone once it is there, so that what a person opened or closed stays so. */
function Webhook({ frame, webhook, isOpen }: { frame: Frame; webhook: ReceivedWebhook; isOpen: boolean }) {
  const { id, at, deliveryId, endpointName, type, number, status, headers, body, isVerified } = webhook;
  return (
    <details class="sheet" id={`received-${id}`} open={isOpen} hx-morph-skip>
      <summary>
        <span class="row">
          <strong>{type ?? "event dropped by retention"}</strong>
          <Signature isVerified={isVerified} />
          <span class="quiet">
            answered {status} at {endpointName} · <Time at={at} now={frame.now} />
            {number > 1 ? ` · try ${number}` : ""}
          </span>
        </span>
      </summary>
      <div class="stack">
        <Headers headers={headers} label={`Headers of ${deliveryId}`} />
        {body === null ? (
          <p class="quiet">The body went with its event, which retention has dropped.</p>
        ) : (
          <Code text={pretty(body)} label={`Body of ${deliveryId}`} />
        )}
        <p>
          <a href={`/deliveries/${deliveryId}`}>The delivery with all its tries</a>
        </p>
      </div>
    </details>
  );
}

function Signature({ isVerified }: { isVerified: boolean | null }) {
  if (isVerified === null) return <Status tone="none" text="no body to verify" />;
  if (isVerified) return <Status tone="good" text="signature verified" />;
  return <Status tone="warn" text="signed with a secret no longer in force" />;
}
