import { Check, type Faults, Field, Select, TextArea } from "./form.tsx";
import type { PartProps } from "./watch_fields.ts";

const NAMES = ["items_path", "items_key", "items_fields", "items_events", "removed_after", "pagination", "max_pages"];
const EVENTS = { each: "One for each element", together: "One for all changes of a poll" };
const PAGES = {
  "": "All in one reply",
  link: "A link to the next page",
  cursor: "A cursor in the reply",
  page: "Numbered pages",
  offset: "An offset",
};

/** A collection, its elements known by their key. */
export function ListPart({ form, faults }: PartProps) {
  const hasFault = Object.keys(faults).some((name) => NAMES.includes(name) || name.startsWith("page_"));
  return (
    <details class="more" open={form.items_path !== "" || form.pagination !== "" || hasFault}>
      <summary>Watch a list: each element by its key</summary>
      <div class="stack">
        <div class="fields">
          <Field
            label="Elements"
            name="items_path"
            value={form.items_path}
            placeholder="$.orders[*]"
            autoComplete="off"
            faults={faults}
          />
          <Field
            label="Key"
            name="items_key"
            value={form.items_key}
            placeholder="$.id"
            autoComplete="off"
            faults={faults}
          />
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
        <div class="fields">
          <Select
            label="Events"
            name="items_events"
            value={form.items_events}
            faults={faults}
            choices={Object.entries(EVENTS).map(([value, text]) => ({ value, text }))}
          />
          <Field
            label="Removed after"
            name="removed_after"
            inputMode="numeric"
            value={form.removed_after}
            placeholder="2"
            hint="Polls in a row without an element."
            faults={faults}
          />
        </div>
        <Check
          name="window"
          checked={form.window}
          label="The list shows only the latest elements: never state that one was removed"
        />
        <Check
          name="no_guard"
          checked={form.no_guard}
          label="State it at once when most elements are gone, instead of holding that poll for a person"
        />
        <Pages form={form} faults={faults} />
      </div>
    </details>
  );
}

/** Only the fields of the chosen way are shown, and the others of no effect. */
function Pages({ form, faults }: PartProps) {
  return (
    <div class="fields">
      <Select
        label="Pages"
        name="pagination"
        value={form.pagination}
        showsKinds
        faults={faults}
        choices={Object.entries(PAGES).map(([value, text]) => ({ value, text }))}
      />
      <div data-kind="link cursor">
        <Field
          label="Where the next one stands"
          name="page_path"
          value={form.page_path}
          placeholder="$.next"
          autoComplete="off"
          hint="A JSONPath. For a link, empty means the Link header."
          faults={faults}
        />
      </div>
      <div data-kind="cursor page offset">
        <Field
          label="Its parameter"
          name="page_param"
          value={form.page_param}
          placeholder="cursor, page or offset"
          autoComplete="off"
          faults={faults}
        />
      </div>
      <Count kind="page" label="First page" name="page_first" value={form.page_first} placeholder="1" faults={faults} />
      <div data-kind="offset">
        <Field
          label="Parameter of the limit"
          name="page_limit_param"
          value={form.page_limit_param}
          placeholder="limit"
          autoComplete="off"
          faults={faults}
        />
      </div>
      <Count kind="offset" label="Limit" name="page_limit" value={form.page_limit} placeholder="100" faults={faults} />
      <Count
        kind="link cursor page offset"
        label="Pages at most"
        name="max_pages"
        value={form.max_pages}
        placeholder="100"
        faults={faults}
      />
    </div>
  );
}

type CountProps = { kind: string; label: string; name: string; value: string; placeholder: string; faults: Faults };

function Count({ kind, ...field }: CountProps) {
  return (
    <div data-kind={kind}>
      <Field inputMode="numeric" {...field} />
    </div>
  );
}
