import type { ShownDelivery } from "../src/delivering/deliveries.ts";
import type { ShownEndpoint, ShownSecret } from "../src/delivering/endpoints.ts";
import type { Names } from "../src/http/names_store.ts";
import { DeliveryTable } from "./deliveries.tsx";
import { ConfirmPost, Post, Select } from "./form.tsx";
import { type Frame, Layout, mayEdit } from "./layout.tsx";
import { PAUSES } from "./overview.tsx";
import { Clip, ClipLink, Copyable, Empty, Headers, Pager, Status, Time } from "./pieces.tsx";

type PagerLinks = { older: string | null; newest: string | null };

export function EndpointsPage(props: { frame: Frame; endpoints: ShownEndpoint[]; pager: PagerLinks; kind: string }) {
  const { frame, endpoints, pager, kind } = props;
  const create = mayEdit(frame) ? (
    <a class="button primary" href="/endpoints/new">
      New endpoint
    </a>
  ) : null;
  return (
    <Layout frame={frame} title="Endpoints" section="/endpoints" actions={create}>
      <nav class="tabs" aria-label="Kind">
        <a href="/endpoints" aria-current={kind === "subscribed" ? "true" : undefined}>
          Yours
        </a>
        <a href="/endpoints?kind=direct" aria-current={kind === "direct" ? "true" : undefined}>
          Of direct sends
        </a>
      </nav>
      {endpoints.length === 0 ? (
        <NoEndpoints kind={kind} canEdit={mayEdit(frame)} />
      ) : (
        <div class="table">
          <table>
            <thead>
              <tr>
                <th scope="col">State</th>
                <th scope="col">Name</th>
                <th scope="col">Takes</th>
                <th scope="col">Created</th>
              </tr>
            </thead>
            <tbody>
              {endpoints.map((endpoint) => (
                <tr>
                  <td>
                    <EndpointStatus endpoint={endpoint} />
                  </td>
                  <td>
                    <ClipLink href={`/endpoints/${endpoint.id}`} text={endpoint.name} />
                    {endpoint.url === endpoint.name ? null : <Clip text={endpoint.url} kind="quiet small" />}
                  </td>
                  <td data-label="Takes">
                    <Takes endpoint={endpoint} />
                  </td>
                  <td data-label="Created">
                    <Time at={endpoint.created_at} now={frame.now} />
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

function Takes({ endpoint }: { endpoint: ShownEndpoint }) {
  const types = endpoint.event_types.join(", ");
  return types === "" ? <span>{takesNoType(endpoint)}</span> : <Clip text={types} kind="mono" />;
}

function takesNoType({ kind }: ShownEndpoint): string {
  return kind === "direct" ? "what is sent to it" : "only events that name it";
}

function NoEndpoints({ kind, canEdit }: { kind: string; canEdit: boolean }) {
  if (kind === "direct") {
    return (
      <Empty title="No direct sends yet">
        <p>
          An event sent with a <code>url</code> goes there without any endpoint; each origin then shows up here by
          itself, with limits and a pause of its own.
        </p>
      </Empty>
    );
  }
  return (
    <Empty title="No endpoints yet">
      <p>An endpoint is an address that webhooks go to, with a signing secret and retries of its own.</p>
      {canEdit ? (
        <a class="button primary" href="/endpoints/new">
          Create the first one
        </a>
      ) : (
        <p class="quiet">Ask an editor to create one.</p>
      )}
    </Empty>
  );
}

export function EndpointStatus({ endpoint: { paused, health } }: { endpoint: ShownEndpoint }) {
  if (paused) return <Status tone={paused.reason === "manual" ? "warn" : "bad"} text={`paused: ${paused.reason}`} />;
  if (health.held_until) return <Status tone="warn" text="held" />;
  if (health.failing_since) return <Status tone="bad" text="failing" />;
  return <Status tone="good" text={health.backlog ? "draining" : "healthy"} />;
}

export type EndpointProps = {
  frame: Frame;
  endpoint: ShownEndpoint;
  /** Of its secret, by its id. */
  names: Names;
  deliveries: ShownDelivery[];
  /** Shown only when it was asked for. */
  secret: ShownSecret | null;
};

export function EndpointPage({ frame, endpoint, names, deliveries, secret }: EndpointProps) {
  const path = `/endpoints/${endpoint.id}`;
  const { paused, health } = endpoint;
  return (
    <Layout
      frame={frame}
      title={endpoint.name}
      section="/endpoints"
      crumb={{ href: "/endpoints", text: "Endpoints" }}
      beside={<EndpointStatus endpoint={endpoint} />}
      actions={mayEdit(frame) ? <Actions endpoint={endpoint} path={path} /> : null}
    >
      {paused ? (
        <p class="notice warn">
          Paused <Time at={paused.since} now={frame.now} />, {PAUSES[paused.reason]}. What is owed waits, and no try is
          used up.
          {health.next_probe_at ? (
            <>
              {" "}
              Next probe: <Time at={health.next_probe_at} now={frame.now} />.
            </>
          ) : null}
        </p>
      ) : null}
      {health.held_until ? (
        <p class="notice warn">
          It asked for patience (Retry-After); sending goes on <Time at={health.held_until} now={frame.now} />.
        </p>
      ) : null}
      <div class="grid">
        <section class="sheet">
          <h2>Where and what</h2>
          <EndpointFacts frame={frame} endpoint={endpoint} names={names} />
        </section>
        {mayEdit(frame) ? (
          <div class="stack">
            <SigningSecret frame={frame} path={path} secret={secret} />
            <Recover path={path} />
          </div>
        ) : null}
      </div>
      <section class="stack">
        <div class="row spread">
          <h2>Latest deliveries</h2>
          <span class="row">
            <a href={`/deliveries?endpoint=${endpoint.id}`}>All deliveries</a>
            <a href={`/dead-letters?endpoint=${endpoint.id}`}>Dead letters</a>
          </span>
        </div>
        {deliveries.length === 0 ? (
          <Empty title="Nothing was sent here yet">
            <p>Send a test, or an event of a type that it takes.</p>
          </Empty>
        ) : (
          <DeliveryTable frame={frame} deliveries={deliveries} withEndpoint={false} />
        )}
      </section>
    </Layout>
  );
}

function Actions({ endpoint, path }: { endpoint: ShownEndpoint; path: string }) {
  return (
    <>
      {endpoint.kind === "subscribed" ? <Post to={`${path}/test`} text="Send a test" kind="primary" /> : null}
      {endpoint.paused ? <Post to={`${path}/resume`} text="Resume" /> : <Post to={`${path}/pause`} text="Pause" />}
      <a class="button" href={`${path}/edit`}>
        Edit
      </a>
      <ConfirmPost
        to={`${path}/delete`}
        text="Delete…"
        ask="What is owed to it is cancelled. Its deliveries stay listed."
        sure="Delete the endpoint"
      />
    </>
  );
}

function EndpointFacts({ frame, endpoint, names }: Pick<EndpointProps, "frame" | "endpoint" | "names">) {
  const { retry, rate_limit: rate } = endpoint;
  const plugins = [endpoint.plugin ?? []].flat();
  return (
    <>
      <dl class="facts">
        <dt>URL</dt>
        <dd>
          <Copyable text={endpoint.url} />
        </dd>
        <dt>Id</dt>
        <dd>
          <Copyable text={endpoint.id} />
        </dd>
        <dt>Event types</dt>
        <dd>
          {endpoint.event_types.length === 0 ? (
            takesNoType(endpoint)
          ) : (
            <span class="mono">{endpoint.event_types.join(", ")}</span>
          )}
        </dd>
        {endpoint.filter ? (
          <>
            <dt>Filter</dt>
            <dd class="mono">{endpoint.filter}</dd>
          </>
        ) : null}
        <dt>Retries</dt>
        <dd>{retry === null ? "the server's own" : retry.delays ? retry.delays.join(", ") : JSON.stringify(retry)}</dd>
        <dt>Limits</dt>
        <dd>
          {endpoint.max_in_flight} in flight{rate ? `, ${rate.max} per ${rate.per}` : ""}
          {endpoint.ordered ? ", in order" : ""}
        </dd>
        {plugins.length > 0 ? (
          <>
            <dt>Plugins</dt>
            <dd>{plugins.join(", ")}</dd>
          </>
        ) : null}
        {endpoint.secret_id ? (
          <>
            <dt>Secret</dt>
            <dd>
              <a href={`/secrets/${endpoint.secret_id}`}>{names[endpoint.secret_id] ?? endpoint.secret_id}</a>
            </dd>
          </>
        ) : null}
        {endpoint.health.failing_since ? (
          <>
            <dt>Failing since</dt>
            <dd>
              <Time at={endpoint.health.failing_since} now={frame.now} />
            </dd>
          </>
        ) : null}
        <dt>Changed</dt>
        <dd>
          <Time at={endpoint.updated_at} now={frame.now} />
        </dd>
      </dl>
      {Object.keys(endpoint.headers).length > 0 ? (
        <Headers headers={endpoint.headers} label="Headers of its own" />
      ) : null}
    </>
  );
}

function SigningSecret({ frame, path, secret }: { frame: Frame; path: string; secret: ShownSecret | null }) {
  return (
    <section class="sheet" id="secret">
      <h2>Signing secret</h2>
      <p class="quiet">Receivers verify webhooks with it (Standard Webhooks).</p>
      {secret ? (
        <>
          <Copyable text={secret.secret} />
          {secret.previous.map((earlier) => (
            <p class="small">
              Signs along until it ends <Time at={earlier.expires_at} now={frame.now} />:{" "}
              <Copyable text={earlier.secret} />
            </p>
          ))}
        </>
      ) : null}
      <div class="actions">
        {secret ? null : <Post to={`${path}/secret`} text="Reveal" />}
        <ConfirmPost
          to={`${path}/rotate`}
          text="Rotate…"
          ask="A new secret is made now. The present one signs along for 24 hours, so that receivers can be changed over."
          sure="Make a new secret"
        />
      </div>
    </section>
  );
}

const SINCE = [
  { value: "1h", text: "Last hour" },
  { value: "24h", text: "Last 24 hours" },
  { value: "7d", text: "Last 7 days" },
  { value: "30d", text: "Last 30 days" },
];
const STATUSES = [
  { value: "dead", text: "Dead letters" },
  { value: "cancelled", text: "Cancelled" },
  { value: "delivered", text: "Delivered (again)" },
  { value: "all", text: "All of these" },
];

function Recover({ path }: { path: string }) {
  return (
    <section class="sheet">
      <h2>Recover</h2>
      <p class="quiet">After an outage: owe it again what it was owed. You see the number before anything is sent.</p>
      <form class="filters" method="get" action={`${path}/recover`}>
        <Select label="Time" name="since" choices={SINCE} value="24h" />
        <Select label="What" name="status" choices={STATUSES} value="dead" />
        <button type="submit">Count them</button>
      </form>
    </section>
  );
}
