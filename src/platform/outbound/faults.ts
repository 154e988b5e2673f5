import { messageOf } from "../errors.ts";

/** Why a request got no usable answer. `message` names the cause and the remedy, and never a path, query or secret. */
export type OutboundFault = {
  kind:
    | "invalid_url"
    | "blocked"
    | "dns"
    | "connect"
    | "tls"
    | "timeout"
    | "reset"
    | "protocol"
    | "too_large"
    | "aborted";
  message: string;
};

/** Turns what `fetch` or the reading of a body threw into a fault. `host` is the name (and port) that the user wrote. */
export function faultOf(error: unknown, host: string): OutboundFault {
  const code = codeOf(error);
  if (UNREACHABLE.has(code)) return { kind: "connect", message: `${host} ${UNREACHABLE.get(code)}` };
  if (code === "ECONNRESET" || code === "EPIPE" || code === "ConnectionClosed") {
    return { kind: "reset", message: `${host} closed the connection before its answer was complete.` };
  }
  if (code === "ETIMEDOUT" || (error instanceof Error && error.name === "TimeoutError")) {
    return { kind: "timeout", message: `The connection to ${host} timed out.` };
  }
  if (TLS_CODE.test(code)) return { kind: "tls", message: tlsSentence(code, host) };
  const known = PROTOCOL.get(code);
  return {
    kind: "protocol",
    message: `${host} ${known ?? `gave an answer that cannot be used: ${cause(error, code)}.`}`,
  };
}

/** Whether the connection was never made, so that nothing was sent and another address may be tried. */
export function neverConnected(error: unknown): boolean {
  return UNREACHABLE.has(codeOf(error));
}

export function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
}

const UNREACHABLE = new Map([
  ["ECONNREFUSED", "refuses connections. Is the service running, and is this its port?"],
  ["EHOSTUNREACH", "cannot be reached: no route to the host. Check the network and its firewalls."],
  ["ENETUNREACH", "cannot be reached: no route to its network. Check the network and its firewalls."],
  ["EHOSTDOWN", "cannot be reached: the host is down."],
  ["ENETDOWN", "cannot be reached: this machine's network is down."],
  ["EADDRNOTAVAIL", "cannot be reached: this machine has no address or port left for the connection."],
  ["EACCES", "cannot be reached: this machine does not permit the connection. Check its firewall."],
  ["EPERM", "cannot be reached: this machine does not permit the connection. Check its firewall."],
  ["EMFILE", "cannot be reached: this process has too many open files. Raise its limit (ulimit -n)."],
  ["FailedToOpenSocket", "cannot be reached: no socket could be opened."],
]);

const TLS_CODE =
  /^(ERR_TLS_|ERR_SSL_|CERT_|CRL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|INVALID_CA|INVALID_PURPOSE|HOSTNAME_MISMATCH|PATH_LENGTH_|EPROTO$)/;

function tlsSentence(code: string, host: string): string {
  const certificate = `The certificate of ${host}`;
  switch (code) {
    case "ERR_TLS_CERT_ALTNAME_INVALID":
    case "HOSTNAME_MISMATCH":
      return `${certificate} is for another name. Use a name that the certificate carries, or have it reissued for this one.`;
    case "CERT_HAS_EXPIRED":
      return `${certificate} has expired. Whoever runs that server must renew it.`;
    case "CERT_NOT_YET_VALID":
      return `${certificate} is not valid yet. Check the clocks of both machines.`;
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
    case "SELF_SIGNED_CERT_IN_CHAIN":
      return `${certificate} is self-signed. To trust it, name its file in NODE_EXTRA_CA_CERTS and restart.`;
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return `${certificate} is not signed by a known authority, or the server leaves out the certificates in between. To trust a private authority, name its file in NODE_EXTRA_CA_CERTS and restart.`;
    case "EPROTO":
      return `The TLS handshake with ${host} failed. Does the server speak TLS on this port?`;
    default:
      return `The TLS connection to ${host} failed (${code}).`;
  }
}

const PROTOCOL = new Map([
  ["Malformed_HTTP_Response", "did not answer in HTTP. Is this the right port?"],
  ["InvalidHTTPResponse", "garbled its answer (chunked transfer encoding)."],
  ["InvalidContentLength", "answered with an impossible Content-Length."],
  ["ResponseHeadersTooLarge", "answered with more headers than can be taken."],
  ["UnrequestedUpgrade", "switched to another protocol without being asked."],
]);

function cause(error: unknown, code: string): string {
  // Bun's generic messages quote the whole URL, whose query may hold a secret: those give their code only.
  const message = messageOf(error);
  return message.includes("://") ? code || "unknown fault" : message;
}
