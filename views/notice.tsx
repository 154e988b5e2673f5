import { type Frame, PlainLayout } from "./layout.tsx";

export type Notice = {
  style: string;
  theme: Frame["theme"];
  title: string;
  text: string;
  /** What is wrong in particular, one sentence each. */
  faults?: readonly { pointer: string; message: string }[];
  back?: { href: string; text: string };
};

/** A page that only says something: why a request failed, and where to go from here. */
export function NoticePage({ style, theme, title, text, faults = [], back }: Notice) {
  return (
    <PlainLayout title={title} style={style} theme={theme}>
      <p class="break">{text}</p>
      {faults.length > 1 ? (
        <ul class="break">
          {faults.map(({ pointer, message }) => (
            <li>
              <code>{pointer}</code> {message}
            </li>
          ))}
        </ul>
      ) : null}
      {back ? (
        <p>
          <a class="button" href={back.href}>
            {back.text}
          </a>
        </p>
      ) : null}
    </PlainLayout>
  );
}
