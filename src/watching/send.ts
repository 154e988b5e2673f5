import { AppError } from "../platform/errors.ts";
import type { Outbound, OutboundResult } from "../platform/outbound.ts";
import type { ReadyCredential } from "../vault/credentials.ts";
import { TokenRefused } from "../vault/oauth.ts";
import type { ReadySecrets } from "../vault/ready.ts";
import type { Vault } from "../vault/vault.ts";
import { signed, type WatchPlugins } from "./hooks.ts";
import type { ReplyProblem } from "./reply.ts";
import { type PlainRequest, type ReadyRequest, readyRequest } from "./request.ts";
import type { KnownWatch } from "./watch_cache.ts";

/** The secret that a watch names, and the revision in force. */
export type SecretRef = { id: string; revision: number | null };

/** Why there is no document. `problem` names cause and remedy and carries no secret. */
export type Failure = { about: ReplyProblem | "network"; problem: string };

export type Answer = OutboundResult & { ok: true };

/** An answer of any status, or none; `aborted` by our own signal, which says nothing about the source. */
export type Sent =
  | { kind: "answer"; answer: Answer; ready: ReadyRequest }
  | { kind: "failed"; failure: Failure; status: number | null }
  | { kind: "aborted" };

export type SendOptions = {
  conditions: Readonly<Record<string, string>> | null;
  /** For this request and its repetition together. */
  timeoutMs: number;
  signal: AbortSignal;
};

export type Sender = {
  /** Sends a watch's request with its credential; once more with a new token when the first was refused. */
  send(watch: KnownWatch, secret: SecretRef | null, options: SendOptions): Promise<Sent>;
  /** Sends what was made ready already. */
  sendReady(watch: KnownWatch, ready: ReadyRequest, options: SendOptions): Promise<Sent>;
};

const REDIRECTS = 5;

export function createSender(deps: {
  outbound: Outbound;
  vault: Vault;
  credentials: ReadySecrets;
  plugins: WatchPlugins;
  maxBytes: number;
}): Sender {
  const { outbound, vault, credentials, plugins, maxBytes } = deps;

  async function send(watch: KnownWatch, secret: SecretRef | null, options: SendOptions): Promise<Sent> {
    const ready = watch.ready && !secret ? watch.ready : await authorise(watch, secret);
    if ("failure" in ready) return { kind: "failed", failure: ready.failure, status: null };
    const sent = await sendReady(watch, ready, options);
    if (!secret || !ready.credential || sent.kind !== "answer" || sent.answer.status !== 401) return sent;
    if (!(await credentials.refused(secret.id, ready.credential))) return sent;
    const renewed = await authorise(watch, secret);
    if ("failure" in renewed) return { kind: "failed", failure: renewed.failure, status: 401 };
    return sendReady(watch, renewed, { ...options, timeoutMs: options.timeoutMs - sent.answer.ms });
  }

  async function authorise(watch: KnownWatch, secret: SecretRef | null): Promise<ReadyRequest | { failure: Failure }> {
    try {
      const credential = secret ? await openCredential(secret) : null;
      if (!watch.ready || watch.ready.credential !== credential) {
        watch.ready = await readyRequest(vault, watch.id, watch.request, credential);
      }
      return watch.ready;
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return { failure: { about: error instanceof TokenRefused ? "auth" : "network", problem: error.message } };
    }
  }

  async function openCredential(secret: SecretRef): Promise<ReadyCredential> {
    const opened = credentials.ready(secret.id, secret.revision);
    return opened instanceof Promise ? await opened : opened;
  }

  function sendReady({ request, use }: KnownWatch, ready: ReadyRequest, options: SendOptions): Promise<Sent> {
    const signing = use && signed(plugins, use, request, ready, options.signal);
    if (!signing) return sendAs(request, ready, ready, options);
    return signing.then((made) => {
      if (!("kind" in made)) return sendAs({ method: request.method, body: made.body }, made, ready, options);
      if (made.kind === "aborted") return made;
      return { kind: "failed", failure: { about: "network", problem: ready.redact(made.problem) }, status: null };
    });
  }

  async function sendAs(
    { method, body }: Pick<PlainRequest, "method" | "body">,
    { url, headers, secretHeaders }: Pick<ReadyRequest, "url" | "headers" | "secretHeaders">,
    ready: ReadyRequest,
    options: SendOptions,
  ): Promise<Sent> {
    const { conditions, timeoutMs, signal } = options;
    const call = {
      method,
      url,
      headers: conditions ? { ...headers, ...conditions } : headers,
      timeoutMs,
      maxBytes,
      oversize: "fail" as const,
      redirects: REDIRECTS,
      secretHeaders,
      signal,
      ...(ready.onlyHosts ? { onlyHosts: ready.onlyHosts } : {}),
    };
    const result = await outbound.request(body === null ? call : { ...call, body });
    if (result.ok) return { kind: "answer", answer: result, ready };
    if (result.fault.kind === "aborted") return { kind: "aborted" };
    return {
      kind: "failed",
      failure: { about: "network", problem: ready.redact(result.fault.message) },
      status: result.status,
    };
  }

  return { send, sendReady };
}
