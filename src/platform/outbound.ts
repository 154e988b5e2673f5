import type { AllowedNetworks } from "./addresses.ts";
import { formatDuration } from "./durations.ts";
import { boundFault } from "./host_patterns.ts";
import { discard, readBody } from "./outbound/body.ts";
import { faultOf, neverConnected, type OutboundFault } from "./outbound/faults.ts";
import { outgoingHeaders, requestFault, responseHeaders } from "./outbound/headers.ts";
import { type Hop, nextHop } from "./outbound/redirect.ts";
import { createResolver, systemLookUp } from "./outbound/resolver.ts";
import { parseTarget, type Target } from "./outbound/target.ts";

export type { OutboundFault } from "./outbound/faults.ts";
export { checkHeaders } from "./outbound/headers.ts";

export type OutboundRequest = {
  /** GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS. */
  method: string;
  url: string;
  headers: Record<string, string>;
  body?: string | Uint8Array;
  /** The whole request: DNS, connect, headers, body, redirects. */
  timeoutMs: number;
  /** Of the decoded body. */
  maxBytes: number;
  /** Past `maxBytes`: an error, or keep the first `maxBytes` and stop reading. */
  oversize: "fail" | "truncate";
  /** Redirects followed, each checked like the first URL. At 0, the default, a 3xx is the answer. */
  redirects?: number;
  /** Headers that, like `authorization` and `cookie`, must not follow a redirect to another origin. */
  secretHeaders?: readonly string[];
  /** Patterns (`host_patterns.ts`) of the only hosts that may be asked, redirects included. */
  onlyHosts?: readonly string[];
  /** Our own shutdown. */
  signal?: AbortSignal;
};

/** `url` is the last one asked, after redirects. Header names are lower case. */
export type OutboundResult =
  | {
      ok: true;
      status: number;
      headers: Record<string, string>;
      body: Uint8Array;
      truncated: boolean;
      url: string;
      ms: number;
    }
  | { ok: false; fault: OutboundFault; status: number | null; ms: number };

export type Outbound = {
  /** Sends a request and reads its answer. Never throws for what a network, a server or a URL can do. */
  request(r: OutboundRequest): Promise<OutboundResult>;
  /** What can be said of a URL without a look-up (scheme, credentials, port, literal address): a sentence, or null. */
  checkUrl(url: string): string | null;
};

type Answer = { status: number; headers: Record<string, string>; body: Uint8Array; truncated: boolean; url: string };
type Failure = { fault: OutboundFault; status: number | null };

const MAX_TIMEOUT_MS = 2 ** 31 - 1;
const MAX_TARGETS = 16_384;
const TIMED_OUT = Symbol("the request's own deadline");
const STOPPED = Symbol("the caller's signal");
const followers = new WeakMap<AbortSignal, Set<AbortController>>();

// A proxy would resolve and connect by itself, behind our back. `proxy: false` below says so again for each request.
for (const name of ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"]) {
  delete process.env[name];
}

/**
 * The one door for outbound HTTP. It connects only to addresses that it has checked itself, by naming the address in
 * the URL and the host in `Host` and in TLS; certificates are verified against the host. At most
 * `BUN_CONFIG_MAX_HTTP_REQUESTS` requests (256 unless the process was *started* with more) are in flight; others queue.
 */
export function createOutbound(options: {
  allowedNetworks: AllowedNetworks;
  resolve?: (host: string) => Promise<string[]>;
}): Outbound {
  const resolver = createResolver(options.allowedNetworks, options.resolve ?? systemLookUp);
  const targets = new Map<string, Target>();

  async function request(r: OutboundRequest): Promise<OutboundResult> {
    const startedAt = performance.now();
    const deadline = startDeadline(r);
    try {
      const result = await follow(r, deadline.signal);
      const ms = Math.round(performance.now() - startedAt);
      if ("fault" in result) return { ok: false, fault: result.fault, status: result.status, ms };
      const { status, headers, body, truncated, url } = result;
      return { ok: true, status, headers, body, truncated, url, ms };
    } finally {
      deadline.clear();
    }
  }

  async function follow(r: OutboundRequest, signal: AbortSignal): Promise<Answer | Failure> {
    const malformed = requestFault(r);
    if (malformed) return { fault: malformed, status: null };
    const limit = r.redirects ?? 0;
    let hop: Hop = { method: r.method, url: r.url, headers: r.headers, body: r.body };
    for (let followed = 0; ; followed++) {
      const target = bound(r, hop.url) ?? aim(hop.url);
      if ("kind" in target) return { fault: followed > 0 ? afterRedirect(target, hop.url) : target, status: null };
      const response = await send(hop, target, r, signal);
      if ("kind" in response)
        return { fault: followed > 0 ? afterRedirect(response, hop.url) : response, status: null };

      const next = limit === 0 ? null : nextHop(hop, target.url, redirectOf(response), r.secretHeaders ?? []);
      if (!next) return await readAnswer(response, target, r, signal);
      await discard(response.body);
      if ("kind" in next) return { fault: next, status: response.status };
      if (followed === limit) return { fault: tooManyRedirects(target, limit), status: response.status };
      hop = next;
    }
  }

  function aim(url: string): Target | OutboundFault {
    const known = targets.get(url);
    if (known) return known;
    const target = parseTarget(url, options.allowedNetworks);
    if ("kind" in target) return target;
    if (targets.size >= MAX_TARGETS) targets.clear();
    targets.set(url, target);
    return target;
  }

  /** Tries the checked addresses in turn, the next one only when nothing was sent to the one before. */
  async function send(hop: Hop, target: Target, r: OutboundRequest, signal: AbortSignal) {
    if (signal.aborted) return cutShort(signal, target, r, "was not asked");
    const found = resolver.resolve(target);
    const checked = found instanceof Promise ? await orAborted(found, signal) : found;
    if (checked === null) return cutShort(signal, target, r, "could not be looked up");
    if ("kind" in checked) return checked;

    const init = initOf(hop, target, signal);
    let failure: unknown = null;
    for (const address of checked) {
      try {
        return await fetch(`${target.prefix}${address}${target.suffix}`, init);
      } catch (error) {
        failure = error;
        if (checked.length > 1 && (signal.aborted || neverConnected(error))) resolver.avoid(address);
        if (signal.aborted) return cutShort(signal, target, r, "did not answer");
        if (!neverConnected(error)) break;
      }
    }
    return faultOf(failure, target.host);
  }

  return {
    request,
    checkUrl(url) {
      const target = aim(url);
      return "kind" in target ? target.message : null;
    },
  };
}

/** One timer and one signal for the whole request, so that nothing outlives it. */
function startDeadline(r: OutboundRequest): { signal: AbortSignal; clear: () => void } {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(TIMED_OUT), Math.min(Math.max(r.timeoutMs, 1), MAX_TIMEOUT_MS));
  const others = r.signal ? followersOf(r.signal) : null;
  if (r.signal?.aborted) controller.abort(STOPPED);
  else others?.add(controller);
  return {
    signal: controller.signal,
    clear() {
      clearTimeout(timer);
      others?.delete(controller);
    },
  };
}

/** One listener for all requests that share a signal: adding and removing one each costs a tenth of a request. */
function followersOf(signal: AbortSignal): Set<AbortController> {
  const known = followers.get(signal);
  if (known) return known;
  const controllers = new Set<AbortController>();
  signal.addEventListener("abort", () => {
    for (const controller of controllers) controller.abort(STOPPED);
  });
  followers.set(signal, controllers);
  return controllers;
}

/** The promise's value, or null as soon as the signal is aborted: a look-up itself cannot be called off. */
function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  const aborted = new Promise<null>((resolve) => signal.addEventListener("abort", () => resolve(null), { once: true }));
  return Promise.race([promise, aborted]);
}

function bound({ onlyHosts }: OutboundRequest, url: string): OutboundFault | null {
  const message = onlyHosts ? boundFault(onlyHosts, url) : null;
  return message === null ? null : { kind: "blocked", message };
}

function initOf(hop: Hop, target: Target, signal: AbortSignal): BunFetchRequestInit {
  const init: BunFetchRequestInit = {
    method: hop.method,
    headers: outgoingHeaders(hop.headers, target.host),
    redirect: "manual",
    proxy: false,
    verbose: false,
    decompress: false,
    signal,
  };
  // The cast only says that the bytes are not shared memory, which the DOM's types insist on.
  if (hop.body !== undefined && hop.body.length > 0) init.body = hop.body as string | Uint8Array<ArrayBuffer>;
  if (target.tls) {
    init.tls = target.tls;
    init.protocol = "http1.1"; // HTTP/3 would not take a server name (Bun docs, "Connecting to a specific address")
  }
  return init;
}

async function readAnswer(
  response: Response,
  target: Target,
  r: OutboundRequest,
  signal: AbortSignal,
): Promise<Answer | Failure> {
  const { status } = response;
  try {
    const headers = responseHeaders(response.headers, target.host);
    if ("kind" in headers) {
      await discard(response.body);
      return { fault: headers, status };
    }
    const body = await readBody(response, { maxBytes: r.maxBytes, oversize: r.oversize, host: target.host });
    if ("kind" in body) return { fault: body, status };
    return { status, headers: headers.fields, body: body.bytes, truncated: body.truncated, url: target.url.href };
  } catch (error) {
    const fault = signal.aborted
      ? cutShort(signal, target, r, "did not finish its answer")
      : faultOf(error, target.host);
    return { fault, status };
  }
}

function redirectOf(response: Response): { status: number; location: string | null } {
  return { status: response.status, location: response.headers.get("location") };
}

function cutShort(signal: AbortSignal, { host }: Target, { timeoutMs }: OutboundRequest, what: string): OutboundFault {
  if (signal.reason === STOPPED) {
    return { kind: "aborted", message: `The request to ${host} was stopped, since DeltaHook is shutting down.` };
  }
  const message = `${host} ${what} within ${formatDuration(timeoutMs)}. Raise the timeout, or have the server answer sooner.`;
  return { kind: "timeout", message };
}

function afterRedirect(fault: OutboundFault, url: string): OutboundFault {
  return { kind: fault.kind, message: `Redirected to ${URL.parse(url)?.host}: ${fault.message}` };
}

function tooManyRedirects({ host }: Target, limit: number): OutboundFault {
  return { kind: "protocol", message: `${host} redirects once more, after ${limit} redirects. Use the final address.` };
}
