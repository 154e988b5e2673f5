import type { InputHTMLAttributes } from "preact";
import { Layout } from "./layout.tsx";

export type SetupForm = {
  stylePath: string;
  token: string;
  email: string;
  /** What is wrong, by field; `form` is about the whole. */
  faults: { email?: string; password?: string; form?: string };
};

/** Creates the first account; works without any script. */
export function SetupPage({ stylePath, token, email, faults }: SetupForm) {
  return (
    <Layout title="Create the first account" stylePath={stylePath}>
      <p>This account will be the admin of this server. The link that brought you here works once.</p>
      {faults.form ? (
        <p class="fault" role="alert">
          {faults.form}
        </p>
      ) : null}
      <form method="post" action="/setup">
        <input type="hidden" name="token" value={token} />
        <Field
          label="Email"
          fault={faults.email}
          attributes={{ name: "email", type: "email", value: email, maxLength: 254, autoComplete: "username" }}
        />
        <Field
          label="Password"
          hint="8 to 128 characters; several words make a good one"
          fault={faults.password}
          attributes={{
            name: "password",
            type: "password",
            minLength: 8,
            maxLength: 128,
            autoComplete: "new-password",
          }}
        />
        <button type="submit">Create the account</button>
      </form>
    </Layout>
  );
}

type FieldProps = {
  label: string;
  hint?: string;
  fault: string | undefined;
  attributes: InputHTMLAttributes & { name: string };
};

/** What is wrong takes the focus, so that it is read out and mended at once. */
function Field({ label, hint, fault, attributes }: FieldProps) {
  const id = attributes.name;
  const notes = [hint ? `${id}-hint` : "", fault ? `${id}-fault` : ""].filter((note) => note !== "").join(" ");
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        required
        {...attributes}
        {...(fault ? { "aria-invalid": "true", autoFocus: true } : {})}
        {...(notes === "" ? {} : { "aria-describedby": notes })}
      />
      {hint ? (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      ) : null}
      {fault ? (
        <p class="fault" id={`${id}-fault`} role="alert">
          {fault}
        </p>
      ) : null}
    </div>
  );
}

export type SetupDone = { stylePath: string; email: string; publicUrl: string };

/** What to do next, after the account was made. */
export function SetupDonePage({ stylePath, email, publicUrl }: SetupDone) {
  const login = `curl -s ${publicUrl}/v1/auth/login \\
  -H 'content-type: application/json' \\
  -d '${JSON.stringify({ email, password: "…" })}'`;
  return (
    <Layout title="The account is ready" stylePath={stylePath}>
      <p>
        <strong>{email}</strong> is the admin of this server. Log in through the API to get a token that is good for an
        hour:
      </p>
      <pre>
        <code>{login}</code>
      </pre>
      <p>
        Send it as <code>Authorization: Bearer …</code>, or make a lasting API key with <code>POST /v1/api-keys</code>.
      </p>
      <p>
        <a href="/docs">All of the API, with examples</a>
      </p>
    </Layout>
  );
}
