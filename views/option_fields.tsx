import type { OptionField, OptionForm } from "../src/http/pages/plugin_options.ts";
import { type Faults, Field, Select, TextArea } from "./form.tsx";

/** The options of one plugin, as its schema tells them. */
export function OptionFields({ form, faults }: { form: OptionForm; faults: Faults }) {
  return (
    <div class="fields">
      {form.fields.map((field) => (
        <OptionInput field={field} faults={faults} />
      ))}
    </div>
  );
}

function OptionInput({ field, faults }: { field: OptionField; faults: Faults }) {
  const { name, label, hint, kind, choices, fallback, text } = field;
  const common = { name, label, hint, faults };
  if (kind === "choice") {
    const unset = { value: "", text: fallback === null ? "Not set" : `Default: ${fallback}` };
    return <Select {...common} value={text} choices={[unset, ...choices.map((value) => ({ value, text: value }))]} />;
  }
  const placeholder = fallback ?? undefined;
  if (kind === "json") {
    const asJson = hint ? `${hint} (JSON)` : "JSON";
    return <TextArea {...common} hint={asJson} rows={3} value={text} placeholder={placeholder} />;
  }
  return (
    <Field
      {...common}
      value={text}
      placeholder={placeholder}
      autoComplete="off"
      {...(kind === "number" ? { inputMode: "decimal" } : {})}
    />
  );
}
