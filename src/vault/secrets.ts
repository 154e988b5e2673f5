import type { z } from "zod";
import type { Database } from "../platform/database.ts";
import { AppError, type FieldFault } from "../platform/errors.ts";
import { parseId, publicId } from "../platform/ids.ts";
import { mergePatch } from "../platform/merge_patch.ts";
import type { Credential } from "./credentials.ts";
import { type SecretBody, type SecretKind, type SecretPatch, secretBody, toCredential } from "./secret_shapes.ts";
import * as store from "./store.ts";
import type { Vault } from "./vault.ts";

/** A secret as the API shows it: never its value. */
export type Secret = { id: string; name: string; kind: SecretKind; created_at: string; updated_at: string };

/** A secret opened for one request. */
export type OpenedSecret = { id: string; revision: number; credential: Credential };

/**
 * The resource `/v1/secrets` takes and gives public ids (`sec_…`); what opens a value takes the UUID that the rows of
 * watches and endpoints carry, and is for the poll or delivery in hand only.
 */
export type Secrets = {
  create(body: unknown): Promise<Secret>;
  list(page: { limit: number; cursor?: string | undefined }): Promise<{ data: Secret[]; next: string | null }>;
  get(id: string): Promise<Secret>;
  /** RFC 7396. A member of `value` alone may be changed, e.g. `{value: {client_secret: "…"}}`. */
  patch(id: string, patch: SecretPatch): Promise<Secret>;
  /** @throws AppError (409) naming the watches and endpoints that use it. */
  delete(id: string): Promise<void>;
  /** @throws AppError when there is no such secret or it cannot be opened. */
  openCredential(secretId: string): Promise<Credential>;
  /** Many with one query; each that cannot be opened is its own `AppError`. */
  openSecrets(secretIds: readonly string[]): Promise<Map<string, OpenedSecret | AppError>>;
};

type CheckUrl = (url: string) => string | null;

const PATCH_TRIES = 5;

/** @param checkUrl says what is wrong with a `token_url`, or null */
export function createSecrets({ sql }: Database, vault: Vault, checkUrl: CheckUrl = () => null): Secrets {
  async function create(body: unknown): Promise<Secret> {
    const checked = parse(secretBody, body);
    requireTokenUrl(checked, checkUrl);
    const id = await store.newSecretId(sql);
    const sealed = await sealValue(vault, id, checked);
    const row = await store.insertSecret(sql, { id, name: checked.name, kind: checked.kind, sealed });
    if (!row) throw nameTaken(checked.name);
    return show(row);
  }

  async function list(page: { limit: number; cursor?: string | undefined }) {
    const after = page.cursor === undefined ? null : parseId("secret", page.cursor);
    if (page.cursor !== undefined && !after) throw badCursor();
    const rows = await store.listSecrets(sql, after, page.limit + 1);
    const data = rows.slice(0, page.limit).map(show);
    return { data, next: rows.length > page.limit ? (data.at(-1)?.id ?? null) : null };
  }

  async function get(id: string): Promise<Secret> {
    return show(await find(id));
  }

  async function patch(id: string, changes: SecretPatch): Promise<Secret> {
    for (let tried = 0; tried < PATCH_TRIES; tried++) {
      const row = await find(id);
      const updated = await applyPatch(row, changes);
      if (updated) return show(updated);
    }
    throw new AppError("conflict", "The secret is being changed by others at the same time; try again.");
  }

  async function applyPatch(row: store.SecretRow, changes: SecretPatch): Promise<store.SecretRow | undefined> {
    const { id, revision } = row;
    const name = changes.name ?? row.name;
    const kind = changes.kind ?? row.kind;
    const keepsValue = changes.value === undefined && kind === row.kind;
    try {
      if (keepsValue) return await store.updateSecret(sql, { id, revision, name, kind, sealed: null });
      const value = kind === row.kind ? await mergedValue(id, changes.value) : changes.value;
      const checked = parse(secretBody, { name, kind, value });
      requireTokenUrl(checked, checkUrl);
      const sealed = await sealValue(vault, id, checked);
      return await store.updateSecret(sql, { id, revision, name: checked.name, kind, sealed });
    } catch (error) {
      if ((error as { code?: unknown }).code === UNIQUE_VIOLATION) throw nameTaken(name);
      throw error;
    }
  }

  /** A damaged value is no obstacle to entering it anew: then the patch has to be complete. */
  async function mergedValue(id: string, change: unknown): Promise<unknown> {
    if (typeof change === "string") return change;
    const [row] = await store.findSealed(sql, [id]);
    const current = row ? await openValue(vault, row).catch(ignoreAppError) : undefined;
    return mergePatch(current, change);
  }

  async function remove(id: string): Promise<void> {
    const uuid = uuidOf(id);
    await sql.begin(async (transaction) => {
      const found = await store.lockSecret(transaction, uuid);
      if (!found) throw notFound(id);
      if (found.total > 0) throw inUse(found);
      await store.deleteSecret(transaction, uuid);
    });
  }

  async function find(id: string): Promise<store.SecretRow> {
    const row = await store.findSecret(sql, uuidOf(id));
    if (!row) throw notFound(id);
    return row;
  }

  async function openCredential(secretId: string): Promise<Credential> {
    const opened = (await openSecrets([secretId])).get(secretId);
    if (!opened) throw notFound(publicId("secret", secretId));
    if (opened instanceof AppError) throw opened;
    return opened.credential;
  }

  async function openSecrets(secretIds: readonly string[]): Promise<Map<string, OpenedSecret | AppError>> {
    const rows = secretIds.length === 0 ? [] : await store.findSealed(sql, [...new Set(secretIds)]);
    return new Map(await Promise.all(rows.map(async (row) => [row.id, await openRow(row)] as const)));
  }

  async function openRow(row: store.SealedSecret): Promise<OpenedSecret | AppError> {
    try {
      const value = await openValue(vault, row);
      return { id: row.id, revision: row.revision, credential: toCredential({ kind: row.kind, value } as SecretBody) };
    } catch (error) {
      if (error instanceof AppError) return error;
      throw error;
    }
  }

  return { create, list, get, patch, delete: remove, openCredential, openSecrets };
}

const UNIQUE_VIOLATION = "23505";

function sealValue(vault: Vault, id: string, body: SecretBody): Promise<string> {
  return vault.seal(`secret:${body.kind}`, id, JSON.stringify(body.value));
}

async function openValue(vault: Vault, row: store.SealedSecret): Promise<unknown> {
  return JSON.parse(await vault.open(`secret:${row.kind}`, row.id, row.sealed));
}

function show(row: store.SecretRow): Secret {
  return {
    id: publicId("secret", row.id),
    name: row.name,
    kind: row.kind,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

function parse<T>(schema: z.ZodType<T>, input: unknown): T {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const faults = result.error.issues.flatMap(faultsOf);
  const first = faults[0];
  throw new AppError("invalid", `The secret is not valid: ${first?.pointer} ${first?.message}.`, { faults });
}

function requireTokenUrl(body: SecretBody, checkUrl: CheckUrl): void {
  if (body.kind !== "oauth2_client_credentials") return;
  const fault = checkUrl(body.value.token_url);
  if (fault) throw new AppError("invalid", fault, { faults: [{ pointer: "/value/token_url", message: fault }] });
}

/** Zod's own messages name the expected type, never the value found. */
function faultsOf(issue: z.core.$ZodIssue): FieldFault[] {
  const at = issue.path.map((part) => `/${String(part).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
  if (issue.code !== "unrecognized_keys") return [{ pointer: at, message: issue.message }];
  return issue.keys.map((key) => ({ pointer: `${at}/${key}`, message: "there is no such property; remove it" }));
}

function ignoreAppError(error: unknown): undefined {
  if (!(error instanceof AppError)) throw error;
}

function uuidOf(id: string): string {
  const uuid = parseId("secret", id);
  if (!uuid) throw notFound(id);
  return uuid;
}

function notFound(id: string): AppError {
  return new AppError("not_found", `There is no secret ${id.slice(0, 64)}; GET /v1/secrets lists them.`);
}

function nameTaken(name: string): AppError {
  const message = `Another secret is already named "${name}"; choose another name.`;
  return new AppError("conflict", message, { faults: [{ pointer: "/name", message }] });
}

function inUse({ users, total }: { users: { kind: string; name: string }[]; total: number }): AppError {
  const names = users.map((user) => `${user.kind} "${user.name}"`).join(", ");
  const more = total > users.length ? ` and ${total - users.length} more` : "";
  return new AppError("conflict", `The secret is used by ${names}${more}. Give them another secret or none first.`);
}

function badCursor(): AppError {
  const message = "The cursor is not one that this list gave out; leave it out to start from the newest.";
  return new AppError("invalid", message, { faults: [{ pointer: "/cursor", message }] });
}
