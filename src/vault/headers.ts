import { AppError } from "../platform/errors.ts";
import type { Vault } from "./vault.ts";

/** Headers as they lie in the database: values of credentials sealed, all others as they are. */
export type StoredHeaders = Record<string, string | { sealed: string }>;

/** What stands in answers and attempts where a secret was; in an update it means "as it is". */
export const MASK = "***";

const CREDENTIAL =
  /authori[sz]ation|(^|[-_])auth([-_]|$)|cookie|token|secret|password|passwd|credential|(api|access|private|auth)[-_]?key|signature|session/i;

/** Whether a header's (or parameter's) name says that its value is a credential. */
export function isCredentialName(name: string): boolean {
  return CREDENTIAL.test(name);
}

/** What an update starts from: the headers stored of the same owner, and where they went and will go. */
export type HeaderUpdate = { stored: StoredHeaders; from: string; to: string };

/**
 * Seals the values of credential headers for one owner (a watch's, endpoint's or event's id). `***` keeps the sealed
 * value that is stored under that name, as long as it goes to the same server (scheme, host and port): else whoever may
 * change an address could have a credential sent to a server of their own.
 * @throws AppError (422, at `<pointer>/<name>`) for `***` where nothing may be kept.
 */
export async function sealHeaders(
  vault: Vault,
  ownerId: string,
  headers: Record<string, string>,
  update: HeaderUpdate | null = null,
  pointer = "/headers",
): Promise<StoredHeaders> {
  const sealed: [string, StoredHeaders[string]][] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (!isCredentialName(name)) sealed.push([name, value]);
    else if (value !== MASK) sealed.push([name, { sealed: await vault.seal(kindOf(name), ownerId, value) }]);
    else sealed.push([name, keptValue(update, name, pointer)]);
  }
  return Object.fromEntries(sealed);
}

/** For answers and attempts. */
export function maskHeaders(stored: StoredHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(stored).map(([name, value]) => [name, typeof value === "string" ? value : MASK]),
  );
}

/** For the request in hand. @throws AppError when a value cannot be opened. */
export async function openHeaders(
  vault: Vault,
  ownerId: string,
  stored: StoredHeaders,
): Promise<Record<string, string>> {
  const opened: [string, string][] = [];
  for (const [name, value] of Object.entries(stored)) {
    opened.push([name, typeof value === "string" ? value : await vault.open(kindOf(name), ownerId, value.sealed)]);
  }
  return Object.fromEntries(opened);
}

/** The name is bound too: a value cannot be moved to a header that travels further. */
function kindOf(name: string): string {
  return `header:${name.toLowerCase()}`;
}

function keptValue(update: HeaderUpdate | null, name: string, pointer: string): StoredHeaders[string] {
  const kept = Object.entries(update?.stored ?? {}).find(
    ([stored]) => stored.toLowerCase() === name.toLowerCase(),
  )?.[1];
  if (update === null || kept === undefined || typeof kept === "string") {
    throw refused(`*** keeps the stored value of ${name}, and there is none; write the value itself.`, name, pointer);
  }
  const server = serverOf(update.from);
  if (server === serverOf(update.to)) return kept;
  throw refused(
    `The stored value of ${name} was given for ${server}; write the value itself to send it to another server.`,
    name,
    pointer,
  );
}

function serverOf(url: string): string {
  const { protocol, host } = new URL(url);
  return `${protocol}//${host}`;
}

function refused(message: string, name: string, pointer: string): AppError {
  const place = `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
  return new AppError("invalid", message, { faults: [{ pointer: place, message }] });
}
