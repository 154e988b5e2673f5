import type { ComponentChildren } from "preact";

export type Tone = "good" | "bad" | "warn" | "info" | "none";

const SIGNS: Record<Tone, string> = { good: "✓", bad: "✕", warn: "!", info: "…", none: "–" };

/** A state as a word and a sign: never by colour alone. */
export function Status({ tone, text }: { tone: Tone; text: string }) {
  return (
    <span class={`status ${tone}`}>
      <span aria-hidden="true">{SIGNS[tone]}</span>
      {text}
    </span>
  );
}

/** How long ago or until, the exact time on hover; `app.js` keeps it true. */
export function Time({ at, now }: { at: string | null | undefined; now: number }) {
  if (!at) return <span class="quiet">never</span>;
  return (
    <time dateTime={at} title={at.replace("T", " ").replace(/\.\d+Z$/, " UTC")} class="nowrap" data-relative>
      {relative(Date.parse(at), now)}
    </time>
  );
}

const UNITS = [
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
] as const;
const WORDS = new Intl.RelativeTimeFormat("en", { style: "short", numeric: "always" });

/** `3 min. ago`, `in 12 sec.`, `now`. */
export function relative(at: number, now: number): string {
  const seconds = Math.round((at - now) / 1000);
  for (const [unit, size] of UNITS) {
    if (Math.abs(seconds) >= size) return WORDS.format(Math.trunc(seconds / size), unit);
  }
  return "now";
}

/** Text with a button that copies it. */
export function Copyable({ text, shown = text }: { text: string; shown?: string }) {
  return (
    <span class="copyable">
      <code>{shown}</code>
      <CopyButton text={text} />
    </span>
  );
}

export function CopyButton({ text, label = "Copy" }: { text: string; label?: string }) {
  return (
    <button type="button" class="copy slight" data-copy={text}>
      {label}
    </button>
  );
}

/** Nothing here yet, and what to do about it. */
export function Empty({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
    </div>
  );
}

/** The way to older rows, and back to the newest. */
export function Pager({ older, newest }: { older: string | null; newest: string | null }) {
  if (older === null && newest === null) return null;
  return (
    <nav class="row" aria-label="Pages">
      {newest ? (
        <a class="button" href={newest}>
          ← Newest
        </a>
      ) : null}
      {older ? (
        <a class="button" href={older}>
          Older →
        </a>
      ) : null}
    </nav>
  );
}

/** JSON made readable; what is not JSON stays as it is. */
export function Code({ text, label }: { text: string; label: string }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard (WCAG 2.1.1)
    <section class="code-box" aria-label={label} tabIndex={0}>
      <pre class="wrap">
        <code>{text}</code>
      </pre>
    </section>
  );
}

export function Headers({ headers, label }: { headers: Record<string, string>; label: string }) {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return <Code text={lines.join("\n")} label={label} />;
}

const COUNT = new Intl.NumberFormat("en");

export function count(n: number): string {
  return COUNT.format(n);
}

/** Milliseconds for people: `12 ms`, `1.4 s`, `3 min`. */
export function span(ms: number | null): string {
  if (ms === null) return "–";
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 100_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} d`;
}

/** A path with those parameters that are given. */
export function href(path: string, query: Record<string, string | null | undefined>): string {
  const given = Object.entries(query).filter((pair): pair is [string, string] => !!pair[1]);
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given)}`;
}
