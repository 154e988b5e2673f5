import type { DiffRow } from "../src/http/pages/line_diff.ts";
import type { OptionForm } from "../src/http/pages/plugin_options.ts";
import { type Faults, FormFault, TextArea } from "./form.tsx";
import { type Frame, Layout } from "./layout.tsx";
import { OptionFields } from "./option_fields.tsx";
import { Headers, Status, span } from "./pieces.tsx";

/** What a plugin made of the sample. */
export type ShownTrial = { version: string; ms: number } & (
  | { fault: string }
  | { skipped: true }
  | { rows: DiffRow[]; headers: Record<string, string> }
);

export type TryPluginProps = {
  frame: Frame;
  plugin: { name: string; description: string | null };
  event: string;
  /** Options that have no field of their own, as JSON. */
  further: string;
  forms: OptionForm[];
  faults: Faults;
  trial: ShownTrial | null;
};

export function TryPluginPage({ frame, plugin, event, further, forms, faults, trial }: TryPluginProps) {
  return (
    <Layout frame={frame} title={`Try ${plugin.name}`} section="/plugins" crumb={{ href: "/plugins", text: "Plugins" }}>
      {trial ? <Trial trial={trial} /> : null}
      <form class="sheet" method="post" action={`/plugins/${plugin.name}/try`}>
        <FormFault faults={faults} />
        <p>
          {plugin.description ? `${plugin.description} ` : ""}Here it only shows what it would make of an event: nothing
          leaves the server.
        </p>
        <TextArea
          label="Sample event"
          name="event"
          rows={12}
          value={event}
          required
          hint="JSON with a type and data, as a watch or a program states it."
          faults={faults}
        />
        {forms.map((form) => (
          <OptionFields form={form} faults={faults} />
        ))}
        {forms.length === 0 || further !== "" || "plugin_options" in faults ? (
          <TextArea
            label="Options"
            name="plugin_options"
            rows={3}
            value={further}
            placeholder="{}"
            hint="A JSON object."
            faults={faults}
          />
        ) : null}
        <div class="actions">
          <button type="submit" class="primary">
            Try it
          </button>
          <a class="button" href="/plugins">
            Back
          </a>
        </div>
      </form>
    </Layout>
  );
}

function Trial({ trial }: { trial: ShownTrial }) {
  const by = `version ${trial.version}, in ${span(trial.ms)}`;
  if ("fault" in trial) {
    return (
      <p class="notice bad break" role="alert">
        It fails on this sample, and nothing would be sent: {trial.fault}. ({by})
      </p>
    );
  }
  if ("skipped" in trial) {
    return <p class="notice warn">It skips this event: nothing would be sent. ({by})</p>;
  }
  const changed = trial.rows.filter(({ same }) => !same).length;
  return (
    <section class="sheet">
      <div class="row">
        <h2>What would be sent</h2>
        <Status tone={changed > 0 ? "good" : "none"} text={changed > 0 ? "changed" : "as it was"} />
        <span class="quiet">{by}</span>
      </div>
      <Diff rows={trial.rows} />
      {Object.keys(trial.headers).length > 0 ? (
        <Headers headers={trial.headers} label="Headers that the plugin adds" />
      ) : null}
    </section>
  );
}

/** Two texts side by side; changed lines by a sign and a word for screen readers, not by colour alone. */
function Diff({ rows }: { rows: DiffRow[] }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard (WCAG 2.1.1)
    <section class="diff-box" aria-label="Before and after" tabIndex={0}>
      <table class="diff">
        <thead>
          <tr>
            <th scope="col">Without the plugin</th>
            <th scope="col">With it</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ before, after, same }) => (
            <tr>
              <td class={same ? "" : before === null ? "none" : "gone"}>
                {same || before === null ? before : <del>{before}</del>}
              </td>
              <td class={same ? "" : after === null ? "none" : "come"}>
                {same || after === null ? after : <ins>{after}</ins>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
