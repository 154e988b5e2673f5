import { type Faults, Field, FormFault } from "./form.tsx";
import { type Frame, Layout } from "./layout.tsx";

export function AccountPage({ frame, faults }: { frame: Frame; faults: Faults }) {
  return (
    <Layout frame={frame} title="Your account" section="/account">
      <section class="sheet">
        <h2>Change the password</h2>
        <p class="quiet">All your other sessions and login tokens end.</p>
        <FormFault faults={faults} />
        <form class="stack" method="post" action="/account/password">
          <div class="fields">
            <Field
              label="Password until now"
              name="old_password"
              type="password"
              autoComplete="current-password"
              required
              faults={faults}
            />
            <Field
              label="New password"
              name="new_password"
              type="password"
              autoComplete="new-password"
              minLength={8}
              maxLength={128}
              required
              hint="8 to 128 characters; several words make a good one"
              faults={faults}
            />
          </div>
          <div class="actions">
            <button type="submit" class="primary">
              Change the password
            </button>
          </div>
        </form>
      </section>
    </Layout>
  );
}
