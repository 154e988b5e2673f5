import type { WebhookEvent } from "deltahook/plugin";

/** An event in a few lines for people. */
export type Summary = { lines: { name: string; value: string }[]; more: number };

/** Of a watch's event its changes (`pending → paid`), of any other the members of its data. */
export function summaryOf({ data }: WebhookEvent, most: number): Summary {
  const lines = changesOf(data) ?? membersOf(data);
  return { lines: lines.slice(0, most), more: Math.max(0, lines.length - most) };
}

/** Cuts at a whole character, `…` included in the length (in UTF-16 units, as both Slack and Discord count at most). */
export function cut(text: string, most: number): string {
  if (text.length <= most) return text;
  const kept = text.slice(0, most - 1);
  return `${kept.isWellFormed() ? kept : kept.slice(0, -1)}…`;
}

type Line = { name: string; value: string };

function changesOf(data: unknown): Line[] | null {
  if (!isRecord(data) || !Array.isArray(data.changes)) return null;
  const item = isRecord(data.item) ? data.item : null;
  const lines: Line[] = item ? [{ name: "item", value: `${shown(item.key)} ${shown(item.kind)}` }] : [];
  for (const change of data.changes) {
    if (!isRecord(change)) continue;
    lines.push({
      name: shown(change.field ?? change.path),
      value: `${shown(change.previous)} → ${shown(change.current)}`,
    });
  }
  return lines;
}

function membersOf(data: unknown): Line[] {
  if (!isRecord(data)) return [{ name: "data", value: shown(data) }];
  return Object.entries(data).map(([name, value]) => ({ name, value: shown(value) }));
}

function shown(value: unknown): string {
  if (value === undefined) return "–";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !("toJSON" in value);
}
