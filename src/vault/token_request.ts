import type { Outbound, OutboundResult } from "../platform/outbound.ts";
import { basicUserPass, type OAuthClient, redactor } from "./credentials.ts";

export type FetchedToken =
  | { ok: true; token: string; lifeMs: number }
  /** `problem` names cause and remedy and carries no secret; `refused`: the server does not take this client. */
  | { ok: false; problem: string; refused: boolean };

/** When the server does not say (RFC 6749, 5.1, only recommends it). */
const UNSTATED_LIFE_MS = 300_000;
const MAX_LIFE_MS = 30 * 86_400_000;
const MAX_REPLY_BYTES = 65_536;

/**
 * Asks a token server by the client credentials grant (RFC 6749, 4.4). The client is named in HTTP Basic, which every
 * server must take (2.3.1), and after a refusal in the body, since some take only that.
 */
export async function fetchToken(outbound: Outbound, client: OAuthClient, timeoutMs: number): Promise<FetchedToken> {
  const form: Record<string, string> = { grant_type: "client_credentials" };
  if (client.scope !== null) form.scope = client.scope;
  const ask = (headers: Record<string, string>, fields: Record<string, string>) =>
    outbound.request({
      method: "POST",
      url: client.tokenUrl,
      headers: { accept: "application/json", "content-type": "application/x-www-form-urlencoded", ...headers },
      body: new URLSearchParams(fields).toString(),
      timeoutMs,
      maxBytes: MAX_REPLY_BYTES,
      oversize: "fail",
      ...(client.hosts ? { onlyHosts: client.hosts } : {}),
    });

  const basic = `Basic ${basicUserPass(formEncode(client.clientId), formEncode(client.clientSecret))}`;
  const first = readReply(await ask({ authorization: basic }, form), client);
  if (first.ok || !first.refused) return first;
  const inBody = { ...form, client_id: client.clientId, client_secret: client.clientSecret };
  const second = readReply(await ask({}, inBody), client);
  return second.ok ? second : first;
}

function readReply(result: OutboundResult, client: OAuthClient): FetchedToken {
  const server = `The OAuth2 token server ${URL.parse(client.tokenUrl)?.host ?? ""}`;
  const redact = redactor([
    client.clientSecret,
    basicUserPass(formEncode(client.clientId), formEncode(client.clientSecret)),
  ]);
  const fail = (what: string, refused = false): FetchedToken => ({
    ok: false,
    problem: `${server} ${redact(what)}`,
    refused,
  });
  if (!result.ok) return fail(`could not be asked: ${result.fault.message}`);

  const reply = readJson(result.body);
  if (result.status === 400 || result.status === 401 || result.status === 403) {
    const remedy = "Check client_id, client_secret and scope of the secret.";
    return fail(`refused the client with ${result.status}${reasonOf(reply, redact)}. ${remedy}`, true);
  }
  if (result.status !== 200 && result.status !== 201) {
    return fail(
      `answered ${result.status}${reasonOf(reply, redact)}. Check token_url of the secret, or wait for the server.`,
    );
  }
  const token = reply?.access_token;
  if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) {
    return fail("answered without a usable access_token. Check token_url of the secret.");
  }
  const type = reply?.token_type ?? "Bearer";
  if (typeof type !== "string" || type.toLowerCase() !== "bearer") {
    return fail("gives tokens that are not of the type Bearer. Only Bearer tokens are supported.");
  }
  return { ok: true, token, lifeMs: lifeOf(reply?.expires_in) };
}

function lifeOf(seconds: unknown): number {
  const lifeMs = Number(seconds) * 1000;
  return seconds != null && lifeMs > 0 ? Math.min(lifeMs, MAX_LIFE_MS) : UNSTATED_LIFE_MS;
}

/** `error` and `error_description` of RFC 6749, 5.2, cut short: after secrets were taken out, or the start of one could stay. */
function reasonOf(reply: Record<string, unknown> | null, redact: (text: string) => string): string {
  const parts = [reply?.error, reply?.error_description].filter((part) => typeof part === "string");
  const text = redact(parts.join(": "))
    .replace(/[^\x20-\x7e]+/g, " ")
    .slice(0, 300);
  return text === "" ? "" : ` (${text})`;
}

function readJson(body: Uint8Array): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(body));
    return typeof value === "object" ? (value as Record<string, unknown> | null) : null;
  } catch {
    return null;
  }
}

/** RFC 6749, 2.3.1: form-encoded before it becomes the user name or password of HTTP Basic. */
function formEncode(text: string): string {
  return new URLSearchParams({ "": text }).toString().slice(1);
}
