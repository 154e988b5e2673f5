import { publicId, uuidTime } from "../platform/ids.ts";
import { VERSION } from "../platform/version.ts";

export type EventToSend = { id: string; originalId: string | null; type: string; data: string };

/** The `webhook-id`: the event's public id, the same on every try and replay. */
export function webhookId(event: { id: string; originalId: string | null }): string {
  return publicId("event", event.originalId ?? event.id);
}

/** The body of a delivery. `data` is spliced in as it came: the sender's bytes are what arrives. */
export function envelope(event: EventToSend): string {
  const timestamp = new Date(uuidTime(event.originalId ?? event.id)).toISOString();
  return `{"type":${JSON.stringify(event.type)},"timestamp":"${timestamp}","data":${event.data}}`;
}

export const USER_AGENT = `DeltaHook/${VERSION}`;
