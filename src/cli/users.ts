import { audit } from "../identity/audit.ts";
import type { Role } from "../identity/principal.ts";
import { createUsers, type User } from "../identity/users.ts";
import type { Witness } from "../platform/witness.ts";
import { answer, table } from "./answer.ts";
import { withDatabase } from "./opened.ts";
import { choosePassword, type PasswordOptions } from "./password.ts";

const PAGE = 200;

/** Adds a person with the password typed, piped or generated. */
export async function addUser(
  email: string,
  options: PasswordOptions & { role: Role; name: string; json?: boolean },
): Promise<void> {
  const { password, generated } = await choosePassword(options);
  await withDatabase(
    async (opened) => {
      const { role, name } = options;
      const user = await createUsers(opened.database).create({ email, role, name, password }, witness("create"));
      tellPassword(user, `Added ${user.email} as ${user.role}.`, generated, options.json);
    },
    { create: true },
  );
}

/** Sets a password, lets a disabled account in again and ends its sessions. */
export async function resetPassword(email: string, options: PasswordOptions & { json?: boolean }): Promise<void> {
  const { password, generated } = await choosePassword(options);
  await withDatabase(async (opened) => {
    const user = await createUsers(opened.database).resetPassword(email, password, witness("reset_password"));
    tellPassword(user, `${user.email} has a new password; all earlier sessions have ended.`, generated, options.json);
  });
}

/** Lists all people, the newest first. */
export async function listUsers(options: { json?: boolean }): Promise<void> {
  await withDatabase(async ({ database }) => {
    const people = await allUsers(createUsers(database));
    const rows = people.map(({ id, email, name, role, disabled }) => [
      email,
      disabled ? `${role}, disabled` : role,
      id,
      name,
    ]);
    const words =
      rows.length === 0
        ? "Nobody yet: `deltahook users add` adds a person."
        : table(["email", "role", "id", "name"], rows);
    answer(options.json, people, words);
  });
}

async function allUsers(users: ReturnType<typeof createUsers>): Promise<User[]> {
  const all: User[] = [];
  let cursor: string | null = null;
  do {
    const page = await users.list({ limit: PAGE, ...(cursor === null ? {} : { cursor }) });
    all.push(...page.data);
    cursor = page.next;
  } while (cursor !== null);
  return all;
}

function witness(action: string): Witness<User> {
  return (tx, { id, email, role }) =>
    audit(tx, { actor: "cli", action, resource: { kind: "user", id }, detail: { email, role } });
}

function tellPassword(user: User, words: string, generated: string | null, json: boolean | undefined): void {
  const shown = generated === null ? user : { ...user, password: generated };
  answer(json, shown, generated === null ? words : `${words}\nPassword, shown this once: ${generated}`);
}
