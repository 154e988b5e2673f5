import type { User } from "../src/identity/users.ts";
import { Check, ConfirmPost, type Faults, Field, FormFault, Select } from "./form.tsx";
import { type Frame, Layout } from "./layout.tsx";
import { Clip, ClipLink, Pager, Status, Time } from "./pieces.tsx";

const ROLES = [
  { value: "viewer", text: "Viewer: may look" },
  { value: "editor", text: "Editor: all but people" },
  { value: "admin", text: "Admin: everything" },
];

export function PeoplePage(props: {
  frame: Frame;
  people: User[];
  pager: { older: string | null; newest: string | null };
}) {
  const { frame, people, pager } = props;
  return (
    <Layout
      frame={frame}
      title="People"
      section="/people"
      actions={
        <a class="button primary" href="/people/new">
          Add a person
        </a>
      }
    >
      <div class="table">
        <table>
          <thead>
            <tr>
              <th scope="col">Person</th>
              <th scope="col">Role</th>
              <th scope="col">State</th>
              <th scope="col">Since</th>
            </tr>
          </thead>
          <tbody>
            {people.map(({ id, name, email, role, disabled, created_at }) => (
              <tr>
                <td>
                  <ClipLink href={`/people/${id}`} text={name || email} />
                  {name ? <Clip text={email} kind="quiet small" /> : null}
                </td>
                <td data-label="Role">{role}</td>
                <td data-label="State">
                  <Status tone={disabled ? "none" : "good"} text={disabled ? "disabled" : "enabled"} />
                </td>
                <td data-label="Since">
                  <Time at={created_at} now={frame.now} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Pager {...pager} />
    </Layout>
  );
}

export type PersonForm = { email: string; name: string; role: string; disabled: boolean };

export function PersonPage(props: { frame: Frame; person: User | null; form: PersonForm; faults: Faults }) {
  const { frame, person, form, faults } = props;
  const path = person ? `/people/${person.id}` : "/people";
  return (
    <Layout
      frame={frame}
      title={person ? person.name || person.email : "Add a person"}
      section="/people"
      crumb={{ href: "/people", text: "People" }}
      actions={
        person ? (
          <ConfirmPost
            to={`${path}/delete`}
            text="Delete…"
            ask="All their sessions end at once. What they did stays in the audit log."
            sure="Delete the person"
          />
        ) : null
      }
    >
      <form class="sheet" method="post" action={path}>
        <FormFault faults={faults} />
        <div class="fields">
          <Field
            label="Email"
            name="email"
            type="email"
            required
            maxLength={254}
            value={form.email}
            autoComplete="off"
            faults={faults}
          />
          <Field label="Name" name="name" maxLength={100} value={form.name} autoComplete="off" faults={faults} />
          <Select
            label="Role"
            name="role"
            choices={ROLES}
            value={form.role}
            hint="A viewer sees no value of a secret."
            faults={faults}
          />
          <Field
            label={person ? "New password" : "Password"}
            name="password"
            type="password"
            required={person === null}
            minLength={8}
            maxLength={128}
            autoComplete="new-password"
            hint={
              person
                ? "Left empty, it stays. A new one ends all their sessions."
                : "8 to 128 characters; they can change it."
            }
            faults={faults}
          />
        </div>
        {person ? (
          <Check name="disabled" checked={form.disabled} label="Disabled: cannot sign in, and all sessions end" />
        ) : null}
        <div class="actions">
          <button type="submit" class="primary">
            {person ? "Save" : "Add the person"}
          </button>
          <a class="button" href="/people">
            Cancel
          </a>
        </div>
      </form>
    </Layout>
  );
}
