import type { ShownEndpoint } from "../src/delivering/endpoints.ts";
import type { Secret } from "../src/vault/secrets.ts";
import { Check, Field, FormFault, Select, TextArea } from "./form.tsx";
import { type Frame, Layout } from "./layout.tsx";
import { Clip } from "./pieces.tsx";
import { ReadingPart, RequestPart, SchedulePart, ValuesPart } from "./watch_details.tsx";
import type { EditedWatch, PartProps } from "./watch_fields.ts";
import { ListPart } from "./watch_list_part.tsx";
import { type Tried, TriedPart } from "./watch_tried.tsx";

export type WatchFormProps = PartProps & {
  frame: Frame;
  edited: EditedWatch | null;
  secrets: Secret[];
  endpoints: ShownEndpoint[];
  /** The built-in receiver is no endpoint yet, and becomes one when it is chosen. */
  offersPlay: boolean;
  /** That have a hook for sources. */
  plugins: string[];
  tried: Tried | null;
};

/** A new watch, or one that is edited: the same builder. */
export function WatchFormPage(props: WatchFormProps) {
  const { frame, form, edited, secrets, plugins, tried, faults } = props;
  const part = { form, faults };
  const path = edited ? `/watches/${edited.id}` : "/watches";
  return (
    <Layout
      frame={frame}
      title={edited ? `Edit ${edited.name}` : "New watch"}
      section="/watches"
      crumb={edited ? { href: path, text: edited.name } : { href: "/watches", text: "Watches" }}
    >
      <form class="stack" method="post" action={edited ? `${path}/edit` : path}>
        {edited ? <input type="hidden" name="version" value={edited.version} /> : null}
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
            hint="A credential in a curl command (-u, or a Bearer token) is moved into a secret of its own, for that host alone."
            faults={faults}
          />
          {edited || form.source !== "" ? null : (
            <p class="hint">
              No API at hand? <a href="/watches/new?from=sample">Take the built-in sample</a>: an order whose status
              changes every 5 seconds.
            </p>
          )}
          <div class="fields">
            <Select
              label="Credential"
              name="secret_id"
              value={form.secret_id}
              faults={faults}
              choices={secretChoices(secrets, form.secret_id)}
            />
            <Field
              label="How often"
              name="every"
              required
              value={form.every}
              hint="Such as 30s, 5m, 1h; or a cron line, such as 0 9 * * 1-5"
              faults={faults}
            />
          </div>
          <RequestPart {...part} />
          <SchedulePart {...part} />
          <ReadingPart {...part} plugins={plugins} />
          <div class="actions">
            <button type="submit" name="do" value="try" class={tried || edited ? "" : "primary"}>
              Try it
            </button>
            <a href="/secrets/new">New secret</a>
          </div>
        </section>
        {tried ? <TriedPart tried={tried} /> : null}
        <section class="sheet">
          <h2>2. What to look at</h2>
          <div>
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
          </div>
          <ListPart {...part} />
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
          <ValuesPart {...part} />
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
          <EndpointChoice {...props} />
          <Check
            name="emit_initial"
            checked={form.emit_initial}
            label="Tell the first values too, instead of only what changes after them"
          />
          {edited ? <NewReference /> : null}
          <div class="actions">
            <button type="submit" name="do" value="save" class="primary">
              {edited ? "Save the changes" : "Save the watch"}
            </button>
            <a class="button" href={path}>
              Cancel
            </a>
            <button type="submit" name="do" value="json" class="slight" formNoValidate>
              Edit as JSON
            </button>
          </div>
        </section>
      </form>
    </Layout>
  );
}

/** What a save makes of the values that are known. */
export function NewReference() {
  return (
    <p class="hint">
      It is polled as soon as it is saved. With another address, method, header, parameter, body, format, plugin or way
      of walking pages, that poll takes all its values as the new reference and states nothing; with another path, it
      does so for that field alone. Everything else goes on from the last known values.
    </p>
  );
}

function secretChoices(secrets: Secret[], chosen: string) {
  const known = secrets.map(({ id, name, kind }) => ({ value: id, text: `${name} (${kind.replaceAll("_", " ")})` }));
  const isListed = chosen === "" || known.some(({ value }) => value === chosen);
  return [{ value: "", text: "None" }, ...(isListed ? [] : [{ value: chosen, text: chosen }]), ...known];
}

function EndpointChoice({ form, endpoints, offersPlay, faults }: Omit<WatchFormProps, "frame">) {
  const unlisted = form.endpoint_ids.filter((id) => !endpoints.some((endpoint) => endpoint.id === id));
  return (
    <>
      <fieldset>
        <legend>Endpoints</legend>
        <p class="hint">With none chosen: every endpoint that takes this event type.</p>
        <div class="choices">
          {endpoints.map(({ id, name, url }) => (
            <Check
              name={id}
              checked={form.endpoint_ids.includes(id)}
              label={
                <>
                  <Clip text={name} />
                  <Clip text={url} kind="quiet small" />
                </>
              }
            />
          ))}
          {unlisted.map((id) => (
            <Check name={id} checked label={<code>{id}</code>} />
          ))}
          {offersPlay ? (
            <Check
              name="play"
              checked={form.play}
              label={
                <>
                  The built-in receiver <span class="quiet small">what arrives is shown on the page Play</span>
                </>
              }
            />
          ) : null}
        </div>
      </fieldset>
      <Field
        label="Or a new endpoint"
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
