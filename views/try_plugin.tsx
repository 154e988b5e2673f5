import type { DiffRow } from "../src/http/pages/line_diff.ts";
import type { OptionForm } from "../src/http/pages/plugin_options.ts";
import type { Hook } from "../src/plugins/plugins.ts";
import { type Faults, Field, FormFault, TextArea } from "./form.tsx";
import { type Frame, Layout } from "./layout.tsx";
import { OptionFields } from "./option_fields.tsx";
import { Code, Headers, Status, span } from "./pieces.tsx";

/** What a plugin made of the sample. */
export type ShownTrial = { version: string; ms: number } & (
  | { fault: string }
  | { skipped: true }
  /** What a source's reply was read as. */
  | { document: string }
  | { rows: DiffRow[]; headers: Record<string, string> }
);

export type TryPluginProps = {
  frame: Frame;
  plugin: { name: string; description: string | null; hooks: readonly Hook[] };
  hook: Hook;
  /** What stands in the fields of the hook's sample. */
  sample: Record<string, string>;
  /** Options that have no field of their own, as JSON. */
  further: string;
  forms: OptionForm[];
  faults: Faults;
  trial: ShownTrial | null;
};

const WORDS: Record<Hook, { tab: string; explains: string; result: string; failed: string }> = {
  transform: {
    tab: "Webhooks",
    explains: "Here it only shows what it would make of an event: nothing leaves the server.",
    result: "What would be sent",
    failed: "nothing would be sent",
  },
  parse: {
    tab: "Replies",
    explains: "Here it only shows what it would read in a source's reply: nothing is asked.",
    result: "What a watch would read",
    failed: "such a poll would fail",
  },
  sign: {
    tab: "Requests",
    explains: "Here it only shows what it would make of a request to a source: nothing leaves the server.",
    result: "The request",
    failed: "such a poll would fail",
  },
};

export function TryPluginPage({ frame, plugin, hook, sample, further, forms, faults, trial }: TryPluginProps) {
  const path = `/plugins/${plugin.name}/try`;
  return (
    <Layout frame={frame} title={`Try ${plugin.name}`} section="/plugins" crumb={{ href: "/plugins", text: "Plugins" }}>
      {plugin.hooks.length > 1 ? (
        <nav class="tabs" aria-label="What to try it on">
          {plugin.hooks.map((each) => (
            <a href={`${path}?hook=${each}`} aria-current={each === hook ? "true" : undefined}>
              {WORDS[each].tab}
            </a>
          ))}
        </nav>
      ) : null}
      {trial ? <Trial trial={trial} hook={hook} /> : null}
      <form class="sheet" method="post" action={path}>
        <input type="hidden" name="hook" value={hook} />
        <FormFault faults={faults} />
        <p>
          {plugin.description ? `${plugin.description} ` : ""}
          {WORDS[hook].explains}
        </p>
        {hook === "transform" ? <SampleEvent sample={sample} faults={faults} /> : null}
        {hook === "parse" ? <SampleReply sample={sample} faults={faults} /> : null}
        {hook === "sign" ? <SampleRequest sample={sample} faults={faults} /> : null}
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

type SampleProps = Pick<TryPluginProps, "sample" | "faults">;

function SampleEvent({ sample, faults }: SampleProps) {
  return (
    <TextArea
      label="Sample event"
      name="event"
      rows={12}
      value={sample.event}
      required
      hint="JSON with a type and data, as a watch or a program states it."
      faults={faults}
    />
  );
}

function SampleReply({ sample, faults }: SampleProps) {
  return (
    <>
      <div class="fields">
        <Field label="Status" name="status" inputMode="numeric" required value={sample.status} faults={faults} />
        <Field label="Content type" name="content_type" value={sample.content_type} faults={faults} />
      </div>
      <TextArea
        label="Sample reply"
        name="reply"
        rows={8}
        value={sample.reply}
        hint="The body as it came."
        faults={faults}
      />
    </>
  );
}

function SampleRequest({ sample, faults }: SampleProps) {
  return (
    <>
      <div class="fields">
        <Field label="Method" name="method" required value={sample.method} faults={faults} />
        <Field label="Address" name="url" type="url" required value={sample.url} faults={faults} />
      </div>
      <div class="fields">
        <TextArea
          label="Headers"
          name="headers"
          rows={3}
          value={sample.headers}
          hint="One a line: name: value."
          faults={faults}
        />
        <TextArea
          label="Body"
          name="body"
          rows={3}
          value={sample.body}
          hint="As it would be sent. Empty: none."
          faults={faults}
        />
      </div>
      <TextArea
        label="Made-up secret"
        name="secret"
        rows={2}
        value={sample.secret}
        hint="JSON, of any kind. Empty: a watch without a credential. It is not kept."
        faults={faults}
      />
    </>
  );
}

function Trial({ trial, hook }: { trial: ShownTrial; hook: Hook }) {
  const by = `version ${trial.version}, in ${span(trial.ms)}`;
  const { result, failed } = WORDS[hook];
  if ("fault" in trial) {
    return (
      <p class="notice bad break" role="alert">
        It fails on this sample, and {failed}: {trial.fault}. ({by})
      </p>
    );
  }
  if ("skipped" in trial) {
    return <p class="notice warn">It skips this event: nothing would be sent. ({by})</p>;
  }
  if ("document" in trial) {
    return (
      <section class="sheet">
        <div class="row">
          <h2>{result}</h2>
          <Status tone="good" text="read" />
          <span class="quiet">{by}</span>
        </div>
        <Code text={trial.document} label="The reply as JSON" />
      </section>
    );
  }
  const changed = trial.rows.filter(({ same }) => !same).length;
  return (
    <section class="sheet">
      <div class="row">
        <h2>{result}</h2>
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
