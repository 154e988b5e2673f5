import { randomBytes } from "node:crypto";
import type { Clock } from "../platform/clock.ts";
import type { SqlRunner } from "../platform/database.ts";
import { parseId } from "../platform/ids.ts";
import type { Json } from "../platform/json.ts";
import { LONGEST_SECRET_BYTES } from "../vault/credentials.ts";
import { MASK, sealHeaders } from "../vault/headers.ts";
import type { Vault } from "../vault/vault.ts";
import type { Ask, Asked } from "./ask.ts";
import { collectItems, keyOfRow } from "./collect.ts";
import type { FieldPlan, ItemsPlan } from "./compile.ts";
import { type Extracted, extract, type Hash } from "./extract.ts";
import { keyedHash } from "./redaction.ts";
import { toldProblem } from "./reply.ts";
import type { Answer } from "./send.ts";
import { readDefinition, type StoredWatch } from "./stored_watch.ts";
import type { WatchInput } from "./watch.ts";
import { type KnownWatch, knownWatch } from "./watch_cache.ts";
import { watchNotFound, watchUuid } from "./watches.ts";
import { findWatch } from "./watches_store.ts";

export type PreviewedField = { value: Json } | { missing: true } | { error: string };

/** What one run of a watch finds, nothing being saved. No value of a credential. */
export type Preview = {
  request: { method: string; url: string; headers: Record<string, string>; body: string | null };
  /** `body` is cut at 64 KiB; null when there was no answer. */
  response: { status: number; headers: Record<string, string>; bytes: number; ms: number; body: string } | null;
  fields: Record<string, PreviewedField>;
  /** The first 100 of `count`. */
  items: { count: number; data: { key: Json; fields: Record<string, PreviewedField> }[] } | null;
  problems: string[];
};

const SHOWN_BYTES = 64 * 1024;
const SHOWN_ITEMS = 100;

/**
 * Runs a watch once without saving it. `check` refuses what its body alone does not tell. `of` is the id of a saved
 * watch that this is a change of: `***` in a header keeps the value that it has, as long as the same server is asked.
 */
export function createPreview(deps: {
  sql: SqlRunner;
  clock: Clock;
  vault: Vault;
  ask(ask: Ask): Promise<Asked>;
  check(input: WatchInput): Promise<void>;
}): (input: WatchInput, signal: AbortSignal, of?: string) => Promise<Preview> {
  const { sql, clock, vault } = deps;

  async function storedOf(id: string): Promise<{ id: string; request: StoredWatch["request"] }> {
    const row = await findWatch(sql, watchUuid(id));
    if (!row) throw watchNotFound(id);
    return { id: row.id, request: readDefinition(row.definition).request };
  }

  return async (input, signal, of) => {
    await deps.check(input);
    const stored = of === undefined ? null : await storedOf(of);
    const id = stored?.id ?? clock.uuid();
    const { url, headers: given } = input.request;
    const update = stored && { stored: stored.request.headers, from: stored.request.url, to: url };
    const headers = await sealHeaders(vault, id, given, update, "/request/headers");
    const secretId = input.secret_id === null ? null : parseId("secret", input.secret_id);
    const watch = knownWatch({ id, revision: 0, secretId }, { ...input, request: { ...input.request, headers } });
    const secret = secretId === null ? null : { id: secretId, revision: null };
    const asked = await deps.ask({ watch, secret, conditions: null, quietBody: null, signal });
    return previewOf(watch, asked);
  };
}

function previewOf(watch: KnownWatch, asked: Asked): Preview {
  const redact = watch.ready?.redact ?? ((text: string) => text);
  const hash = keyedHash(randomBytes(32).toString("base64"));
  const preview: Preview = {
    request: shownRequest(watch, redact),
    response: "answer" in asked && asked.answer ? shownAnswer(asked.answer, redact) : null,
    fields: {},
    items: null,
    problems: [],
  };
  if (asked.kind === "failed") preview.problems.push(toldProblem(asked.failure.problem, redact));
  if (asked.kind === "aborted") preview.problems.push("The request was stopped, since the server is shutting down.");
  if (asked.kind !== "document") return preview;
  const { fields, items } = watch.compiled;
  preview.fields = read(fields, asked.document, hash, preview.problems);
  if (items) preview.items = readItems(items, [asked.document, ...asked.morePages], hash, preview.problems);
  if (!asked.complete) preview.problems.push("There are more pages than max_pages: items beyond them are not seen.");
  return preview;
}

function readItems(plan: ItemsPlan, pages: readonly Json[], hash: Hash, problems: string[]): Preview["items"] {
  const found = collectItems(plan, pages);
  if (typeof found === "string") {
    problems.push(found);
    return null;
  }
  const first = [...found].slice(0, SHOWN_ITEMS);
  const data = first.map(([key, item]) => ({ key: keyOfRow(key), fields: read(plan.fields, item, hash, problems) }));
  return { count: found.size, data };
}

function read(
  plans: readonly FieldPlan[],
  document: Json,
  hash: Hash,
  problems: string[],
): Record<string, PreviewedField> {
  const fields = [...extract(plans, document, hash)].map(([name, found]) => [name, shownField(found)] as const);
  for (const [, field] of fields) if ("error" in field) problems.push(field.error);
  return Object.fromEntries(fields);
}

function shownField(found: Extracted): PreviewedField {
  if (found.kind === "value") return { value: found.value };
  return found.kind === "missing" ? { missing: true } : { error: found.message };
}

function shownRequest({ request, ready }: KnownWatch, redact: (text: string) => string): Preview["request"] {
  const secret = new Set(ready?.secretHeaders ?? []);
  const headers = Object.entries(ready?.headers ?? request.headers).map(([name, value]) => {
    const isSecret = typeof value !== "string" || secret.has(name.toLowerCase());
    return [name, isSecret ? MASK : redact(value)] as const;
  });
  return {
    method: request.method,
    url: redact(ready?.url ?? request.url),
    headers: Object.fromEntries(headers),
    body: request.body,
  };
}

function shownAnswer({ status, headers, body, ms }: Answer, redact: (text: string) => string): Preview["response"] {
  const shown = Object.entries(headers).map(([name, value]) => [name, redact(value)] as const);
  // Redacted before it is cut, or the start of a secret could stand at the end.
  const text = redact(new TextDecoder().decode(body.subarray(0, SHOWN_BYTES + LONGEST_SECRET_BYTES)));
  const cut = new TextDecoder().decode(new TextEncoder().encode(text).subarray(0, SHOWN_BYTES));
  return { status, headers: Object.fromEntries(shown), bytes: body.byteLength, ms, body: cut };
}
