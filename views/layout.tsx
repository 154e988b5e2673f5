import type { ComponentChildren } from "preact";

/** What every page of the dashboard is shown with. */
export type Frame = {
  assets: { style: string; htmx: string; app: string; plots: string; plotStyle: string };
  theme: "auto" | "light" | "dark";
  user: { name: string; role: "viewer" | "editor" | "admin" };
  /** What was just done, as a sentence. */
  notice: string | null;
  /** When the page was made, in milliseconds: relative times count from here. */
  now: number;
};

export type LayoutProps = {
  frame: Frame;
  title: string;
  /** The path of the navigation's entry that the page belongs to. */
  section: string;
  crumb?: { href: string; text: string } | undefined;
  /** Beside the title. */
  beside?: ComponentChildren;
  actions?: ComponentChildren;
  plots?: boolean;
  children: ComponentChildren;
};

/** htmx draws nothing by itself, swaps no error, and looks again for a lost stream every few seconds. */
const HTMX = '{"includeIndicatorCSS":false,"noSwap":[204,304,"4xx","5xx"],"sse":{"reconnectMaxDelay":5000}}';

const ENTRIES: { href: string; text: string; for?: Frame["user"]["role"][] }[][] = [
  [
    { href: "/", text: "Overview" },
    { href: "/live", text: "Live log" },
    { href: "/play", text: "Play" },
  ],
  [
    { href: "/watches", text: "Watches" },
    { href: "/endpoints", text: "Endpoints" },
    { href: "/events", text: "Events" },
    { href: "/deliveries", text: "Deliveries" },
    { href: "/dead-letters", text: "Dead letters" },
    { href: "/operations", text: "Operations" },
  ],
  [
    { href: "/secrets", text: "Secrets" },
    { href: "/plugins", text: "Plugins" },
    { href: "/api-keys", text: "API keys" },
    { href: "/people", text: "People", for: ["admin"] },
    { href: "/audit", text: "Audit", for: ["admin"] },
    { href: "/settings", text: "Settings", for: ["editor", "admin"] },
  ],
];

/** The frame of the dashboard: navigation, title, what was just done, content. */
export function Layout({ frame, title, section, crumb, beside, actions, plots = false, children }: LayoutProps) {
  const { assets, theme, user } = frame;
  return (
    <html lang="en" data-theme={theme}>
      <head>
        <Head title={title} style={assets.style} />
        <meta name="htmx-config" content={HTMX} />
        {plots ? <link rel="stylesheet" href={assets.plotStyle} /> : null}
        {plots ? <script defer src={assets.plots} /> : null}
        <script defer src={assets.htmx} />
        <script defer src={assets.app} />
      </head>
      <body class="shell">
        <a class="skip" href="#content">
          To the content
        </a>
        <header class="side">
          <div class="inside">
            <Brand />
            <nav aria-label="Dashboard">
              {ENTRIES.map((group) => (
                <ul>
                  {group
                    .filter((entry) => entry.for?.includes(user.role) ?? true)
                    .map(({ href, text }) => (
                      <li>
                        <a class="entry" href={href} aria-current={href === section ? "page" : undefined}>
                          {text}
                        </a>
                      </li>
                    ))}
                </ul>
              ))}
            </nav>
            <div class="who">
              <span class="break">
                <a href="/account">{user.name}</a> <span class="quiet">{user.role}</span>
              </span>
              <div class="row">
                <ThemeForm theme={theme} />
                <form method="post" action="/sign-out">
                  <button type="submit" class="slight">
                    Sign out
                  </button>
                </form>
              </div>
            </div>
          </div>
        </header>
        <main class="main" id="content" tabIndex={-1}>
          <div class="head">
            {crumb ? (
              <p class="crumb">
                <a href={crumb.href}>{crumb.text}</a>
              </p>
            ) : null}
            <h1>{title}</h1>
            {beside}
            {actions ? <div class="actions end">{actions}</div> : null}
          </div>
          {frame.notice ? (
            <p class="notice" role="status">
              {frame.notice}
            </p>
          ) : null}
          {children}
        </main>
      </body>
    </html>
  );
}

/** One button that goes round: as the system has it, light, dark. */
function ThemeForm({ theme }: { theme: Frame["theme"] }) {
  const next = { auto: "light", light: "dark", dark: "auto" } as const;
  const text = { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" } as const;
  return (
    <form method="post" action="/theme">
      <button type="submit" class="slight" name="theme" value={next[theme]}>
        {text[theme]}
      </button>
    </form>
  );
}

export type PlainProps = { style: string; theme: Frame["theme"]; title: string; children: ComponentChildren };

/** The frame of pages for who is not signed in, and of what went wrong. */
export function PlainLayout({ style, theme, title, children }: PlainProps) {
  return (
    <html lang="en" data-theme={theme}>
      <head>
        <Head title={title} style={style} />
      </head>
      <body class="plain">
        <Brand />
        <main>
          <h1>{title}</h1>
          {children}
        </main>
      </body>
    </html>
  );
}

const ICON = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path fill="none" stroke="#0a8f78" stroke-width="3" stroke-linejoin="round" d="M12 4 21 20H3Z"/></svg>',
)}`;

function Head({ title, style }: { title: string; style: string }) {
  return (
    <>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <title>{`${title} · DeltaHook`}</title>
      <link rel="icon" href={ICON} />
      <link rel="stylesheet" href={style} />
    </>
  );
}

function Brand() {
  return (
    <a class="brand" href="/">
      <svg width="22" height="22" viewBox="0 0 24 24" aria-hidden="true">
        <path
          d="M12 4 21 20H3Z"
          fill="none"
          stroke="currentColor"
          stroke-width="2.6"
          stroke-linejoin="round"
          stroke-linecap="round"
        />
      </svg>
      DeltaHook
    </a>
  );
}

/** Whether a person may change anything. */
export function mayEdit({ user }: Frame): boolean {
  return user.role !== "viewer";
}
