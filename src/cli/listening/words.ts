import { formatDuration } from "../../platform/durations.ts";
import { messageOf } from "../../platform/errors.ts";
import type { Heard, Listener } from "./connection.ts";
import type { Forwarded } from "./forward.ts";

/** One request and what came of it. */
export type Handled = { verified: boolean; result: Forwarded; ms: number };

/** Where this listener is, and with what its requests are signed. */
export function tellReady(listener: Listener, at: { server: string; to: string | null }, json = false): void {
  const { id, secret, event_types, filter } = listener;
  const all = { event: "ready", listener: id, secret, event_types, filter, server: at.server, forward_to: at.to };
  const how = at.to === null ? "answered here with 200" : `forwarded to ${at.to}`;
  const which = `${event_types.join(", ")}${filter === null ? "" : ` where ${filter}`}`;
  write(json ? all : `Listening to ${at.server} for ${which}, ${how}. Ctrl-C ends it.\nSigning secret: ${secret}`);
}

/** One line for each request, in JSON with everything that it carried. */
export function tellDelivery(heard: Heard, { verified, result, ms }: Handled, json = false): void {
  const time = new Date().toISOString();
  const type = typeOf(heard.body);
  const { webhook_id, headers, body } = heard;
  const [status, error] = "error" in result ? [null, result.error] : [result.status, null];
  const all = { event: "delivery", time, type, webhook_id, verified, status, error, ms, headers, body };
  const signature = verified ? "verified" : "SIGNATURE DOES NOT VERIFY";
  const outcome = error === null ? `${status}` : `not delivered: ${error}`;
  write(json ? all : `${time.slice(11, 23)}  ${type}  ${webhook_id}  ${signature}  ${outcome}  ${ms} ms`);
}

export function tellLost(reason: string, waitMs: number): void {
  process.stderr.write(`${reason} Connecting again in ${formatDuration(waitMs)}.\n`);
}

export function tellUnanswered(error: unknown): void {
  process.stderr.write(`An answer could not be reported: ${messageOf(error)}\n`);
}

function write(told: object | string): void {
  process.stdout.write(`${typeof told === "string" ? told : JSON.stringify(told)}\n`);
}

/** The type that the envelope carries; it is in no header. */
function typeOf(body: string): string {
  try {
    const { type } = JSON.parse(body) as { type?: unknown };
    return typeof type === "string" ? type : "?";
  } catch {
    return "?";
  }
}
