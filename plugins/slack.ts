import { definePlugin, z } from "deltahook/plugin";
import { fillIn } from "./_placeholders.ts";
import { cut, summaryOf } from "./_summary.ts";

// Limits of Slack's Block Kit reference, in characters.
const HEADER_CHARS = 150;
const SECTION_CHARS = 3_000;
const CONTEXT_CHARS = 2_000;
const TEXT_CHARS = 4_000;
const MOST_LINES = 20;

/** A message for a Slack incoming webhook: a heading, what changed, and where it comes from. */
export default definePlugin({
  name: "slack",
  description: "Sends a message to a Slack incoming webhook.",
  options: z.object({
    title: z.string().min(1).max(500).default("{{ $.type }}").describe("the heading, with {{ JSONPath }} placeholders"),
    details: z.boolean().default(true).describe("list what changed below the heading"),
  }),
  transform(event, { options }) {
    const title = fillIn(options.title, event) || event.type;
    const { lines, more } = summaryOf(event, options.details ? MOST_LINES : 0);
    const list = lines.map(({ name, value }) => `*${escaped(cut(name, 100))}*: ${escaped(cut(value, 500))}`);
    if (options.details && more > 0) list.push(`_and ${more} more_`);
    const blocks: object[] = [
      { type: "header", text: { type: "plain_text", text: cut(title, HEADER_CHARS), emoji: true } },
    ];
    if (list.length > 0) blocks.push({ type: "section", text: { type: "mrkdwn", text: fitting(list, SECTION_CHARS) } });
    const origin = escaped(`${event.type} · ${event.id} · ${event.timestamp}`);
    blocks.push({ type: "context", elements: [{ type: "mrkdwn", text: cut(origin, CONTEXT_CHARS) }] });
    // `text` is what notifications and screen readers show.
    return { body: { text: fitting([escaped(cut(title, 500)), ...list], TEXT_CHARS), blocks } };
  },
});

/** Whole lines only: a cut inside `&amp;` or `*…*` would spoil the rest. */
function fitting(lines: readonly string[], most: number): string {
  let text = "";
  for (const line of lines) {
    if (text.length + line.length + 3 > most) return `${text}\n…`;
    text += text === "" ? line : `\n${line}`;
  }
  return text;
}

/** The three characters that Slack gives a meaning to; without this a payload could mention a whole channel. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
