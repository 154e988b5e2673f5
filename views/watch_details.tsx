import type { ComponentChildren } from "preact";
import { Check, type Faults, Field, Select, TextArea } from "./form.tsx";
import type { PartProps, WatchForm } from "./watch_fields.ts";

const METHODS = ["GET", "POST", "PUT", "PATCH"];
const FORMATS = { json: "JSON", xml: "XML", csv: "CSV" };

/** What every watch has anyway, so that it is no reason to unfold a part. */
const USUAL = new Set(["", "GET", "json", "each"]);

export function RequestPart({ form, faults }: PartProps) {
  return (
    <Part names={["method", "query", "headers", "body"]} form={form} faults={faults} title="The request in detail">
      <div class="fields">
        <Select
          label="Method"
          name="method"
          value={form.method}
          faults={faults}
          choices={METHODS.map((value) => ({ value, text: value }))}
        />
        <TextArea
          label="Parameters of the address"
          name="query"
          rows={3}
          value={form.query}
          placeholder="limit = 50"
          hint="One a line: name = value."
          faults={faults}
        />
      </div>
      <div class="fields">
        <TextArea
          label="Headers"
          name="headers"
          rows={3}
          value={form.headers}
          placeholder="accept: application/json"
          hint="One a line: name: value. *** keeps a sealed value."
          faults={faults}
        />
        <TextArea
          label="Body"
          name="body"
          rows={3}
          value={form.body}
          placeholder='{"status": "open"}'
          hint="JSON. A GET request has none."
          faults={faults}
        />
      </div>
    </Part>
  );
}

export function SchedulePart({ form, faults }: PartProps) {
  return (
    <Part
      names={["timezone", "adaptive_min", "adaptive_max"]}
      form={form}
      faults={faults}
      title="The schedule in detail"
    >
      <div class="fields">
        <Field
          label="Time zone"
          name="timezone"
          value={form.timezone}
          placeholder="Europe/Berlin"
          hint="Of a cron line. Without one: UTC."
          autoComplete="off"
          faults={faults}
        />
        <Field
          label="Adaptive: as often as"
          name="adaptive_min"
          value={form.adaptive_min}
          placeholder="10s"
          hint="While it changes often."
          autoComplete="off"
          faults={faults}
        />
        <Field
          label="Adaptive: as seldom as"
          name="adaptive_max"
          value={form.adaptive_max}
          placeholder="10m"
          hint="While nothing changes. Give both, or neither."
          autoComplete="off"
          faults={faults}
        />
      </div>
    </Part>
  );
}

export function ReadingPart({ form, faults, plugins }: PartProps & { plugins: string[] }) {
  const known = plugins.length > 0 ? ` Loaded for sources: ${plugins.join(", ")}.` : "";
  return (
    <Part
      names={["format", "plugin", "plugin_options"]}
      form={form}
      faults={faults}
      title="Another format, or a plugin"
    >
      <div class="fields">
        <Select
          label="Format of the reply"
          name="format"
          value={form.format}
          faults={faults}
          choices={Object.entries(FORMATS).map(([value, text]) => ({ value, text }))}
        />
        <Field
          label="Plugins"
          name="plugin"
          value={form.plugin}
          autoComplete="off"
          hint={`Names, with commas between them: they sign the request, or read the reply.${known}`}
          faults={faults}
        />
      </div>
      <TextArea
        label="Options of the plugins"
        name="plugin_options"
        rows={2}
        value={form.plugin_options}
        placeholder="{}"
        hint="A JSON object; of several plugins, by their names."
        faults={faults}
      />
    </Part>
  );
}

export function ValuesPart({ form, faults }: PartProps) {
  return (
    <Part
      names={["missing_after", "keep_bodies", "redact"]}
      form={form}
      faults={faults}
      title="Missing values, kept replies, secrecy"
    >
      <div class="fields">
        <Field
          label="Missing after"
          name="missing_after"
          inputMode="numeric"
          value={form.missing_after}
          placeholder="2"
          hint="Polls in a row without a field before that is stated."
          faults={faults}
        />
        <Field
          label="Replies kept"
          name="keep_bodies"
          inputMode="numeric"
          value={form.keep_bodies}
          placeholder="20"
          hint="For backtests. None, if a field is redacted."
          faults={faults}
        />
      </div>
      <Check name="redact" checked={form.redact} label="Redact all values: compared by hash, never stored or sent" />
      <p class="hint">
        One field alone says such things behind its path, as JSON: <code>tolerance</code>, <code>missing_after</code>,{" "}
        <code>take</code> (<code>"first"</code>), <code>redact</code>, <code>dialect</code> (<code>"plus"</code>). For
        example <code>{'total = $.total {"tolerance": {"absolute": 0.01}}'}</code>
      </p>
    </Part>
  );
}

/** Folded away unless something unusual stands in it, or something wrong. */
function Part(props: {
  names: (keyof WatchForm)[];
  form: WatchForm;
  faults: Faults;
  title: string;
  children: ComponentChildren;
}) {
  const { names, form, faults, title, children } = props;
  const isUsual = (value: unknown) => value === false || (typeof value === "string" && USUAL.has(value));
  return (
    <details class="more" open={names.some((name) => name in faults || !isUsual(form[name]))}>
      <summary>{title}</summary>
      <div class="stack">{children}</div>
    </details>
  );
}
