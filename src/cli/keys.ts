import { apiKeyBody, createApiKeys } from "../identity/api_keys.ts";
import { audit } from "../identity/audit.ts";
import type { Role } from "../identity/principal.ts";
import { parseDuration } from "../platform/durations.ts";
import { answer } from "./answer.ts";
import { usage } from "./failure.ts";
import { withDatabase } from "./opened.ts";

/** Makes an API key and prints it this once. */
export async function createKey(
  name: string,
  options: { role: Role; expiresIn?: string; json?: boolean },
): Promise<void> {
  const expiresAt = options.expiresIn === undefined ? null : expiry(options.expiresIn, Date.now());
  const { success, data: body, error } = apiKeyBody.safeParse({ name, role: options.role, expires_at: expiresAt });
  if (!success) throw usage(`${error.issues[0]?.path.join(".")}: ${error.issues[0]?.message}`);
  await withDatabase(
    async ({ database }) => {
      const made = await createApiKeys(database).create("cli", body, (tx, { id, role }) =>
        audit(tx, { actor: "cli", action: "create", resource: { kind: "api_key", id }, detail: { name, role } }),
      );
      answer(options.json, made, made.key);
    },
    { create: true },
  );
}

function expiry(text: string, now: number): string {
  const ms = parseDuration(text);
  if (ms === null || ms === 0) throw usage(`--expires-in ${text}: write a duration such as 90d.`);
  return new Date(now + ms).toISOString();
}
