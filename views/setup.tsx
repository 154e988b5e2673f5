import { type Faults, Field, FormFault } from "./form.tsx";
import { type Frame, PlainLayout } from "./layout.tsx";

export type SetupForm = { style: string; theme: Frame["theme"]; token: string; email: string; faults: Faults };

/** Creates the first account; works without any script. */
export function SetupPage({ style, theme, token, email, faults }: SetupForm) {
  return (
    <PlainLayout title="Create the first account" style={style} theme={theme}>
      <p>This account will be the admin of this server. The link that brought you here works once.</p>
      <FormFault faults={faults} />
      <form class="stack" method="post" action="/setup">
        <input type="hidden" name="token" value={token} />
        <Field
          label="Email"
          name="email"
          type="email"
          value={email}
          maxLength={254}
          autoComplete="username"
          required
          faults={faults}
        />
        <Field
          label="Password"
          name="password"
          type="password"
          hint="8 to 128 characters; several words make a good one"
          minLength={8}
          maxLength={128}
          autoComplete="new-password"
          required
          faults={faults}
        />
        <button type="submit" class="primary">
          Create the account
        </button>
      </form>
    </PlainLayout>
  );
}
