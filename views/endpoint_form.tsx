import type { OptionForm } from "../src/http/pages/plugin_options.ts";
import type { Secret } from "../src/vault/secrets.ts";
import { Check, type Faults, Field, FormFault, Select, TextArea } from "./form.tsx";
import { type Frame, Layout } from "./layout.tsx";
import { OptionFields } from "./option_fields.tsx";

/** The fields as text. */
export type EndpointForm = Record<
  | "name"
  | "url"
  | "event_types"
  | "filter"
  | "headers"
  | "secret_id"
  | "plugin"
  | "plugin_options"
  | "retry"
  | "timeout"
  | "rate_max"
  | "rate_per"
  | "max_in_flight",
  string
> & { ordered: boolean; auto_pause: boolean };

export type EndpointFormProps = {
  frame: Frame;
  /** The endpoint that is changed, or null for a new one. */
  endpoint: { id: string; name: string; kind: "subscribed" | "direct" | "listen" } | null;
  form: EndpointForm;
  secrets: Secret[];
  /** The names of those there are to choose from. */
  plugins: readonly string[];
  options: OptionForm[];
  faults: Faults;
};

/** Names of the fields behind "More": it is open when one of them is at fault. */
const FURTHER = [
  "filter",
  "headers",
  "secret_id",
  "plugin",
  "plugin_options",
  "retry",
  "timeout",
  "rate_max",
  "rate_per",
  "max_in_flight",
];

export function EndpointFormPage(props: EndpointFormProps) {
  const { frame, endpoint, form, secrets, plugins, options, faults } = props;
  const path = endpoint ? `/endpoints/${endpoint.id}` : "/endpoints";
  const isFixed = endpoint?.kind === "direct";
  const isAtFault = (name: string) => FURTHER.includes(name) || name.startsWith("option.");
  const isOpen = endpoint !== null || Object.keys(faults).some(isAtFault);
  const common = { faults, autoComplete: "off" } as const;
  return (
    <Layout
      frame={frame}
      title={endpoint ? `Edit ${endpoint.name}` : "New endpoint"}
      section="/endpoints"
      crumb={{ href: path, text: endpoint ? endpoint.name : "Endpoints" }}
    >
      <form class="sheet" method="post" action={endpoint ? `${path}/edit` : path}>
        <FormFault faults={faults} />
        <div class="fields">
          <Field
            label="URL"
            name="url"
            type="url"
            required
            readOnly={isFixed}
            value={form.url}
            placeholder="https://example.com/webhooks"
            hint="Webhooks are sent here with POST."
            {...common}
          />
          <Field
            label="Name"
            name="name"
            maxLength={200}
            value={form.name}
            hint="For people. Without one, the URL's host."
            {...common}
          />
        </div>
        {isFixed ? null : (
          <TextArea
            label="Event types"
            name="event_types"
            rows={3}
            value={form.event_types}
            hint="One a line; * stands for any characters, so order.* takes all orders and * everything. Empty: only events that name it."
            faults={faults}
          />
        )}
        <details class="more" open={isOpen}>
          <summary>Headers, retries, limits and more</summary>
          <div class="stack">
            <div class="fields">
              <Select
                label="Secret"
                name="secret_id"
                value={form.secret_id}
                faults={faults}
                hint="A credential sent along with each webhook."
                choices={[{ value: "", text: "None" }, ...secrets.map(({ id, name }) => ({ value: id, text: name }))]}
              />
              <Field
                label="Retry delays"
                name="retry"
                value={form.retry}
                placeholder="5s, 5m, 30m, 2h"
                hint="One wait after each failed try. Empty: the server's own."
                {...common}
              />
              <Field
                label="Timeout"
                name="timeout"
                value={form.timeout}
                placeholder="15s"
                hint="For a whole try. Empty: the server's own."
                {...common}
              />
            </div>
            <div class="fields">
              <Field
                label="Most in flight"
                name="max_in_flight"
                inputMode="numeric"
                value={form.max_in_flight}
                placeholder="32"
                hint="Requests at the same time."
                {...common}
              />
              <Field
                label="Rate limit"
                name="rate_max"
                inputMode="numeric"
                value={form.rate_max}
                hint="Requests in each period. Empty: no limit."
                {...common}
              />
              <Field label="Period of the limit" name="rate_per" value={form.rate_per} placeholder="1s" {...common} />
            </div>
            <TextArea
              label="Headers"
              name="headers"
              rows={3}
              value={form.headers}
              placeholder="X-Team: billing"
              hint="One a line, as Name: value. What looks like a credential is kept sealed and shown as ***."
              faults={faults}
            />
            {isFixed ? null : (
              <Field
                label="Filter"
                name="filter"
                value={form.filter}
                placeholder="$[?@.data.amount > 100]"
                hint="A JSONPath over a list that holds the payload; any match lets it through."
                {...common}
              />
            )}
            <div class="fields">
              <Field
                label="Plugins"
                name="plugin"
                value={form.plugin}
                placeholder="slack"
                hint={`Names, in the order in which they change the webhook. ${plugins.length > 0 ? `There are: ${plugins.join(", ")}.` : ""}`}
                {...common}
              />
              <TextArea
                label="Further options of the plugins"
                name="plugin_options"
                rows={3}
                value={form.plugin_options}
                hint="A JSON object, for options that have no field below; of several plugins, one member for each."
                faults={faults}
              />
            </div>
            {options.map((each) => (
              <PluginOptions form={each} chosen={form.plugin} faults={faults} />
            ))}
            {isFixed ? null : (
              <Check
                name="ordered"
                checked={form.ordered}
                label="In order: one at a time; a failing webhook holds up those behind it"
              />
            )}
            <Check
              name="auto_pause"
              checked={form.auto_pause}
              label="Pause by itself while the endpoint keeps failing, and resume when it is back"
            />
          </div>
        </details>
        <div class="actions">
          <button type="submit" class="primary">
            {endpoint ? "Save" : "Create the endpoint"}
          </button>
          <a class="button" href={path}>
            Cancel
          </a>
        </div>
      </form>
    </Layout>
  );
}

/** Closed while its plugin is not chosen: what is in it then does not count. */
function PluginOptions({ form, chosen, faults }: { form: OptionForm; chosen: string; faults: Faults }) {
  const isChosen = chosen.split(/[\s,]+/).includes(form.plugin);
  return (
    <details class="more" open={isChosen}>
      <summary>Options of {form.plugin}</summary>
      <div class="stack">
        <p class="quiet">
          {form.description ? `${form.description} ` : ""}Used when {form.plugin} is among the plugins above.
        </p>
        <OptionFields form={form} faults={faults} />
      </div>
    </details>
  );
}
