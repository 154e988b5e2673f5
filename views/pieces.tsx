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

type At = { at: string | null | undefined; now: number };

/** How long ago or until, the exact time on hover; `app.js` keeps it true. What `isDue` is never past, only now. */
export function Time({ at, now, isDue = false }: At & { isDue?: boolean }) {
  if (!at) return <span class="quiet">never</span>;
  const ms = Date.parse(at);
  return (
    <time dateTime={at} title={exact(at)} class="nowrap" data-relative={isDue ? "due" : "any"}>
      {relative(isDue ? Math.max(ms, now) : ms, now)}
    </time>
  );
}

/** The same with the exact time beside it, where there is room. */
export function Moment({ at, now }: At) {
  return (
    <>
      <Time at={at} now={now} /> {at ? <span class="quiet small nowrap">{exact(at)}</span> : null}
    </>
  );
}

/** With the full stop after it, since what takes its place may end with one. */
const WRITTEN_MOMENT = /(?:at )?(\d{4}-\d\d-\d\dT[\d:.]+Z)\.?/;

/** A sentence that programs read too: a moment in it is shown as people like it. */
export function Said({ text, now }: { text: string | null; now: number }) {
  const parts = (text ?? "").split(WRITTEN_MOMENT);
  return <>{parts.map((part, place) => (place % 2 === 1 ? <Time at={part} now={now} isDue /> : part))}</>;
}

function exact(at: string): string {
  return at.replace("T", " ").replace(/\.\d+Z$/, " UTC");
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

/** Text of people, which may be long: a few lines of it, the whole on hover. */
export function Clip({ text, kind = "" }: { text: string; kind?: string }) {
  if (text === "") return null;
  return (
    <span class={`clip ${kind}`} title={titleOf(text)} dir="auto">
      {text}
    </span>
  );
}

/** The same as a link to where the whole stands. */
export function ClipLink({ href, text }: { href: string; text: string }) {
  return (
    <a class="clip" href={href} title={titleOf(text)} dir="auto">
      {text}
    </a>
  );
}

const FITS_CHARS = 40;

function titleOf(text: string): string | undefined {
  return text.length > FITS_CHARS ? text : undefined;
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
