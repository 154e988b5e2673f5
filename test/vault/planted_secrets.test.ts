import { afterAll, beforeAll, expect, test } from "bun:test";
import { audit } from "../../src/identity/audit.ts";
import { createIdentity } from "../../src/identity/identity.ts";
import { changePassword, signIn } from "../../src/identity/login.ts";
import { parseAllowedNetworks } from "../../src/platform/addresses.ts";
import type { AppError } from "../../src/platform/errors.ts";
import { parseId } from "../../src/platform/ids.ts";
import { createOutbound } from "../../src/platform/outbound.ts";
import { sealHeaders } from "../../src/vault/headers.ts";
import { createOAuthTokens } from "../../src/vault/oauth.ts";
import { createSecrets, type OpenedSecret } from "../../src/vault/secrets.ts";
import { createVault } from "../../src/vault/vault.ts";
import { testDatabase } from "../support/database.ts";

const MARKER = "planted-5f1c9a";
let db: Awaited<ReturnType<typeof testDatabase>>;
beforeAll(async () => {
  db = await testDatabase();
});
afterAll(() => db.drop());

/** Every column of every table of ours as text. */
async function dump(): Promise<string> {
  const { sql } = db.database;
  const tables = await sql<{ name: string }[]>`
    select quote_ident(table_schema) || '.' || quote_ident(table_name) as name from information_schema.tables
    where table_schema in ('deltahook', 'deltahook_queue') and table_type = 'BASE TABLE'`;
  const parts: string[] = [];
  for (const { name } of tables) {
    const rows = await sql.unsafe<{ row: string }[]>(`select t::text as row from ${name} t`);
    parts.push(...rows.map(({ row }) => `${name} ${row}`));
  }
  return parts.join("\n");
}

/** The marker as it is, in hexadecimal (bytea) and in Base64 at any offset. */
function spellings(text: string): string[] {
  const base64 = [0, 1, 2].map((offset) =>
    Buffer.from("x".repeat(offset) + text)
      .toString("base64")
      .slice(4, -4),
  );
  return [text, Buffer.from(text).toString("hex"), ...base64];
}

test("secrets planted through every door stand readable in no table, answer or error", async () => {
  const { database } = db;
  const told: unknown[] = [];
  const vault = createVault({ masterKey: `a master key of enough characters ${MARKER}` });
  const secrets = createSecrets(database, vault);
  const identity = createIdentity({ database, jwtSecret: `a jwt secret of enough characters ${MARKER}`, https: true });
  const tell = async (work: Promise<unknown>) =>
    told.push(await work.catch((error: AppError) => [error.message, error.faults]));

  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: async (request) =>
      request.url.endsWith("/ok")
        ? Response.json({ access_token: `${MARKER}-token`, token_type: "bearer", expires_in: 60 })
        : new Response(`no ${await request.text()} ${request.headers.get("authorization")}`, { status: 401 }),
  });
  const client = (path: string) => ({
    token_url: `http://127.0.0.1:${server.port}/${path}`,
    client_id: "id",
    client_secret: `${MARKER}-client`,
  });
  const bodies = [
    { name: "1", kind: "bearer", value: `${MARKER}-bearer` },
    { name: "2", kind: "basic", value: { username: "u", password: `${MARKER}-basic` } },
    { name: "3", kind: "header", value: { name: "x-key", value: `${MARKER}-header` } },
    { name: "4", kind: "query", value: { name: "key", value: `${MARKER}-query` } },
    { name: "5", kind: "oauth2_client_credentials", value: client("ok") },
    { name: "6", kind: "oauth2_client_credentials", value: client("refused") },
    { name: "7", kind: "basic", value: { username: "u", pass: `${MARKER}-misspelt` } },
    { name: "8", kind: "bearer", value: `${MARKER}\n` },
  ];
  const outbound = createOutbound({ allowedNetworks: parseAllowedNetworks(["127.0.0.1/32"]) });
  const tokens = createOAuthTokens({ database, vault, outbound });
  try {
    for (const body of bodies) await tell(secrets.create(body));
    await tell(secrets.list({ limit: 50 }));
    const rows = await database.sql<{ id: string }[]>`select id from deltahook.secrets`;
    for (const opened of (await secrets.openSecrets(rows.map((row) => row.id))).values()) {
      const ready = tokens.ready(opened as OpenedSecret);
      await tell(ready.then(() => "ready"));
    }
    expect(await database.sql`select 1 from deltahook.oauth_tokens`).toHaveLength(1);
  } finally {
    await server.stop(true);
  }

  const headers = await sealHeaders(vault, "watch-1", { "x-api-key": `${MARKER}-stored` });
  await database.sql`insert into deltahook.watches (name, definition, host)
    values ('w', ${database.sql.json({ request: { headers } })}, 'h')`;

  const password = `${MARKER} password`;
  const user = await identity.users.create({ email: "ada@example.com", name: "Ada", role: "admin", password });
  const login = { email: "ada@example.com", password, address: "192.0.2.1" };
  await tell(signIn(database, login));
  await tell(signIn(database, { ...login, password: `${password} wrong` }));
  const id = parseId("user", user.id) ?? "";
  const session = await identity.sessions.start(id, { address: "192.0.2.1" });
  const { token } = await identity.loginTokens.issue(id);
  const who = { kind: "user", id, name: "Ada", role: "admin" } as const;
  const { key, ...shown } = await identity.apiKeys.create(who, {
    name: "k",
    role: "admin",
    expires_at: null,
    rate_limit: null,
  });
  told.push(user, shown);
  await identity.loginTokens.revoke(token);
  const change = { old_password: password, new_password: `${MARKER} another`, address: "192.0.2.1" };
  await tell(changePassword(database, who, change));
  const detail = { password, value: bodies[1]?.value };
  await audit(database.sql, { actor: who, action: "create", resource: { kind: "secret" }, detail });

  const everything = (await dump()) + JSON.stringify(told);
  expect(everything).toContain("deltahook.secrets");
  expect(everything).toContain("ada@example.com");
  for (const planted of [MARKER, session, token, key]) {
    for (const spelling of spellings(planted)) expect(everything).not.toContain(spelling);
  }
});
