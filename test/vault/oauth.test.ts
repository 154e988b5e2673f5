import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { parseAllowedNetworks } from "../../src/platform/addresses.ts";
import { AppError } from "../../src/platform/errors.ts";
import { createOutbound } from "../../src/platform/outbound.ts";
import { createOAuthTokens, TokenRefused } from "../../src/vault/oauth.ts";
import { createSecrets, type OpenedSecret } from "../../src/vault/secrets.ts";
import { createVault } from "../../src/vault/vault.ts";
import { testDatabase } from "../support/database.ts";

const SECRET = "cl!ent s&cret=1";
const vault = createVault({ masterKey: "a master key of enough characters 123" });
const outbound = createOutbound({ allowedNetworks: parseAllowedNetworks(["127.0.0.1/32"]) });

type Asked = { authorization: string | null; form: URLSearchParams };
let db: Awaited<ReturnType<typeof testDatabase>>;
let server: ReturnType<typeof Bun.serve>;
let asked: Asked[] = [];
let answer: (request: Asked) => Response | Promise<Response>;
let made = 0;

beforeAll(async () => {
  db = await testDatabase();
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const one = {
        authorization: request.headers.get("authorization"),
        form: new URLSearchParams(await request.text()),
      };
      asked.push(one);
      return answer(one);
    },
  });
});
afterAll(async () => {
  await server.stop(true);
  await db.drop();
});
afterEach(() => {
  asked = [];
});

const node = () => createOAuthTokens({ database: db.database, vault, outbound });
const granted = (token: string, more: object = {}) =>
  Response.json({ access_token: token, token_type: "Bearer", expires_in: 3600, ...more });

async function client(tokenUrl = `http://127.0.0.1:${server.port}/token`): Promise<OpenedSecret> {
  const secrets = createSecrets(db.database, vault);
  const value = { token_url: tokenUrl, client_id: "cl ient", client_secret: SECRET, scope: "a b" };
  const { id } = await secrets.create({ name: `client ${made++}`, kind: "oauth2_client_credentials", value });
  const uuid = id.slice(4).replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
  const opened = (await secrets.openSecrets([uuid])).get(uuid);
  if (!opened || opened instanceof AppError) throw new Error("the planted secret does not open");
  return opened;
}

async function faultOf(secret: OpenedSecret): Promise<AppError> {
  const error = await node()
    .ready(secret)
    .catch((thrown: unknown) => thrown);
  if (!(error instanceof AppError)) throw new Error(`expected an AppError, got ${error}`);
  return error;
}

describe("OAuth2 tokens", () => {
  test("are asked for as RFC 6749 says, with the client in HTTP Basic", async () => {
    answer = () => granted("tok-1");
    expect(await node().ready(await client())).toEqual({ kind: "bearer", token: "tok-1" });
    expect(asked).toHaveLength(1);
    expect(Object.fromEntries(asked[0]?.form ?? [])).toEqual({ grant_type: "client_credentials", scope: "a b" });
    const basic = Buffer.from(asked[0]?.authorization?.replace("Basic ", "") ?? "", "base64").toString();
    expect(basic).toBe("cl+ient:cl%21ent+s%26cret%3D1");
  });

  test("are asked for with the client in the body where Basic is refused", async () => {
    answer = ({ authorization }) =>
      authorization ? Response.json({ error: "invalid_client" }, { status: 401 }) : granted("tok-2");
    expect(await node().ready(await client())).toEqual({ kind: "bearer", token: "tok-2" });
    expect(asked[1]?.form.get("client_secret")).toBe(SECRET);
  });

  test("are fetched once for all nodes, and kept sealed", async () => {
    answer = async () => {
      await Bun.sleep(150);
      return granted(`shared-token-${asked.length}`);
    };
    const secret = await client();
    const nodes = [node(), node(), node()];
    const ready = await Promise.all(nodes.flatMap((one) => [one.ready(secret), one.ready(secret)]));
    expect(new Set(ready.map((credential) => JSON.stringify(credential))).size).toBe(1);
    expect(asked).toHaveLength(1);
    const rows = await db.database.sql<{ sealed: string }[]>`select sealed from deltahook.oauth_tokens`;
    expect(rows.some((row) => row.sealed.includes("shared-token"))).toBe(false);
    await node().ready(secret);
    expect(asked).toHaveLength(1);
  });

  test("are renewed at 80 % of their life, the old one serving where that fails", async () => {
    const secret = await client();
    answer = () => granted("first");
    await node().ready(secret);
    const age = (part: number) => db.database.sql`
      update deltahook.oauth_tokens set fetched_at = now() - ${3600 * part} * interval '1 second',
        expires_at = now() + ${3600 * (1 - part)} * interval '1 second' where secret_id = ${secret.id}`;
    await age(0.79);
    expect(await node().ready(secret)).toEqual({ kind: "bearer", token: "first" });
    expect(asked).toHaveLength(1);

    await age(0.81);
    answer = () => new Response("down", { status: 500 });
    expect(await node().ready(secret)).toEqual({ kind: "bearer", token: "first" });
    await db.database.sql`update deltahook.oauth_fetches set until = now()`;
    answer = () => granted("second");
    expect(await node().ready(secret)).toEqual({ kind: "bearer", token: "second" });
  });

  test("die with the revision of the secret that they were fetched with", async () => {
    const secret = await client();
    answer = () => granted("old-clients");
    await node().ready(secret);
    await createSecrets(db.database, vault).patch(`sec_${secret.id.replaceAll("-", "")}`, { value: { scope: "c" } });
    answer = () => granted("new-clients");
    const renewed = { ...secret, revision: secret.revision + 1 };
    expect(await node().ready(renewed)).toEqual({ kind: "bearer", token: "new-clients" });
    expect(await node().ready(renewed)).toEqual({ kind: "bearer", token: "new-clients" });
    expect(asked).toHaveLength(2);
  });

  test("are forgotten after a 401, unless they are fresh or another has come since", async () => {
    const secret = await client();
    answer = () => granted(`tok-${asked.length}`);
    await node().ready(secret);
    expect(await node().invalidate(secret.id, "tok-1")).toBe(false);
    await db.database.sql`update deltahook.oauth_tokens set fetched_at = now() - interval '1 minute'`;
    expect(await node().invalidate(secret.id, "an earlier one")).toBe(true);
    expect(await node().ready(secret)).toEqual({ kind: "bearer", token: "tok-1" });
    expect(await node().invalidate(secret.id, "tok-1")).toBe(true);
    expect(await node().ready(secret)).toEqual({ kind: "bearer", token: "tok-2" });
  });

  test("survive a node that died while fetching", async () => {
    const secret = await client();
    await db.database.sql`
      insert into deltahook.oauth_fetches (secret_id, secret_revision, holder, until)
      values (${secret.id}, 1, gen_random_uuid(), now() + interval '300 milliseconds')`;
    answer = () => granted("after-the-dead");
    expect(await node().ready(secret)).toEqual({ kind: "bearer", token: "after-the-dead" });
  });

  test("name the refusal and the remedy, without the secret, and ask no more for a while", async () => {
    answer = ({ form }) =>
      Response.json({ error: "invalid_client", error_description: `bad ${SECRET} ${form}` }, { status: 401 });
    const secret = await client();
    const error = await faultOf(secret);
    expect(error).toBeInstanceOf(TokenRefused);
    expect(error.message).toContain("invalid_client");
    expect(error.message).toContain("Check client_id");
    expect(error.message).not.toContain(SECRET);
    expect(error.message).not.toContain(encodeURIComponent(SECRET));
    expect(await faultOf(secret)).toMatchObject({ message: error.message });
    expect(asked).toHaveLength(2);
  });

  test.each([
    ["an error of the server", () => new Response("oops", { status: 503 }), "answered 503"],
    ["a page", () => new Response("<html>"), "without a usable access_token"],
    ["null", () => Response.json(null), "without a usable access_token"],
    ["a token that would break the header", () => granted("a\r\nb"), "without a usable access_token"],
    ["another type of token", () => granted("t", { token_type: "mac" }), "not of the type Bearer"],
  ])("report %s with cause and remedy", async (_what, reply, cause) => {
    answer = reply;
    const error = await faultOf(await client());
    expect(error.message).toContain(cause);
    expect(error).not.toBeInstanceOf(TokenRefused);
  });

  test("go through the guarded door", async () => {
    const error = await faultOf(await client("http://10.1.2.3/token"));
    expect(error.message).toContain("could not be asked");
    expect(error.message).toContain("10.1.2.3");
  });
});
