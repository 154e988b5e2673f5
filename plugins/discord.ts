import { definePlugin, z } from "deltahook/plugin";
import { fillIn } from "./_placeholders.ts";
import { cut, summaryOf } from "./_summary.ts";

// Limits of Discord's "Embed Limits", in characters. All embeds of a message together may have 6,000.
const CONTENT_CHARS = 2_000;
const TITLE_CHARS = 256;
const NAME_CHARS = 256;
const VALUE_CHARS = 1_024;
const MOST_FIELDS = 25;
const EMBED_CHARS = 6_000;

/** A message for a Discord webhook: one embed with a field for each line. */
export default definePlugin({
  name: "discord",
  description: "Sends a message to a Discord webhook.",
  options: z.object({
    title: z.string().min(1).max(500).default("{{ $.type }}").describe("the heading, with {{ JSONPath }} placeholders"),
    content: z.string().max(2_000).optional().describe("a text above, with the same placeholders"),
    username: z.string().min(1).max(80).optional().describe("shown instead of the webhook's own name"),
    colour: z.int().min(0).max(0xffffff).default(0x3b82f6).describe("of the embed's edge, as a number"),
  }),
  transform(event, { options }) {
    const title = cut(fillIn(options.title, event) || event.type, TITLE_CHARS);
    const footer = { text: event.id };
    const fields = fieldsOf(summaryOf(event, MOST_FIELDS).lines, EMBED_CHARS - title.length - footer.text.length);
    const embed = { title, color: options.colour, timestamp: event.timestamp, fields, footer };
    const body: Record<string, unknown> = { embeds: [embed], allowed_mentions: { parse: [] } };
    if (options.content) body.content = cut(fillIn(options.content, event), CONTENT_CHARS);
    if (options.username) body.username = options.username;
    return { body };
  },
});

/** As many fields as fit. Neither part of a field may be empty. */
function fieldsOf(lines: readonly { name: string; value: string }[], room: number) {
  const fields: { name: string; value: string; inline: boolean }[] = [];
  let left = room;
  for (const line of lines) {
    const name = cut(line.name.trim() || "–", NAME_CHARS);
    const value = cut(line.value.trim() || "–", VALUE_CHARS);
    left -= name.length + value.length;
    if (left < 0) break;
    fields.push({ name, value, inline: value.length <= 40 });
  }
  return fields;
}
