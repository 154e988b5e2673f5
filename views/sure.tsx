import { Post } from "./form.tsx";
import { type Frame, Layout } from "./layout.tsx";
import { count } from "./pieces.tsx";

/** How many a bulk operation would take, before it is started. */
export function SurePage(props: {
  frame: Frame;
  title: string;
  section: string;
  back: { href: string; text: string };
  total: number;
  what: string;
  to: string;
  fields: Record<string, string>;
}) {
  const { frame, title, section, back, total, what, to, fields } = props;
  return (
    <Layout frame={frame} title={title} section={section} crumb={back}>
      <section class="sheet">
        <p>
          <strong>{count(total)}</strong> {total === 1 ? "delivery" : "deliveries"} {what}
        </p>
        {total === 0 ? (
          <p class="quiet">There is nothing to do.</p>
        ) : (
          <p class="quiet">
            They join their endpoint's backlog and go out at its own pace, under the same webhook-id, so that a receiver
            can tell what it has seen. You can watch the progress, and stop it.
          </p>
        )}
        <div class="actions">
          {total === 0 ? null : <Post to={to} text={`Send ${count(total)} again`} kind="primary" fields={fields} />}
          <a class="button" href={back.href}>
            Go back
          </a>
        </div>
      </section>
    </Layout>
  );
}
