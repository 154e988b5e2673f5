import { Field } from "./form.tsx";
import { type Frame, PlainLayout } from "./layout.tsx";

export type SignIn = {
  style: string;
  theme: Frame["theme"];
  /** Where one wanted to go. */
  to: string;
  email: string;
  fault: string | null;
};

export function SignInPage({ style, theme, to, email, fault }: SignIn) {
  return (
    <PlainLayout title="Sign in" style={style} theme={theme}>
      {fault ? (
        <p class="notice bad" role="alert">
          {fault}
        </p>
      ) : null}
      <form class="stack" method="post" action="/sign-in">
        <input type="hidden" name="to" value={to} />
        <Field label="Email" name="email" type="email" value={email} autoComplete="username" maxLength={254} required />
        <Field
          label="Password"
          name="password"
          type="password"
          autoComplete="current-password"
          maxLength={1024}
          required
        />
        <button type="submit" class="primary">
          Sign in
        </button>
      </form>
      <p class="quiet small">
        No account yet? The first one is made by the link that the server prints when it starts; later ones by an admin.
      </p>
    </PlainLayout>
  );
}
