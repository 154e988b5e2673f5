import { invalid } from "../../platform/errors.ts";
import { type Json, parseJson } from "../../platform/json.ts";

export type PastedRequest = {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: Json;
  /** A credential that the command carries: it belongs into the vault, and not into the watch. */
  credential:
    | { kind: "bearer"; value: string }
    | { kind: "basic"; value: { username: string; password: string } }
    | null;
};

/** Options of curl that take a value which means nothing here. */
const IGNORED_WITH_VALUE = new Set(["-o", "--output", "-m", "--max-time", "--connect-timeout", "--retry", "-w"]);
const METHOD = new Set(["-X", "--request"]);
const HEADER = new Set(["-H", "--header"]);
const DATA = new Set(["-d", "--data", "--data-raw", "--data-binary", "--json"]);
const USER = new Set(["-u", "--user"]);
const URL_OPTION = new Set(["--url"]);

/** Whether a text is a command, and not an address. */
export function isCurl(text: string): boolean {
  return /^curl(\s|$)/.test(text.trim());
}

/**
 * A `curl` command as browsers and manuals have it → the request that it makes.
 * @throws AppError (422) at `/source` for what cannot be understood
 */
export function parseCurl(text: string): PastedRequest {
  if (!isCurl(text)) throw refuse("This is no command that begins with curl.");
  const request: PastedRequest = { method: "", url: "", headers: {}, body: null, credential: null };
  const left = wordsOf(text.trim()).slice(1);
  while (left.length > 0) take(left, request);
  if (request.url === "") throw refuse("The curl command names no address.");
  if (!/^[a-z]+:\/\//i.test(request.url)) request.url = `http://${request.url}`;
  request.method ||= request.body === null ? "GET" : "POST";
  moveCredential(request);
  return request;
}

function take(left: string[], request: PastedRequest): void {
  const word = left.shift() ?? "";
  const [, long = word, attached] = /^(--[\w-]+)=(.*)$/s.exec(word) ?? /^(-[XHdu])(.+)$/s.exec(word) ?? [];
  const value = () => attached ?? left.shift() ?? "";
  if (METHOD.has(long)) request.method = value().toUpperCase();
  else if (HEADER.has(long)) addHeader(request, value());
  else if (DATA.has(long)) request.body = bodyOf(value());
  else if (USER.has(long)) addUser(request, value());
  else if (URL_OPTION.has(long)) request.url = value();
  else if (IGNORED_WITH_VALUE.has(long)) value();
  else if (!word.startsWith("-")) request.url = word;
}

function addHeader(request: PastedRequest, line: string): void {
  const colon = line.indexOf(":");
  if (colon < 1) throw refuse(`A header is written "Name: value"; this one has no colon: ${line}`);
  request.headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim();
}

function addUser(request: PastedRequest, text: string): void {
  const colon = text.indexOf(":");
  if (colon < 1) throw refuse("Write the credential as -u user:password.");
  request.credential = {
    kind: "basic",
    value: { username: text.slice(0, colon), password: text.slice(colon + 1) },
  };
}

function bodyOf(text: string): Json {
  try {
    return parseJson(text);
  } catch {
    throw refuse("The data of the command is not JSON: a watch sends JSON bodies only.");
  }
}

/** Headers that only say what a watch says anyway are dropped; a bearer token moves out of sight. */
function moveCredential(request: PastedRequest): void {
  const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? "")?.[1];
  if (token !== undefined) {
    request.credential ??= { kind: "bearer", value: token };
    delete request.headers.authorization;
  }
  for (const name of ["content-length", "host", "connection", "accept-encoding"]) delete request.headers[name];
}

/** Words as a shell makes them: quotes, backslashes, and lines that end in one. */
function wordsOf(text: string): string[] {
  const words: string[] = [];
  const pattern = /(?:'[^']*'|"(?:[^"\\]|\\.)*"|\\.|[^\s'"\\])+/gs;
  for (const [word] of text.replace(/\\\r?\n/g, " ").matchAll(pattern)) {
    words.push(
      word.replace(/'([^']*)'|"((?:[^"\\]|\\.)*)"|\\(.)/gs, (_all, single?: string, double?: string, one?: string) => {
        if (single !== undefined) return single;
        return double === undefined ? (one ?? "") : double.replace(/\\(["\\$`])/g, "$1");
      }),
    );
  }
  return words;
}

function refuse(message: string) {
  return invalid("/source", message);
}
