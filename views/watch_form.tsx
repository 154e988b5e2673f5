import type { ShownEndpoint } from "../src/delivering/endpoints.ts";
import type { Json } from "../src/platform/json.ts";
import type { Secret } from "../src/vault/secrets.ts";
import type { Preview, PreviewedField } from "../src/watching/preview.ts";
import type { ShownWatch } from "../src/watching/shown.ts";
import { Check, type Faults, Field, FormFault, Select, TextArea } from "./form.tsx";
import { JsonTree } from "./json_tree.tsx";
import { type Frame, Layout } from "./layout.tsx";
import { Code, Headers, Status, span } from "./pieces.tsx";

/** The fields as text. */
export type WatchForm = Record<
  | "name"
  | "source"
  | "secret_id"
  | "every"
  | "fields"
  | "items_path"
  | "items_key"
  | "items_fields"
  | "conditions"
  | "event_type"
  | "endpoint_url",
  string
> & { endpoint_ids: string[]; emit_initial: boolean };

/** What a try brought: the reply as a document, or only as text when it is not JSON. */
export type Tried = { preview: Preview; document: Json | undefined; sample: string | null };

export type NewWatchProps = {
  frame: Frame;
  form: WatchForm;
  secrets: Secret[];
  endpoints: ShownEndpoint[];
  tried: Tried | null;
  faults: Faults;
};

export function NewWatchPage({ frame, form, secrets, endpoints, tried, faults }: NewWatchProps) {
  return (
    <Layout frame={frame} title="New watch" section="/watches" crumb={{ href: "/watches", text: "Watches" }}>
      <form class="stack" method="post" action="/watches">
        <FormFault faults={faults} />
        <section class="sheet">
          <h2>1. Which API to ask</h2>
          <TextArea
            label="Address or curl command"
            name="source"
            rows={3}
            required
            value={form.source}
            placeholder="https://erp.example.com/api/orders/42"
            hint="A credential in a curl command (-u, or a Bearer token) is moved into a secret by itself."
            faults={faults.request ? { source: faults.request } : faults}
          />
          <div class="fields">
            <Select
              label="Credential"
              name="secret_id"
              value={form.secret_id}
              faults={faults}
              choices={[
                { value: "", text: "None" },
                ...secrets.map(({ id, name, kind }) => ({ value: id, text: `${name} (${kind.replaceAll("_", " ")})` })),
              ]}
            />
            <Field
              label="How often"
              name="every"
              required
              value={form.every}
              hint="Such as 30s, 5m, 1h; or a cron line in UTC, such as 0 9 * * 1-5"
              faults={faults.schedule ? { every: faults.schedule } : faults}
            />
          </div>
          <div class="actions">
            <button type="submit" name="do" value="try" class={tried ? "" : "primary"}>
              Try it
            </button>
            <a href="/secrets/new">New secret</a>
          </div>
        </section>
        {tried ? <TriedPart tried={tried} /> : null}
        <section class="sheet">
          <h2>2. What to look at</h2>
          <TextArea
            label="Fields"
            name="fields"
            rows={4}
            value={form.fields}
            placeholder="status = $.order.status"
            hint="One a line: a name and a JSONPath. After a try, click a value in the reply to add it."
            faults={faults}
          />
          <span id="picked" class="said" role="status" />
          <details class="more" open={form.items_path !== "" || "items" in faults || "items_fields" in faults}>
            <summary>Watch a list: each element by its key</summary>
            <div class="stack">
              <div class="fields">
                <Field
                  label="Elements"
                  name="items_path"
                  value={form.items_path}
                  placeholder="$.orders[*]"
                  autoComplete="off"
                  faults={faults.items ? { items_path: faults.items } : {}}
                />
                <Field label="Key" name="items_key" value={form.items_key} placeholder="$.id" autoComplete="off" />
              </div>
              <TextArea
                label="Fields of each element"
                name="items_fields"
                rows={4}
                value={form.items_fields}
                placeholder="status = $.status"
                hint="Paths begin at the element."
                faults={faults}
              />
            </div>
          </details>
          <details class="more" open={form.conditions !== "" || "conditions" in faults}>
            <summary>Only under conditions</summary>
            <TextArea
              label="Conditions"
              name="conditions"
              rows={3}
              value={form.conditions}
              placeholder="status becomes paid"
              hint="One a line, all must hold: changes, becomes, leaves, increases, decreases, increases_by, decreases_by, changes_by_percent, crosses_above, crosses_below, matches."
              faults={faults}
            />
          </details>
        </section>
        <section class="sheet">
          <h2>3. What to tell, and whom</h2>
          <div class="fields">
            <Field
              label="Name"
              name="name"
              value={form.name}
              maxLength={200}
              hint="For people. Without one, the address."
              autoComplete="off"
              faults={faults}
            />
            <Field
              label="Event type"
              name="event_type"
              value={form.event_type}
              placeholder="watch.changed"
              autoComplete="off"
              faults={faults}
            />
          </div>
          <EndpointChoice form={form} endpoints={endpoints} faults={faults} />
          <Check
            name="emit_initial"
            checked={form.emit_initial}
            label="Tell the first values too, instead of only what changes after them"
          />
          <div class="actions">
            <button type="submit" name="do" value="save" class="primary">
              Save the watch
            </button>
            <a class="button" href="/watches">
              Cancel
            </a>
          </div>
        </section>
      </form>
    </Layout>
  );
}

function EndpointChoice({ form, endpoints, faults }: Pick<NewWatchProps, "form" | "endpoints" | "faults">) {
  return (
    <>
      {endpoints.length > 0 ? (
        <fieldset>
          <legend>Endpoints</legend>
          <p class="hint">With none chosen: every endpoint that takes this event type.</p>
          {endpoints.map(({ id, name, url }) => (
            <Check
              name={id}
              checked={form.endpoint_ids.includes(id)}
              label={
                <>
                  {name} <span class="quiet small break">{url}</span>
                </>
              }
            />
          ))}
        </fieldset>
      ) : null}
      <Field
        label={endpoints.length > 0 ? "Or a new endpoint" : "Endpoint"}
        name="endpoint_url"
        type="url"
        value={form.endpoint_url}
        placeholder="https://example.com/webhooks"
        hint="Created together with the watch, for its events alone."
        faults={faults}
      />
    </>
  );
}

/** What was asked, what came back, and what the fields find in it. */
function TriedPart({ tried: { preview, document, sample } }: { tried: Tried }) {
  const { request, response, fields, items, problems } = preview;
  return (
    <section class="sheet" id="tried" aria-live="polite">
      <div class="row">
        <h2>The reply</h2>
        {response ? (
          <>
            <Status tone={response.status < 300 ? "good" : "bad"} text={String(response.status)} />
            <span class="quiet">
              {response.bytes} bytes in {span(response.ms)}
            </span>
          </>
        ) : (
          <Status tone="bad" text="no reply" />
        )}
      </div>
      {problems.map((problem) => (
        <p class="notice bad break">{problem}</p>
      ))}
      <p class="mono break">
        {request.method} {request.url}
      </p>
      {document === undefined ? null : <JsonTree document={document} />}
      {document === undefined && response ? <Code text={response.body} label="The reply as text" /> : null}
      {Object.keys(fields).length > 0 ? <Found fields={fields} /> : null}
      {items ? (
        <p>
          <strong>{items.count}</strong> elements were found in the list.
        </p>
      ) : null}
      {sample ? (
        <details class="more" open>
          <summary>What would be sent when a value changes</summary>
          <Code text={sample} label="An example of a webhook" />
        </details>
      ) : null}
      {response ? (
        <details class="more">
          <summary>Headers of the reply</summary>
          <Headers headers={response.headers} label="Headers of the reply" />
        </details>
      ) : null}
    </section>
  );
}

function Found({ fields }: { fields: Record<string, PreviewedField> }) {
  return (
    <dl class="facts">
      {Object.entries(fields).map(([name, found]) => (
        <>
          <dt class="mono">{name}</dt>
          <dd>
            {"value" in found ? <code>{JSON.stringify(found.value)}</code> : null}
            {"missing" in found ? <Status tone="warn" text="missing in this reply" /> : null}
            {"error" in found ? <span class="fault">{found.error}</span> : null}
          </dd>
        </>
      ))}
    </dl>
  );
}

export function EditWatchPage(props: { frame: Frame; watch: ShownWatch; text: string; faults: Faults }) {
  const { frame, watch, text, faults } = props;
  const path = `/watches/${watch.id}`;
  return (
    <Layout frame={frame} title={`Edit ${watch.name}`} section="/watches" crumb={{ href: path, text: watch.name }}>
      <form class="sheet" method="post" action={`${path}/edit`}>
        <FormFault faults={faults} />
        {Object.entries(faults)
          .filter(([name]) => name !== "definition" && name !== "form")
          .map(([name, message]) => (
            <p class="fault" role="alert">
              <code>{name}</code> {message}
            </p>
          ))}
        <TextArea
          label="The watch as the API has it"
          name="definition"
          rows={26}
          value={text}
          hint="JSON. *** keeps a header's sealed value; what is taken out goes back to its default. It is polled as soon as it is saved."
          faults={faults}
        />
        <div class="actions">
          <button type="submit" class="primary">
            Save
          </button>
          <a class="button" href={path}>
            Cancel
          </a>
          <a href="/docs">What can stand here</a>
        </div>
      </form>
    </Layout>
  );
}
