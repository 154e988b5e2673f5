import { signatureHeader, signingKey } from "../../delivering/signature.ts";
import type { Heard } from "./connection.ts";

/** Whether a request carries the signature of this secret (Standard Webhooks 1.0). */
export function isSigned({ headers, body }: Heard, secret: string): boolean {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures } = headers;
  if (id === undefined || timestamp === undefined || signatures === undefined) return false;
  return signatures.split(" ").includes(signatureHeader(id, Number(timestamp), body, [signingKey(secret)]));
}
