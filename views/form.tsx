import type { ComponentChildren, InputHTMLAttributes, TextareaHTMLAttributes } from "preact";

/** What is wrong with a form, by the name of the field; `form` is about the whole. */
export type Faults = Record<string, string>;

type Labelled = { label: string; name: string; hint?: string | undefined; faults?: Faults | undefined };

/** One line of text with its label, hint and fault. What is wrong takes the focus, so that it is read and mended at once. */
export function Field({ label, name, hint, faults = {}, ...rest }: Labelled & InputHTMLAttributes) {
  return (
    <Labelling label={label} name={name} hint={hint} faults={faults}>
      <input id={name} name={name} {...rest} {...described(name, hint, faults)} />
    </Labelling>
  );
}

export function TextArea({ label, name, hint, faults = {}, ...rest }: Labelled & TextareaHTMLAttributes) {
  return (
    <Labelling label={label} name={name} hint={hint} faults={faults}>
      <textarea id={name} name={name} spellcheck={false} {...rest} {...described(name, hint, faults)} />
    </Labelling>
  );
}

/** A filter by an id: `prefix` is how such ids begin. The browser says what is wrong before anything is asked. */
export function IdField({ label, name, prefix, value }: Labelled & { prefix: string; value: string | undefined }) {
  return (
    <Field
      label={label}
      name={name}
      value={value ?? ""}
      placeholder={`${prefix}_…`}
      pattern={`\\s*${prefix}_[0-9a-f]{32}\\s*`}
      title={`The whole id, such as it stands on its page: ${prefix}_ and 32 characters`}
      autoComplete="off"
    />
  );
}

export type EndpointNames = readonly { id: string; name: string }[];

/** A filter by the endpoint. */
export function EndpointSelect({ endpoints, value }: { endpoints: EndpointNames; value: string | undefined }) {
  const named = endpoints.map(({ id, name }) => ({ value: id, text: name }));
  return (
    <Select label="Endpoint" name="endpoint" choices={[{ value: "", text: "Any" }, ...named]} value={value ?? ""} />
  );
}

export type Choice = { value: string; text: string };

/** `showsKinds`: only what is marked with `data-kind` as of the chosen value is shown; `app.js` sees to it. */
export function Select(
  props: Labelled & { choices: readonly Choice[]; value: string | undefined; showsKinds?: boolean },
) {
  const { label, name, hint, faults = {}, choices, value, showsKinds = false } = props;
  const kinds = showsKinds ? { "data-kinds": true } : {};
  return (
    <Labelling label={label} name={name} hint={hint} faults={faults}>
      <select id={name} name={name} {...kinds} {...described(name, hint, faults)}>
        {choices.map((choice) => (
          <option value={choice.value} selected={choice.value === value}>
            {choice.text}
          </option>
        ))}
      </select>
    </Labelling>
  );
}

export function Check({ label, name, checked }: { label: ComponentChildren; name: string; checked: boolean }) {
  return (
    <label class="check">
      <input type="checkbox" name={name} value="on" checked={checked} /> <span>{label}</span>
    </label>
  );
}

export function FormFault({ faults }: { faults: Faults }) {
  return faults.form ? (
    <p class="notice bad" role="alert">
      {faults.form}
    </p>
  ) : null;
}

/** A button that posts to a path. */
export function Post(props: { to: string; text: string; kind?: string; fields?: Record<string, string> }) {
  const { to, text, kind = "", fields = {} } = props;
  return (
    <form method="post" action={to}>
      {Object.entries(fields).map(([name, value]) => (
        <input type="hidden" name={name} value={value} />
      ))}
      <button type="submit" class={kind}>
        {text}
      </button>
    </form>
  );
}

/** The same for what cannot be undone: the button comes after a sentence. */
export function ConfirmPost(props: { to: string; text: string; ask: string; sure: string; slight?: boolean }) {
  return (
    <details class={props.slight ? "confirm slight" : "confirm"}>
      <summary>{props.text}</summary>
      <div>
        <p>{props.ask}</p>
        <Post to={props.to} text={props.sure} kind="danger" />
      </div>
    </details>
  );
}

function Labelling({ label, name, hint, faults = {}, children }: Labelled & { children: ComponentChildren }) {
  const fault = faults[name];
  return (
    <div class="field">
      <label for={name}>{label}</label>
      {children}
      {hint ? (
        <p class="hint" id={`${name}-hint`}>
          {hint}
        </p>
      ) : null}
      {fault ? (
        <p class="fault" id={`${name}-fault`} role="alert">
          {fault}
        </p>
      ) : null}
    </div>
  );
}

function described(name: string, hint: string | undefined, faults: Faults) {
  const notes = [hint ? `${name}-hint` : "", faults[name] ? `${name}-fault` : ""].filter((note) => note !== "");
  return {
    ...(notes.length > 0 ? { "aria-describedby": notes.join(" ") } : {}),
    ...(faults[name] ? { "aria-invalid": "true" as const } : {}),
    // Only the first fault takes the focus.
    ...(Object.keys(faults)[0] === name ? { autoFocus: true } : {}),
  };
}
