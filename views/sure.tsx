import { Post } from "./form.tsx";
import { type Frame, Layout } from "./layout.tsx";
import { count } from "./pieces.tsx";

const CONSEQUENCES = {
  send:
    "They join their endpoint's backlog and go out at its own pace, under the same webhook-id, so that a receiver can " +
    "tell what it has seen. You can watch the progress, and stop it.",
  discard:
    "They are gone for good, with their payloads, and will never be sent. Their deliveries stay listed as dead. " +
    "You can watch the progress, and stop it.",
};

/** How many a bulk operation would take, before it is started. */
export function SurePage(props: {
  frame: Frame;
  title: string;
  section: string;
  back: { href: string; text: string };
  total: number;
  what: string;
  /** What is done with them: sent again, unless it says otherwise. */
  verb?: "send" | "discard";
  to: string;
  fields: Record<string, string>;
}) {
  const { frame, title, section, back, total, what, verb = "send", to, fields } = props;
  return (
    <Layout frame={frame} title={title} section={section} crumb={back}>
      <section class="sheet">
        <p>
          <strong>{count(total)}</strong> {total === 1 ? "delivery" : "deliveries"} {what}
        </p>
        {total === 0 ? <p class="quiet">There is nothing to do.</p> : <p class="quiet">{CONSEQUENCES[verb]}</p>}
        <div class="actions">
          {total === 0 ? null : verb === "send" ? (
            <Post to={to} text={`Send ${count(total)} again`} kind="primary" fields={fields} />
          ) : (
            <Post to={to} text={`Discard ${count(total)}`} kind="danger" fields={fields} />
          )}
          <a class="button" href={back.href}>
            Go back
          </a>
        </div>
      </section>
    </Layout>
  );
}
