import type { ApiKey } from "../src/identity/api_keys.ts";
import { ConfirmPost, type Faults, Field, FormFault, Select } from "./form.tsx";
import { type Frame, Layout, mayEdit } from "./layout.tsx";
import { Clip, Copyable, Empty, Pager, Time } from "./pieces.tsx";

export type ApiKeysProps = {
  frame: Frame;
  keys: ApiKey[];
  pager: { older: string | null; newest: string | null };
  /** The one that was just made, with its secret part: shown this once. */
  made: (ApiKey & { key: string }) | null;
  form: { name: string; role: string };
  faults: Faults;
};

/** Keys for programs. */
export function ApiKeysPage({ frame, keys, pager, made, form, faults }: ApiKeysProps) {
  const roles = ["viewer", "editor", ...(frame.user.role === "admin" ? ["admin"] : [])];
  return (
    <Layout frame={frame} title="API keys" section="/api-keys">
      {made ? (
        <div class="notice stack" role="status">
          <p>
            The key <strong>{made.name}</strong>. Keep it now: it is not shown again.
          </p>
          <Copyable text={made.key} />
        </div>
      ) : null}
      {mayEdit(frame) ? (
        <form class="sheet" method="post" action="/api-keys">
          <h2>New key</h2>
          <FormFault faults={faults} />
          <div class="filters">
            <Field
              label="Name"
              name="name"
              required
              maxLength={100}
              value={form.name}
              autoComplete="off"
              faults={faults}
            />
            <Select
              label="Role"
              name="role"
              value={form.role}
              choices={roles.map((role) => ({ value: role, text: role }))}
              faults={faults}
            />
            <button type="submit" class="primary">
              Create the key
            </button>
          </div>
          <p class="hint">
            Expiry and a rate limit of its own can be given through <a href="/docs">the API</a>.
          </p>
        </form>
      ) : null}
      {keys.length === 0 ? (
        <Empty title="No API keys yet">
          <p>
            Programs send one along as <code>Authorization: Bearer dhk_…</code> to use <a href="/docs">the API</a>.
          </p>
        </Empty>
      ) : (
        <div class="table">
          <table>
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">Begins with</th>
                <th scope="col">Role</th>
                <th scope="col">Last used</th>
                <th scope="col">Expires</th>
                <th scope="col">
                  <span class="said">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {keys.map((key) => (
                <tr>
                  <td>
                    <Clip text={key.name} />
                  </td>
                  <td data-label="Begins with" class="mono">
                    {key.hint}…
                  </td>
                  <td data-label="Role">{key.role}</td>
                  <td data-label="Last used">
                    <Time at={key.last_used_at} now={frame.now} />
                  </td>
                  <td data-label="Expires">
                    <Time at={key.expires_at} now={frame.now} />
                  </td>
                  <td>
                    {mayEdit(frame) ? (
                      <ConfirmPost
                        to={`/api-keys/${key.id}/delete`}
                        text="Delete…"
                        ask={`Programs that use "${key.name}" are refused within 5 seconds.`}
                        sure="Delete the key"
                        slight
                      />
                    ) : null}
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
