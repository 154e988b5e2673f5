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

/**
 * Seals the values of credential headers for one owner (a watch's, endpoint's or event's id). `***` keeps the sealed
 * value that `previous`, of the same owner, has under that name.
 * @throws AppError (422, at `<pointer>/<name>`) for `***` where nothing is stored.
 */
export async function sealHeaders(
  vault: Vault,
  ownerId: string,
  headers: Record<string, string>,
  previous: StoredHeaders = {},
  pointer = "/headers",
): Promise<StoredHeaders> {
  const kept = new Map(Object.entries(previous).map(([name, value]) => [name.toLowerCase(), value]));
  const stored: [string, StoredHeaders[string]][] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (!isCredentialName(name)) stored.push([name, value]);
    else if (value !== MASK) stored.push([name, { sealed: await vault.seal(kindOf(name), ownerId, value) }]);
    else stored.push([name, keptValue(kept.get(name.toLowerCase()), name, pointer)]);
  }
  return Object.fromEntries(stored);
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

function keptValue(value: StoredHeaders[string] | undefined, name: string, pointer: string): StoredHeaders[string] {
  if (value !== undefined && typeof value !== "string") return value;
  const message = `*** keeps the stored value of ${name}, and there is none; write the value itself.`;
  const place = `${pointer}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
  throw new AppError("invalid", message, { faults: [{ pointer: place, message }] });
}
