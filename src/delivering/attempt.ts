import type { Clock } from "../platform/clock.ts";
import { AppError } from "../platform/errors.ts";
import { sanitiseJson } from "../platform/json.ts";
import type { Outbound, OutboundResult } from "../platform/outbound.ts";
import { parseRetryAfter } from "../platform/retry_after.ts";
import { headerSecrets, LONGEST_SECRET_BYTES, redactor } from "../vault/credentials.ts";
import { isCredentialName, MASK, openHeaders, type StoredHeaders } from "../vault/headers.ts";
import type { Vault } from "../vault/vault.ts";
import type { Authorise } from "./authorise.ts";
import type { Endpoint } from "./endpoint.ts";
import { envelope, USER_AGENT, webhookId } from "./envelope.ts";
import { decideOutcome, forListener, type Signal, type TryResult } from "./outcome.ts";
import type { RetryPolicy } from "./retry.ts";
import { signatureHeader } from "./signature.ts";
import type { Owed, Recorded } from "./store.ts";
import { type Made, type Transform, transformed } from "./transform.ts";

export type AttemptDeps = {
  outbound: Outbound;
  clock: Clock;
  vault: Vault;
  authorise: Authorise;
  transform: Transform;
  random: () => number;
};

/** A try with what the endpoint's health makes of it. */
export type Tried = { record: Recorded; signal: Signal; holdUntil: number | null };

/** What is particular to a direct send, as stored with its event. */
export type Target = {
  url: string;
  headers?: StoredHeaders;
  retry?: RetryPolicy;
  /** Of each try; the endpoint's without it. */
  timeoutMs?: number;
  /** How long its dead letter is kept; RETAIN_DEAD_LETTERS without it. */
  keepMs?: number;
};

const KEPT_BYTES = 16 * 1024;
const KEPT_BYTES_OF_SUCCESS = 1024;

const OUTCOME = {
  delivered: "delivered",
  interrupted: "interrupted",
  retry: "failed",
  dead: "failed",
  cancelled: "failed",
} as const;

/** Makes one HTTP try of a delivery: transform, sign, send, judge. Never throws for what an endpoint can do. */
export async function attempt(deps: AttemptDeps, owed: Owed, endpoint: Endpoint, signal: AbortSignal): Promise<Tried> {
  const attemptId = deps.clock.uuid();
  const startedAt = performance.now();
  try {
    const made = endpoint.plugin.length === 0 ? null : await transformed(deps.transform, owed, endpoint, signal);
    if (made && "unsent" in made) {
      const shown = { ...nothing(owed, endpoint), plugins: made.plugins };
      return judge(deps, owed, endpoint, attemptId, shown, made.unsent, { ms: performance.now() - startedAt });
    }
    let prepared = await prepare(deps, owed, endpoint, made);
    let result = await send(deps, prepared, timed(endpoint, owed), signal);
    if (result.ok && result.status === 401 && (await prepared.refused())) {
      prepared = await prepare(deps, owed, endpoint, made);
      result = await send(deps, prepared, timed(endpoint, owed), signal);
    }
    const { url, headers, secretHeaders, redact } = prepared;
    const shown: Shown = {
      url: redact ? redact(url) : url,
      headers: mask(headers, secretHeaders),
      body: made?.body?.replaceAll("\0", "") ?? null,
      plugins: made?.plugins ?? null,
    };
    return judge(
      deps,
      owed,
      endpoint,
      attemptId,
      shown,
      resultOf(result, redact, deps.clock.now()),
      answerOf(result, redact),
    );
  } catch (error) {
    // A credential that cannot be opened or fetched fails this try, with its sentence; all else is a fault of ours.
    if (!(error instanceof AppError)) throw error;
    const result: TryResult = { kind: "fault", fault: "credential", message: error.message };
    return judge(deps, owed, endpoint, attemptId, nothing(owed, endpoint), result, {
      ms: performance.now() - startedAt,
    });
  }
}

/** With the timeout of this very send, if it has one. */
function timed(endpoint: Endpoint, owed: Owed): Endpoint {
  const timeoutMs = targetOf(owed)?.timeoutMs;
  return timeoutMs === undefined ? endpoint : { ...endpoint, timeoutMs };
}

/** What is told of the request; `body` only where plugins changed it. */
type Shown = { url: string; headers: Record<string, string>; body: string | null; plugins: string | null };

/** Of a request that was never made. */
function nothing(owed: Owed, endpoint: Endpoint): Shown {
  return { url: targetOf(owed)?.url ?? endpoint.url, headers: {}, body: null, plugins: null };
}

function send(deps: AttemptDeps, prepared: Prepared, endpoint: Endpoint, signal: AbortSignal): Promise<OutboundResult> {
  return deps.outbound.request({
    method: "POST",
    url: prepared.url,
    headers: prepared.headers,
    body: prepared.body,
    timeoutMs: endpoint.timeoutMs,
    maxBytes: prepared.redact ? KEPT_BYTES + LONGEST_SECRET_BYTES : KEPT_BYTES,
    oversize: "truncate",
    signal,
    ...(prepared.onlyHosts ? { onlyHosts: prepared.onlyHosts } : {}),
  });
}

type Prepared = {
  url: string;
  headers: Record<string, string>;
  secretHeaders: readonly string[];
  onlyHosts: readonly string[] | null;
  body: string;
  redact: Redact | null;
  refused(): Promise<boolean>;
};

/** Takes what must not be told out of a text. Null where the request carries nothing of the kind. */
type Redact = (text: string) => string;

/** @throws AppError when something sealed cannot be opened */
async function prepare(deps: AttemptDeps, owed: Owed, endpoint: Endpoint, made: Made | null): Promise<Prepared> {
  if (endpoint.problem !== null) throw new AppError("unavailable", endpoint.problem);
  const id = webhookId({ id: owed.eventId, originalId: owed.originalId });
  const target = targetOf(owed);
  const event = { id: owed.eventId, originalId: owed.originalId, type: owed.type, data: owed.data };
  const body = made?.body ?? (target ? owed.data : envelope(event));
  const timestamp = Math.floor(deps.clock.now() / 1000);
  const own = target?.headers ? await openHeaders(deps.vault, owed.originalId ?? owed.eventId, target.headers) : {};
  const headers: Record<string, string> = {
    ...endpoint.headers,
    ...own,
    "content-type": "application/json",
    ...made?.headers,
    "user-agent": USER_AGENT,
    "webhook-id": id,
    "webhook-timestamp": String(timestamp),
    "webhook-signature": signatureHeader(id, timestamp, body, liveKeys(endpoint, timestamp * 1000)),
  };
  if (target) headers["x-deltahook-event"] = owed.type;
  const added = [...sealedNames(target?.headers), ...Object.keys(made?.headers ?? {}).filter(isCredentialName)];
  const secretHeaders = [...endpoint.secretHeaders, ...added];
  const redact = both(endpoint.redact, redactorOf(added, headers));
  const request = { url: target?.url ?? endpoint.url, headers };
  if (endpoint.secretId === null) {
    return { ...request, body, secretHeaders, onlyHosts: null, redact, refused: async () => false };
  }
  const authorised = await deps.authorise(endpoint.secretId, request);
  return {
    ...authorised,
    body,
    secretHeaders: [...secretHeaders, ...authorised.secretHeaders],
    redact: both(redact, authorised.redact),
  };
}

function redactorOf(names: readonly string[], headers: Record<string, string>): Redact | null {
  return names.length === 0 ? null : redactor(names.flatMap((name) => headerSecrets(headers[name] ?? "")));
}

function both(one: Redact | null, other: Redact | null): Redact | null {
  return one && other ? (text) => other(one(text)) : (one ?? other);
}

function targetOf(owed: Owed): Target | null {
  return owed.target === null ? null : (JSON.parse(owed.target) as Target);
}

function sealedNames(headers: StoredHeaders | undefined): string[] {
  return headers ? Object.keys(headers).filter((name) => typeof headers[name] !== "string") : [];
}

function liveKeys(endpoint: Endpoint, now: number): Uint8Array[] {
  return endpoint.signing.filter(({ expiresAt }) => expiresAt === null || expiresAt > now).map(({ key }) => key);
}

function mask(headers: Record<string, string>, secret: readonly string[]): Record<string, string> {
  if (secret.length === 0) return headers;
  const hidden = new Set(secret.map((name) => name.toLowerCase()));
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, hidden.has(name.toLowerCase()) ? MASK : value]),
  );
}

function resultOf(result: OutboundResult, redact: Redact | null, now: number): TryResult {
  if (result.ok) {
    const retryAfter = result.headers["retry-after"];
    return {
      kind: "answer",
      status: result.status,
      retryAfterMs: retryAfter === undefined ? null : parseRetryAfter(retryAfter, now),
    };
  }
  if (result.fault.kind === "aborted") return { kind: "interrupted" };
  const { message } = result.fault;
  return { kind: "fault", fault: result.fault.kind, message: redact ? redact(message) : message };
}

type Seen = { ms: number; status?: number; headers?: string; body?: string };

/** What is kept of an answer. A receiver may say back what it was sent: the credentials in hand are taken out. */
function answerOf(result: OutboundResult, redact: Redact | null): Seen {
  if (!result.ok) return { ms: result.ms };
  const { ms, status, body } = result;
  const success = status >= 200 && status < 300;
  const keptBytes = success ? KEPT_BYTES_OF_SUCCESS : KEPT_BYTES;
  const headers = redact
    ? Object.fromEntries(Object.entries(result.headers).map(([name, value]) => [redact(name), redact(value)]))
    : result.headers;
  return {
    ms,
    status,
    // As values: in the text, those six characters may also be what the header says.
    headers: JSON.stringify(sanitiseJson(headers)),
    body: (redact ? redactedStart(body, keptBytes, redact) : startOf(body, keptBytes)).replaceAll("\0", ""),
  };
}

function startOf(body: Uint8Array, bytes: number): string {
  return new TextDecoder().decode(body.subarray(0, bytes));
}

/** Redacted before it is cut, or the start of a secret could stand at the end. */
function redactedStart(body: Uint8Array, bytes: number, redact: Redact): string {
  const text = redact(startOf(body, bytes + LONGEST_SECRET_BYTES));
  return startOf(new TextEncoder().encode(text), bytes);
}

function judge(
  deps: AttemptDeps,
  owed: Owed,
  endpoint: Endpoint,
  attemptId: string,
  shown: Shown,
  result: TryResult,
  seen: Seen,
): Tried {
  const decided = decideOutcome(result, {
    policy: targetOf(owed)?.retry ?? endpoint.retry,
    triesUsed: owed.tries,
    probe: owed.probe,
    direct: endpoint.kind === "direct",
    now: deps.clock.now(),
    random: deps.random(),
  });
  const { verdict, signal, holdUntil } = endpoint.kind === "listen" ? forListener(decided) : decided;
  const record: Recorded = {
    attemptId,
    delivery: owed,
    outcome: result.kind === "skipped" ? "skipped" : OUTCOME[verdict.kind],
    verdict,
    status: seen.status ?? null,
    ms: Math.round(seen.ms),
    url: shown.url,
    requestHeaders: JSON.stringify(shown.headers),
    requestBody: shown.body,
    responseHeaders: seen.headers ?? null,
    responseBody: seen.body ?? null,
    error:
      "error" in verdict
        ? verdict.error
        : result.kind === "interrupted"
          ? "Interrupted by a shutdown; not counted."
          : null,
    plugins: shown.plugins,
  };
  return { record, signal, holdUntil };
}
