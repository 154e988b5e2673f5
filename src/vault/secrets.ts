import type { z } from "zod";
import type { Database } from "../platform/database.ts";
import { AppError, type FieldFault } from "../platform/errors.ts";
import { boundFault, isWithin } from "../platform/host_patterns.ts";
import { parseId, publicId } from "../platform/ids.ts";
import { mergePatch } from "../platform/merge_patch.ts";
import type { Witness } from "../platform/witness.ts";
import type { Credential } from "./credentials.ts";
import {
  replacesSecret,
  type SecretBody,
  type SecretKind,
  type SecretPatch,
  secretBody,
  toCredential,
} from "./secret_shapes.ts";
import * as store from "./store.ts";
import type { Vault } from "./vault.ts";

/** A secret as the API shows it: never its value. */
export type Secret = {
  id: string;
  name: string;
  kind: SecretKind;
  /** The only hosts that it may go to; null: any. */
  hosts: string[] | null;
  created_at: string;
  updated_at: string;
};

/** A secret opened for one request. */
export type OpenedSecret = { id: string; revision: number; credential: Credential };

/**
 * The resource `/v1/secrets` takes and gives public ids (`sec_…`); what opens a value takes the UUID that the rows of
 * watches and endpoints carry, and is for the poll or delivery in hand only.
 */
export type Secrets = {
  create(body: unknown, witness?: Witness<Secret>): Promise<Secret>;
  list(page: { limit: number; cursor?: string | undefined }): Promise<{ data: Secret[]; next: string | null }>;
  get(id: string): Promise<Secret>;
  /**
   * RFC 7396. A member of `value` alone may be changed, e.g. `{value: {client_secret: "…"}}`. More `hosts` than before are for
   * those who `mayWiden`, or who give the secret itself anew. @throws AppError (403) for anybody else.
   */
  patch(id: string, patch: SecretPatch, witness?: Witness<Secret>, mayWiden?: boolean): Promise<Secret>;
  /** @throws AppError (409) naming the watches and endpoints that use it. */
  delete(id: string, witness?: Witness): Promise<void>;
  /** @throws AppError when there is no such secret or it cannot be opened. */
  openCredential(secretId: string): Promise<Credential>;
  /** Many with one query; each that cannot be opened is its own `AppError`. */
  openSecrets(secretIds: readonly string[]): Promise<Map<string, OpenedSecret | AppError>>;
};

type CheckUrl = (url: string) => string | null;

const PATCH_TRIES = 5;

/** @param checkUrl says what is wrong with a `token_url`, or null */
export function createSecrets({ sql }: Database, vault: Vault, checkUrl: CheckUrl = () => null): Secrets {
  async function create(body: unknown, witness?: Witness<Secret>): Promise<Secret> {
    const checked = parse(secretBody, body);
    requireTokenUrl(checked, checkUrl);
    const { name, kind, hosts = null } = checked;
    const id = await store.newSecretId(sql);
    const sealed = await sealValue(vault, id, checked);
    return sql.begin(async (transaction) => {
      const row = await store.insertSecret(transaction, { id, name, kind, hosts, sealed });
      if (!row) throw nameTaken(name);
      await witness?.(transaction, show(row));
      return show(row);
    });
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

  async function patch(id: string, changes: SecretPatch, witness?: Witness<Secret>, mayWiden = false) {
    for (let tried = 0; tried < PATCH_TRIES; tried++) {
      const row = await find(id);
      if (!mayWiden) refuseWidening(row, changes);
      const updated = await applyPatch(row, changes, witness);
      if (updated) return show(updated);
    }
    throw new AppError("conflict", "The secret is being changed by others at the same time; try again.");
  }

  async function applyPatch(row: store.SecretRow, changes: SecretPatch, witness?: Witness<Secret>) {
    const { id, revision } = row;
    const name = changes.name ?? row.name;
    const kind = changes.kind ?? row.kind;
    const hosts = changes.hosts === undefined ? row.hosts : changes.hosts;
    // A bound OAuth2 client is opened, to see whether its token_url lies within.
    const isOpened = changes.hosts != null && kind === "oauth2_client_credentials";
    const keepsValue = changes.value === undefined && kind === row.kind && !isOpened;
    try {
      if (keepsValue) return await update({ id, revision, name, kind, hosts, sealed: null }, witness);
      const value = kind === row.kind ? await mergedValue(id, changes.value ?? {}) : changes.value;
      const checked = parse(secretBody, { name, kind, value, hosts });
      requireTokenUrl(checked, checkUrl);
      const sealed = await sealValue(vault, id, checked);
      return await update({ id, revision, name: checked.name, kind, hosts, sealed }, witness);
    } catch (error) {
      if ((error as { code?: unknown }).code === UNIQUE_VIOLATION) throw nameTaken(name);
      throw error;
    }
  }

  function update(secret: store.SecretChange, witness?: Witness<Secret>): Promise<store.SecretRow | undefined> {
    return sql.begin(async (transaction) => {
      const row = await store.updateSecret(transaction, secret);
      if (row) await witness?.(transaction, show(row));
      return row;
    });
  }

  /** A damaged value is no obstacle to entering it anew: then the patch has to be complete. */
  async function mergedValue(id: string, change: unknown): Promise<unknown> {
    if (typeof change === "string") return change;
    const [row] = await store.findSealed(sql, [id]);
    const current = row ? await openValue(vault, row).catch(ignoreAppError) : undefined;
    return mergePatch(current, change);
  }

  async function remove(id: string, witness?: Witness): Promise<void> {
    const uuid = uuidOf(id);
    await sql.begin(async (transaction) => {
      const found = await store.lockSecret(transaction, uuid);
      if (!found) throw notFound(id);
      if (found.total > 0) throw inUse(found);
      await store.deleteSecret(transaction, uuid);
      await witness?.(transaction, { id });
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
      const credential = toCredential({ kind: row.kind, value, hosts: row.hosts } as SecretBody);
      return { id: row.id, revision: row.revision, credential };
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
    hosts: row.hosts,
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
  const fault = checkUrl(body.value.token_url) ?? boundFault(body.hosts ?? null, body.value.token_url);
  if (fault) throw new AppError("invalid", fault, { faults: [{ pointer: "/value/token_url", message: fault }] });
}

function refuseWidening({ kind, hosts }: store.SecretRow, changes: SecretPatch): void {
  if (changes.hosts === undefined || isWithin(hosts, changes.hosts)) return;
  if (replacesSecret(changes.kind ?? kind, changes.value)) return;
  const message =
    "Only an admin may let a secret go to more hosts; or give its value anew, with the hosts that you want.";
  throw new AppError("forbidden", message, { faults: [{ pointer: "/hosts", message }] });
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
