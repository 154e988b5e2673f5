import { Layout } from "./layout.tsx";

export type Notice = { stylePath: string; title: string; text: string };

/** A page that only says something: why a request failed, or where to go instead. */
export function NoticePage({ stylePath, title, text }: Notice) {
  return (
    <Layout title={title} stylePath={stylePath}>
      <p>{text}</p>
    </Layout>
  );
}
