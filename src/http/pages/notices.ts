/** What a page says was just done. Named in the address, so that no address can put words into our mouth. */
const SENTENCES = {
  saved: "Saved.",
  created: "Created.",
  deleted: "Deleted.",
  paused: "Paused. What is owed waits, and no try is used up.",
  resumed: "Resumed. What waited goes out at the endpoint's own pace.",
  rotated: "A new signing secret is in force. The earlier one signs along for 24 hours.",
  requeued: "Owed again, with a whole new schedule.",
  discarded: "Discarded.",
  retried: "The next try is due now.",
  cancelled: "Cancelled.",
  replayed: "Sent once more, under the same webhook-id.",
  polled: "Polled. The result is the first line of the poll log.",
  watch_paused: "Paused: it is not polled any more.",
  watch_resumed: "Resumed: it is polled now.",
  confirmed: "The held changes were stated.",
  held_discarded: "The held values are the new reference; nothing was stated.",
  ready: "Welcome. This account is the admin of this server. A good first step is an endpoint.",
} as const;

export type NoticeCode = keyof typeof SENTENCES;

export const NOTICES = Object.keys(SENTENCES) as [NoticeCode, ...NoticeCode[]];

export function noticeOf(code: string | undefined): string | null {
  return code === undefined ? null : (SENTENCES[code as NoticeCode] ?? null);
}

/** The path to go on to, with what was done. */
export function withNotice(path: string, notice: NoticeCode): string {
  return `${path}${path.includes("?") ? "&" : "?"}notice=${notice}`;
}
