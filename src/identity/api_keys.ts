import { z } from "zod";
import type { Database } from "../platform/database.ts";
import { formatDuration, parseDuration } from "../platform/durations.ts";
import { AppError } from "../platform/errors.ts";
import { parseId, publicId } from "../platform/ids.ts";
import type { Witness } from "../platform/witness.ts";
import { type Page, type PageRequest, readPage } from "./page.ts";
import { atLeast, type Principal, type RateLimit, ROLES, type Role } from "./principal.ts";
import * as store from "./store/api_keys.ts";
import { line } from "./text.ts";
import { hashToken, newToken } from "./token.ts";

export const API_KEY_PREFIX = "dhk_";

/** An API key as the API shows it; the key itself is in the answer to its creation only. */
export type ApiKey = {
  id: string;
  name: string;
  role: Role;
  hint: string;
  rate_limit: { max: number; per: string } | null;
  created_by: string | null;
  created_at: string;
  expires_at: string | null;
  last_used_at: string | null;
};

const name = line(100).min(1, "write at least one character");
const rateLimit = z
  .strictObject({ max: z.int().min(1).max(1_000_000), per: z.union([z.string(), z.number()]) })
  .transform((limit, context): RateLimit => {
    const perMs = parseDuration(limit.per);
    if (perMs !== null && perMs >= 100 && perMs <= 86_400_000) return { max: limit.max, perMs };
    context.addIssue({ code: "custom", path: ["per"], message: "write a duration from 100ms to 1d, such as 1s" });
    return z.NEVER;
  });
const expiry = z.iso.datetime({ offset: true, error: "write an RFC 3339 time such as 2027-01-31T12:00:00Z" });

export const apiKeyBody = z.strictObject({
  name,
  role: z.enum(ROLES),
  expires_at: expiry.nullable().default(null),
  rate_limit: rateLimit.nullable().default(null),
});
export type ApiKeyBody = z.infer<typeof apiKeyBody>;

export const apiKeyPatch = z.strictObject({
  name: name.optional(),
  role: z.enum(ROLES).optional(),
  expires_at: expiry.nullable().optional(),
  rate_limit: rateLimit.nullable().optional(),
});
export type ApiKeyPatch = z.infer<typeof apiKeyPatch>;

/** Takes and gives public ids (`key_…`). `by` is who asks; "cli" may do everything. */
export type ApiKeys = {
  /** @throws AppError (403) for a role above the creator's own. */
  create(
    by: Principal | "cli",
    body: ApiKeyBody,
    witness?: Witness<ApiKey>,
    now?: Date,
  ): Promise<ApiKey & { key: string }>;
  list(page: PageRequest): Promise<Page<ApiKey>>;
  get(id: string): Promise<ApiKey>;
  patch(by: Principal | "cli", id: string, patch: ApiKeyPatch, witness?: Witness<ApiKey>, now?: Date): Promise<ApiKey>;
  /** Works at once on this node, and within 5 s on all others. */
  delete(by: Principal | "cli", id: string, witness?: Witness): Promise<void>;
  /** Who a key belongs to. Kept for 5 s, so that thousands of requests a second cost one query. */
  find(key: string, now?: Date): Promise<Principal | "expired" | "unknown">;
};

const CACHE_MS = 5_000;
const CACHE_SIZE = 10_000;
const USED_EVERY_MS = 60_000;

type CachedKey = { at: number; row: Promise<store.ApiKeyRow | undefined> };

export function createApiKeys({ sql }: Database): ApiKeys {
  const cache = new Map<string, CachedKey>();

  async function create(by: Principal | "cli", body: ApiKeyBody, witness?: Witness<ApiKey>, now = new Date()) {
    refuseHigherRole(by, body.role);
    const key = newToken(API_KEY_PREFIX);
    const made = {
      name: body.name,
      role: body.role,
      hash: hashToken(key),
      hint: key.slice(0, API_KEY_PREFIX.length + 4),
      rateLimit: body.rate_limit,
      createdBy: by !== "cli" && by.kind === "user" ? by.id : null,
      expiresAt: parseExpiry(body.expires_at, now),
    };
    return sql.begin(async (transaction) => {
      const [shown] = (await store.insertApiKey(transaction, made)).map(show);
      if (!shown) throw new Error("an insert returned no row");
      await witness?.(transaction, shown);
      return { ...shown, key };
    });
  }

  function list(page: PageRequest) {
    return readPage("apiKey", page, (after, limit) => store.listApiKeys(sql, after, limit), show);
  }

  async function patch(
    by: Principal | "cli",
    id: string,
    changes: ApiKeyPatch,
    witness?: Witness<ApiKey>,
    now = new Date(),
  ): Promise<ApiKey> {
    const row = await load(id);
    refuseHigherRole(by, row.role);
    refuseHigherRole(by, changes.role ?? row.role);
    const changed = {
      id: row.id,
      name: changes.name ?? row.name,
      role: changes.role ?? row.role,
      rateLimit: changes.rate_limit === undefined ? row.rate_limit : changes.rate_limit,
      expiresAt: changes.expires_at === undefined ? row.expires_at : parseExpiry(changes.expires_at, now),
    };
    const shown = await sql.begin(async (transaction) => {
      const updated = await store.updateApiKey(transaction, changed);
      if (!updated) throw notFound(id);
      await witness?.(transaction, show(updated));
      return show(updated);
    });
    cache.clear();
    return shown;
  }

  async function remove(by: Principal | "cli", id: string, witness?: Witness): Promise<void> {
    const row = await load(id);
    refuseHigherRole(by, row.role);
    await sql.begin(async (transaction) => {
      if (!(await store.deleteApiKey(transaction, row.id))) throw notFound(id);
      await witness?.(transaction, { id });
    });
    cache.clear();
  }

  async function find(key: string, now = new Date()): Promise<Principal | "expired" | "unknown"> {
    const row = await lookUp(hashToken(key), now);
    if (!row) return "unknown";
    if (row.expires_at && row.expires_at <= now) return "expired";
    const principal = { kind: "api_key" as const, id: row.id, name: row.name, role: row.role };
    return row.rate_limit ? { ...principal, rateLimit: row.rate_limit } : principal;
  }

  /** One query for all who ask at the same moment; a key that is not there is not kept, or strangers could fill the map. */
  function lookUp(hash: Buffer, now: Date): Promise<store.ApiKeyRow | undefined> {
    const id = hash.toString("base64");
    const known = cache.get(id);
    if (known && Math.abs(now.getTime() - known.at) < CACHE_MS) return known.row;
    const entry: CachedKey = { at: now.getTime(), row: readAndTouch(hash, now) };
    const forget = () => cache.get(id) === entry && cache.delete(id);
    entry.row.then((row) => row ?? forget(), forget);
    cache.delete(id);
    if (cache.size >= CACHE_SIZE) cache.delete(cache.keys().next().value ?? "");
    cache.set(id, entry);
    return entry.row;
  }

  async function readAndTouch(hash: Buffer, now: Date): Promise<store.ApiKeyRow | undefined> {
    const row = await store.findApiKeyByHash(sql, hash);
    const usedMs = row?.last_used_at?.getTime() ?? 0;
    const live = row && (!row.expires_at || row.expires_at > now);
    if (live && now.getTime() - usedMs >= USED_EVERY_MS) await store.touchApiKey(sql, row.id, now);
    return row;
  }

  async function load(id: string): Promise<store.ApiKeyRow> {
    const uuid = parseId("apiKey", id);
    const row = uuid ? await store.findApiKey(sql, uuid) : undefined;
    if (!row) throw notFound(id);
    return row;
  }

  return { create, list, get: async (id) => show(await load(id)), patch, delete: remove, find };
}

function show(row: store.ApiKeyRow): ApiKey {
  return {
    id: publicId("apiKey", row.id),
    name: row.name,
    role: row.role,
    hint: row.hint,
    rate_limit: row.rate_limit && { max: row.rate_limit.max, per: formatDuration(row.rate_limit.perMs) },
    created_by: row.created_by && publicId("user", row.created_by),
    created_at: row.created_at.toISOString(),
    expires_at: row.expires_at?.toISOString() ?? null,
    last_used_at: row.last_used_at?.toISOString() ?? null,
  };
}

function refuseHigherRole(by: Principal | "cli", role: Role): void {
  if (by === "cli" || (by.kind !== "nobody" && atLeast(by.role, role))) return;
  const own = by.kind === "nobody" ? "nobody" : by.role;
  throw new AppError("forbidden", `A key of the role ${role} is beyond your own role, ${own}; ask an admin.`);
}

function parseExpiry(text: string | null, now: Date): Date | null {
  if (text === null) return null;
  const at = new Date(text);
  if (at > now) return at;
  const message = "The expiry lies in the past; write a later time, or null for a key that does not expire.";
  throw new AppError("invalid", message, { faults: [{ pointer: "/expires_at", message }] });
}

function notFound(id: string): AppError {
  return new AppError("not_found", `There is no API key ${id.slice(0, 64)}; GET /v1/api-keys lists them.`);
}
