import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { parseId } from "../../src/platform/ids.ts";
import { createOAuthTokens } from "../../src/vault/oauth.ts";
import { createReadySecrets, type ReadySecrets } from "../../src/vault/ready.ts";
import { createSecrets, type Secrets } from "../../src/vault/secrets.ts";
import { testDatabase } from "../support/database.ts";
import { loopback, vault } from "../support/engine.ts";

let place: Awaited<ReturnType<typeof testDatabase>>;
let secrets: Secrets;
let ready: ReadySecrets;
let opened = 0;
let tokens = 0;
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: () => Response.json({ access_token: `token-${++tokens}`, token_type: "bearer", expires_in: 3_600 }),
});

beforeAll(async () => {
  place = await testDatabase();
});
afterAll(async () => {
  await server.stop(true);
  await place.drop();
});
beforeEach(() => {
  const { database } = place;
  secrets = createSecrets(database, vault);
  opened = 0;
  const counted: Secrets = {
    ...secrets,
    openSecrets(ids) {
      opened++;
      return secrets.openSecrets(ids);
    },
  };
  ready = createReadySecrets(counted, createOAuthTokens({ database, vault, outbound: loopback }));
});

async function create(body: object): Promise<{ publicId: string; id: string }> {
  const { id } = await secrets.create({ name: crypto.randomUUID(), ...body });
  return { publicId: id, id: parseId("secret", id) ?? "" };
}

test("a secret is opened once for as long as its revision stands", async () => {
  const { id, publicId } = await create({ kind: "bearer", value: "one" });
  for (let i = 0; i < 3; i++) expect(await ready.ready(id, 1)).toEqual({ kind: "bearer", token: "one" });
  expect(opened).toBe(1);
  await secrets.patch(publicId, { value: "two" });
  expect(await ready.ready(id, 2)).toEqual({ kind: "bearer", token: "two" });
  expect(opened).toBe(2);
});

test("many that ask at once open it once", async () => {
  const { id } = await create({ kind: "header", value: { name: "x-key", value: "k" } });
  await Promise.all(Array.from({ length: 20 }, () => ready.ready(id, null)));
  expect(opened).toBe(1);
});

test("whoever knows no revision gets a changed secret within two seconds", async () => {
  const { id, publicId } = await create({ kind: "bearer", value: "one" });
  await ready.ready(id, null);
  await secrets.patch(publicId, { value: "two" });
  expect(await ready.ready(id, null)).toEqual({ kind: "bearer", token: "one" });
  await Bun.sleep(2_050);
  expect(await ready.ready(id, null)).toEqual({ kind: "bearer", token: "two" });
});

test("a token that was refused while fresh is not asked for again, nor is a bearer secret", async () => {
  const value = { token_url: `http://127.0.0.1:${server.port}/token`, client_id: "a", client_secret: "b" };
  const client = await create({ kind: "oauth2_client_credentials", value });
  const token = await ready.ready(client.id, 1);
  expect(token).toEqual({ kind: "bearer", token: "token-1" });
  expect(await ready.refused(client.id, token)).toBe(false);
  const bearer = await create({ kind: "bearer", value: "one" });
  expect(await ready.refused(bearer.id, await ready.ready(bearer.id, 1))).toBe(false);
});

test("a secret that is gone is said to be", async () => {
  await expect(ready.ready(crypto.randomUUID(), null)).rejects.toThrow("The secret is gone");
});
