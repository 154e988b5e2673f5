import type { Secret } from "../src/vault/secrets.ts";
import { ConfirmPost, type Faults, Field, FormFault } from "./form.tsx";
import { type Frame, Layout, mayEdit } from "./layout.tsx";
import { ClipLink, Copyable, Empty, Pager, Time } from "./pieces.tsx";

const KINDS: Record<Secret["kind"], string> = {
  bearer: "Bearer token",
  basic: "User and password",
  header: "Header",
  query: "Query parameter",
  oauth2_client_credentials: "OAuth2 client credentials",
};

export function SecretsPage(props: {
  frame: Frame;
  secrets: Secret[];
  pager: { older: string | null; newest: string | null };
}) {
  const { frame, secrets, pager } = props;
  const create = mayEdit(frame) ? (
    <a class="button primary" href="/secrets/new">
      New secret
    </a>
  ) : null;
  return (
    <Layout frame={frame} title="Secrets" section="/secrets" actions={create}>
      {secrets.length === 0 ? (
        <Empty title="No secrets yet">
          <p>
            Credentials for the APIs that are watched and the endpoints that are sent to: sealed, and never shown again.
          </p>
          {create}
        </Empty>
      ) : (
        <div class="table">
          <table>
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Kind</th>
                <th scope="col">Changed</th>
              </tr>
            </thead>
            <tbody>
              {secrets.map(({ id, name, kind, updated_at }) => (
                <tr>
                  <td>
                    <ClipLink href={`/secrets/${id}`} text={name} />
                  </td>
                  <td data-label="Kind">{KINDS[kind]}</td>
                  <td data-label="Changed">
                    <Time at={updated_at} now={frame.now} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <Pager {...pager} />
    </Layout>
  );
}

/** `typed` are the parts of its value that are no secret, by the names of their fields. */
export type SecretForm = { name: string; kind: string; hosts: string; typed?: Record<string, string> };

/** A new secret, or one whose name or value is changed; a value is only ever typed in. */
export function SecretFormPage(props: { frame: Frame; secret: Secret | null; form: SecretForm; faults: Faults }) {
  const { frame, secret, form, faults } = props;
  const path = secret ? `/secrets/${secret.id}` : "/secrets";
  return (
    <Layout
      frame={frame}
      title={secret ? secret.name : "New secret"}
      section="/secrets"
      crumb={{ href: "/secrets", text: "Secrets" }}
      actions={
        secret && mayEdit(frame) ? (
          <ConfirmPost
            to={`${path}/delete`}
            text="Delete…"
            ask="Its value is gone for good. One that a watch or an endpoint uses cannot be deleted."
            sure="Delete the secret"
          />
        ) : null
      }
    >
      {secret ? (
        <section class="sheet">
          <dl class="facts">
            <dt>Kind</dt>
            <dd>{KINDS[secret.kind]}</dd>
            <dt>Id</dt>
            <dd>
              <Copyable text={secret.id} />
            </dd>
            <dt>Changed</dt>
            <dd>
              <Time at={secret.updated_at} now={frame.now} />
            </dd>
            <dt>Goes to</dt>
            <dd>{secret.hosts?.join(", ") ?? "any host that a watch or an endpoint names"}</dd>
            <dt>Value</dt>
            <dd class="quiet">sealed; it can be replaced, and not be read</dd>
          </dl>
        </section>
      ) : null}
      {mayEdit(frame) ? (
        <form class="sheet" method="post" action={path}>
          <h2>{secret ? "Change it" : "What it is"}</h2>
          <FormFault faults={faults} />
          <div class="fields">
            <Field
              label="Name"
              name="name"
              required
              maxLength={100}
              value={form.name}
              autoComplete="off"
              faults={faults}
            />
            {secret ? (
              <input type="hidden" name="kind" value={secret.kind} data-kinds />
            ) : (
              <div class="field">
                <label for="kind">Kind</label>
                <select id="kind" name="kind" data-kinds>
                  {Object.entries(KINDS).map(([value, text]) => (
                    <option value={value} selected={value === form.kind}>
                      {text}
                    </option>
                  ))}
                </select>
              </div>
            )}
          </div>
          <Field
            label="Hosts"
            name="hosts"
            value={form.hosts}
            placeholder="erp.example.com, *.example.com"
            autoComplete="off"
            hint={
              secret
                ? "It goes nowhere else. More hosts than now need an admin, or the value typed anew."
                : "It goes nowhere else, whoever names it. Empty: to any host."
            }
            faults={faults}
          />
          {secret ? <p class="hint">What is left empty stays as it is.</p> : null}
          <ValueFields kind={secret?.kind ?? null} isNew={secret === null} typed={form.typed ?? {}} faults={faults} />
          <div class="actions">
            <button type="submit" class="primary">
              {secret ? "Save" : "Create the secret"}
            </button>
            <a class="button" href="/secrets">
              Cancel
            </a>
          </div>
        </form>
      ) : null}
    </Layout>
  );
}

type Part = { kinds: Secret["kind"][]; name: string; label: string; isHidden?: boolean };

const PARTS: Part[] = [
  { kinds: ["bearer"], name: "token", label: "Token", isHidden: true },
  { kinds: ["basic"], name: "username", label: "User name" },
  { kinds: ["basic"], name: "password", label: "Password", isHidden: true },
  { kinds: ["header"], name: "header_name", label: "Header name" },
  { kinds: ["header"], name: "header_value", label: "Header value", isHidden: true },
  { kinds: ["query"], name: "query_name", label: "Parameter name" },
  { kinds: ["query"], name: "query_value", label: "Parameter value", isHidden: true },
  { kinds: ["oauth2_client_credentials"], name: "token_url", label: "Token URL" },
  { kinds: ["oauth2_client_credentials"], name: "client_id", label: "Client id" },
  { kinds: ["oauth2_client_credentials"], name: "client_secret", label: "Client secret", isHidden: true },
  { kinds: ["oauth2_client_credentials"], name: "scope", label: "Scope (may be empty)" },
];

/** Without scripts the parts of all kinds are there, each under its kind's name. */
function ValueFields(props: {
  kind: Secret["kind"] | null;
  isNew: boolean;
  typed: Record<string, string>;
  faults: Faults;
}) {
  const { kind, isNew, typed, faults } = props;
  const kinds = (Object.keys(KINDS) as Secret["kind"][]).filter((each) => kind === null || each === kind);
  return (
    <>
      {kinds.map((each) => (
        <fieldset data-kind={each}>
          <legend>{KINDS[each]}</legend>
          <div class="fields">
            {PARTS.filter(({ kinds: of }) => of.includes(each)).map(({ name, label, isHidden }) => {
              const common = { name, label, faults, placeholder: isNew ? "" : "unchanged" };
              return isHidden ? (
                <Field type="password" autoComplete="new-password" {...common} />
              ) : (
                <Field type="text" autoComplete="off" value={typed[name] ?? ""} {...common} />
              );
            })}
          </div>
        </fieldset>
      ))}
    </>
  );
}
