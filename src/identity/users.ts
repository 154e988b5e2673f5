import { z } from "zod";
import type { Database, Transaction } from "../platform/database.ts";
import { AppError } from "../platform/errors.ts";
import { parseId, publicId } from "../platform/ids.ts";
import type { Witness } from "../platform/witness.ts";
import { type Page, type PageRequest, readPage } from "./page.ts";
import { hashPassword, passwordFault } from "./passwords.ts";
import { ROLES, type Role } from "./principal.ts";
import * as store from "./store/users.ts";
import { line } from "./text.ts";

/** A person as the API shows them. */
export type User = {
  id: string;
  email: string;
  name: string;
  role: Role;
  disabled: boolean;
  created_at: string;
  updated_at: string;
};

const email = line(254)
  .regex(/^[^\s@"(),:;<>[\]\\]+@[^\s@.]+(\.[^\s@.]+)*$/, "write an email address such as ada@example.com")
  .toLowerCase();
const name = line(100);
const password = z.string().max(1024);

export const userBody = z.strictObject({
  email,
  name: name.default(""),
  role: z.enum(ROLES),
  password,
});
export type UserBody = z.infer<typeof userBody>;

/** RFC 7396: null restores the default. A password set by an admin ends all sessions of that person. */
export const userPatch = z.strictObject({
  email: email.optional(),
  name: name.nullable().optional(),
  role: z.enum(ROLES).optional(),
  disabled: z.boolean().nullable().optional(),
  password: password.optional(),
});
export type UserPatch = z.infer<typeof userPatch>;

/** Takes and gives public ids (`usr_…`). */
export type Users = {
  create(body: UserBody, witness?: Witness<User>): Promise<User>;
  list(page: PageRequest): Promise<Page<User>>;
  get(id: string): Promise<User>;
  /** Disabling and a new password end all sessions and login tokens. @throws AppError (409) for the last admin. */
  patch(id: string, patch: UserPatch, witness?: Witness<User>): Promise<User>;
  /** @throws AppError (409) for the last admin. */
  delete(id: string, witness?: Witness): Promise<void>;
  /** For the command line: sets a password by email address, and lets a disabled account in again. */
  resetPassword(email: string, password: string, witness?: Witness<User>): Promise<User>;
};

export function createUsers({ sql }: Database): Users {
  async function create(body: UserBody, witness?: Witness<User>): Promise<User> {
    const address = parseEmail(body.email);
    const hash = await checkedHash(body.password, "/password", address);
    return sql.begin(async (transaction) => {
      const made = show(await insertWithPassword(transaction, { ...body, email: address }, hash));
      await witness?.(transaction, made);
      return made;
    });
  }

  function list(page: PageRequest) {
    return readPage("user", page, (after, limit) => store.listUsers(sql, after, limit), show);
  }

  async function get(id: string): Promise<User> {
    return show(await find(id));
  }

  async function patch(id: string, changes: UserPatch, witness?: Witness<User>): Promise<User> {
    const known = await find(id);
    const address = changes.email ?? known.email;
    const hash = changes.password === undefined ? null : await checkedHash(changes.password, "/password", address);
    try {
      return await sql.begin(async (transaction) => {
        const changed = show(await applyPatch(transaction, known.id, changes, hash));
        await witness?.(transaction, changed);
        return changed;
      });
    } catch (error) {
      if ((error as { code?: unknown }).code === UNIQUE_VIOLATION) throw emailTaken(address);
      throw error;
    }
  }

  async function applyPatch(transaction: Transaction, id: string, changes: UserPatch, hash: string | null) {
    const admins = await store.lockAdmins(transaction);
    const row = await store.lockUser(transaction, id);
    if (!row) throw notFound(publicId("user", id));
    const role = changes.role ?? row.role;
    const disabled = changes.disabled === undefined ? row.disabled_at !== null : changes.disabled === true;
    if (role !== "admin" || disabled) refuseLastAdmin(admins, id, disabled ? "disabled" : "given a lesser role");
    if (hash !== null) await store.saveHash(transaction, id, hash);
    if (hash !== null || (disabled && row.disabled_at === null)) await store.endLogins(transaction, id);
    const address = changes.email === undefined ? row.email : parseEmail(changes.email);
    const newName = changes.name === undefined ? row.name : (changes.name ?? "");
    const updated = await store.updateUser(transaction, { id, email: address, name: newName, role, disabled });
    if (!updated) throw notFound(publicId("user", id));
    return updated;
  }

  async function remove(id: string, witness?: Witness): Promise<void> {
    const uuid = uuidOf(id);
    await sql.begin(async (transaction) => {
      const admins = await store.lockAdmins(transaction);
      if (!(await store.lockUser(transaction, uuid))) throw notFound(id);
      refuseLastAdmin(admins, uuid, "deleted");
      await store.deleteUser(transaction, uuid);
      await witness?.(transaction, { id });
    });
  }

  async function find(id: string): Promise<store.UserRow> {
    const row = await store.findUser(sql, uuidOf(id));
    if (!row) throw notFound(id);
    return row;
  }

  async function resetPassword(address: string, newPassword: string, witness?: Witness<User>): Promise<User> {
    const row = await store.findUserByEmail(sql, parseEmail(address));
    if (!row)
      throw new AppError("not_found", `No user has the address ${address}; \`deltahook users add\` creates one.`);
    return patch(publicId("user", row.id), { password: newPassword, disabled: false }, witness);
  }

  return { create, list, get, patch, delete: remove, resetPassword };
}

/** For `create` and the first admin. @throws AppError (409) when the address is taken. */
export async function insertWithPassword(
  transaction: Transaction,
  user: { email: string; name: string; role: Role },
  hash: string,
): Promise<store.UserRow> {
  const row = await store.insertUser(transaction, user);
  if (!row) throw emailTaken(user.email);
  await store.saveHash(transaction, row.id, hash);
  return row;
}

/** Trimmed and in lower case. @throws AppError (422). */
export function parseEmail(input: string, pointer = "/email"): string {
  const result = email.safeParse(input);
  if (result.success) return result.data;
  const message = "Write an email address such as ada@example.com.";
  throw new AppError("invalid", message, { faults: [{ pointer, message }] });
}

/** @throws AppError (422) when the password breaks a rule. */
export async function checkedHash(newPassword: string, pointer: string, address?: string): Promise<string> {
  const fault = await passwordFault(newPassword, address);
  if (fault) {
    throw new AppError("invalid", `The password cannot be used: ${fault}.`, { faults: [{ pointer, message: fault }] });
  }
  return hashPassword(newPassword);
}

export function show(row: store.UserRow): User {
  return {
    id: publicId("user", row.id),
    email: row.email,
    name: row.name,
    role: row.role,
    disabled: row.disabled_at !== null,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  };
}

const UNIQUE_VIOLATION = "23505";

function refuseLastAdmin(admins: readonly string[], id: string, what: string): void {
  if (admins.length !== 1 || admins[0] !== id) return;
  throw new AppError("conflict", `The last admin cannot be ${what}; make somebody else admin first.`);
}

function uuidOf(id: string): string {
  const uuid = parseId("user", id);
  if (!uuid) throw notFound(id);
  return uuid;
}

function notFound(id: string): AppError {
  return new AppError("not_found", `There is no user ${id.slice(0, 64)}; GET /v1/users lists them.`);
}

function emailTaken(address: string): AppError {
  const message = `Another user has the address ${address}; use another one.`;
  return new AppError("conflict", message, { faults: [{ pointer: "/email", message }] });
}
