import { MASK } from "./headers.ts";

/** An opened secret, of the kind and shape that CONTRACT.md names. */
export type Credential = ReadyCredential | OAuthClient;

/** `hosts`: the only ones it may go to. */
type Bound = { hosts?: readonly string[] };

/** A credential that can be put on a request as it is; an OAuth2 client becomes one by its token (`oauth.ts`). */
export type ReadyCredential = Bound &
  (
    | { kind: "bearer"; token: string }
    | { kind: "basic"; username: string; password: string }
    | { kind: "header"; name: string; value: string }
    | { kind: "query"; name: string; value: string }
  );

export type OAuthClient = Bound & {
  kind: "oauth2_client_credentials";
  tokenUrl: string;
  clientId: string;
  clientSecret: string;
  scope: string | null;
};

export type AppliedCredential = {
  url: string;
  headers: Record<string, string>;
  /** Lower-case names whose values are never shown, and never sent to another origin. */
  secretHeaders: string[];
  /** The only hosts that this request may go to, redirects included; null: any. */
  onlyHosts: readonly string[] | null;
  /** Takes every occurrence of the secret out of an error message or URL. */
  redact(text: string): string;
};

/** Puts a credential on a request. It wins over a header or parameter of the same name. */
export function applyCredential(
  credential: ReadyCredential,
  request: { url: string; headers: Record<string, string> },
): AppliedCredential {
  const redact = redactorOf(credential);
  const onlyHosts = credential.hosts ?? null;
  if (credential.kind === "query") {
    const url = withParameter(request.url, credential.name, credential.value);
    return { url, headers: request.headers, secretHeaders: [], onlyHosts, redact };
  }
  const [name, value] = headerOf(credential);
  const others = Object.entries(request.headers).filter(([other]) => other.toLowerCase() !== name.toLowerCase());
  const headers = { ...Object.fromEntries(others), [name]: value };
  return { url: request.url, headers, secretHeaders: [name.toLowerCase()], onlyHosts, redact };
}

/** Kept as long as the credential is: making its pattern costs more than the rest of a small request. */
const redactors = new WeakMap<ReadyCredential, (text: string) => string>();

function redactorOf(credential: ReadyCredential): (text: string) => string {
  const known = redactors.get(credential) ?? redactor(secretsOf(credential));
  redactors.set(credential, known);
  return known;
}

/** What must not be told of a credential header: its value, and what of it another program may say on its own. */
export function headerSecrets(value: string): string[] {
  const basic = /^basic +(\S+)$/i.exec(value)?.[1];
  const password = basic
    ? Buffer.from(basic, "base64")
        .toString()
        .replace(/^[^:]*:/, "")
    : "";
  return [value, password, ...value.split(/[\s;,=]+/).filter((part) => part.length >= LEAST_PART)];
}

/** Shorter parts are words such as `Bearer` or `path`. */
const LEAST_PART = 8;

/** No spelling of a secret is longer in bytes: 8,192 characters, percent-encoded. */
export const LONGEST_SECRET_BYTES = 3 * 8_192;

/** A function that replaces the given values by `***`: raw, percent-encoded, JSON-escaped, in hexadecimal or Base64, in any case. */
export function redactor(secrets: readonly string[]): (text: string) => string {
  let pattern: RegExp | null = null;
  return (text) => {
    // Made when first needed: most requests succeed and have nothing to take out.
    pattern ??= patternOf(secrets);
    return text.replace(pattern, MASK);
  };
}

function patternOf(secrets: readonly string[]): RegExp {
  const forms = [...new Set(secrets.flatMap(spellings))].filter((form) => form !== "");
  if (forms.length === 0) return NOTHING;
  // The longest first: a shorter form inside a longer one must not leave its ends standing.
  const sources = forms
    .sort((a, b) => b.length - a.length)
    .map((form) => form.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&"));
  // Header names are told in small letters.
  return new RegExp(sources.join("|"), "gi");
}

const NOTHING = /(?!)/g;

function headerOf(credential: Exclude<ReadyCredential, { kind: "query" }>): [string, string] {
  switch (credential.kind) {
    case "bearer":
      return ["authorization", `Bearer ${credential.token}`];
    case "basic":
      return ["authorization", `Basic ${basicUserPass(credential.username, credential.password)}`];
    case "header":
      return [credential.name, credential.value];
  }
}

function secretsOf(credential: ReadyCredential): string[] {
  switch (credential.kind) {
    case "bearer":
      return [credential.token];
    case "basic":
      return [credential.password, basicUserPass(credential.username, credential.password)];
    case "header":
    case "query":
      return [credential.value];
  }
}

/** RFC 7617: user-id and password as UTF-8. */
export function basicUserPass(username: string, password: string): string {
  return Buffer.from(`${username}:${password}`, "utf8").toString("base64");
}

/** Works on the text, so that the rest of the query keeps its own encoding. */
function withParameter(url: string, name: string, value: string): string {
  const [, start = "", query = "", hash = ""] = /^([^?#]*)(?:\?([^#]*))?(#.*)?$/s.exec(url) ?? [];
  const others = query.split("&").filter((pair) => pair !== "" && parameterName(pair) !== name);
  return `${start}?${[...others, `${encodeURIComponent(name)}=${encodeURIComponent(value)}`].join("&")}${hash}`;
}

function parameterName(pair: string): string | undefined {
  return new URLSearchParams(pair).keys().next().value;
}

/** The ways in which programs say a text back. */
function spellings(secret: string): string[] {
  const bytes = Buffer.from(secret, "utf8");
  const percent = encodeURIComponent(secret);
  return [
    secret,
    percent,
    encodeURIComponent(percent),
    new URLSearchParams({ s: secret }).toString().slice(2),
    encodeURI(secret),
    JSON.stringify(secret).slice(1, -1),
    bytes.toString("hex"),
    ...base64Spellings(bytes),
  ];
}

/** Whole, and what stays the same of it when other text stands before and after (`user:`, `Bearer `). */
function base64Spellings(bytes: Buffer): string[] {
  const whole = bytes.toString("base64");
  const inside = [0, 1, 2].map((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString("base64");
    return text.slice(before === 0 ? 0 : 4, Math.floor((before + bytes.length) / 3) * 4);
  });
  const all = [whole, whole.replace(/=+$/, ""), ...inside.filter((text) => text.length >= LEAST_PART)];
  return [...all, ...all.map((text) => text.replaceAll("+", "-").replaceAll("/", "_"))];
}
