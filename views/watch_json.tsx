import { type Faults, FormFault, TextArea } from "./form.tsx";
import { type Frame, Layout } from "./layout.tsx";
import type { EditedWatch } from "./watch_fields.ts";
import { NewReference } from "./watch_form.tsx";

/** A watch as the API has it, for what the form has no place for. */
export function WatchJsonPage(props: {
  frame: Frame;
  edited: EditedWatch | null;
  text: string;
  notice: string | null;
  faults: Faults;
}) {
  const { frame, edited, text, notice, faults } = props;
  const path = edited ? `/watches/${edited.id}` : "/watches";
  const { form: _form, definition: _definition, ...places } = faults;
  return (
    <Layout
      frame={frame}
      title={edited ? `Edit ${edited.name}` : "New watch"}
      section="/watches"
      crumb={edited ? { href: path, text: edited.name } : { href: "/watches", text: "Watches" }}
    >
      {notice ? <p class="notice info">{notice}</p> : null}
      <form class="sheet" method="post" action={edited ? `${path}/edit` : path}>
        {edited ? <input type="hidden" name="version" value={edited.version} /> : null}
        <FormFault faults={faults} />
        {Object.entries(places).map(([place, message]) => (
          <p class="fault" role="alert">
            <code>{place}</code> {message}
          </p>
        ))}
        <TextArea
          label="The watch as the API has it"
          name="definition"
          rows={26}
          value={text}
          hint="JSON. *** keeps a header's sealed value; what is taken out goes back to its default."
          faults={faults}
        />
        {edited ? <NewReference /> : null}
        <div class="actions">
          <button type="submit" name="do" value="save" class="primary">
            {edited ? "Save the changes" : "Save the watch"}
          </button>
          <a class="button" href={path}>
            Cancel
          </a>
          <button type="submit" name="do" value="form" class="slight">
            Back to the form
          </button>
          <a href="/docs">What can stand here</a>
        </div>
      </form>
    </Layout>
  );
}
