import type { ComponentChildren } from "preact";

export type LayoutProps = { title: string; stylePath: string; children: ComponentChildren };

/** The frame of every page. Everything it loads comes from this server. */
export function Layout({ title, stylePath, children }: LayoutProps) {
  return (
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width" />
        <meta name="color-scheme" content="light dark" />
        <title>{`${title} · DeltaHook`}</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href={stylePath} />
      </head>
      <body>
        <main>
          <p class="brand">DeltaHook</p>
          <h1>{title}</h1>
          {children}
        </main>
      </body>
    </html>
  );
}
