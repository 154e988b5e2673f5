import { afterAll, beforeAll, expect, test } from "bun:test";
import { ADMIN, eventually, type ServerProcess, startServerProcess, temporaryDataDir } from "../support/server.ts";

const data = temporaryDataDir();
let server: ServerProcess;

beforeAll(async () => {
  // Not even this machine may be reached.
  server = await startServerProcess({ DATA_DIR: data.path, ALLOWED_NETWORKS: "" });
}, 60_000);

afterAll(async () => {
  await server?.end("SIGTERM");
  data.remove();
});

/** Sends a form as the dashboard's pages do. */
function post(path: string, cookie: string, fields: Record<string, string> = {}): Promise<Response> {
  return fetch(server.url + path, {
    method: "POST",
    redirect: "manual",
    headers: { cookie, origin: server.url, "sec-fetch-site": "same-origin" },
    body: new URLSearchParams(fields),
  });
}

test("a newcomer's first webhook arrives within 20 seconds of one click, signed, without any network", async () => {
  const signedIn = await post("/sign-in", "", { ...ADMIN, to: "/play" });
  const cookie = signedIn.headers.get("set-cookie")?.split(";")[0] ?? "";
  const received = async () => (await fetch(`${server.url}/play/received`, { headers: { cookie } })).text();
  expect(await received()).toContain("Nothing has arrived yet");

  expect((await post("/play/watch", cookie)).headers.get("location")).toBe("/play?notice=created");
  const arrived = await eventually(received, (page) => page.includes("sample.order.changed"), 20_000);
  expect(arrived).toContain("signature verified");
  expect(arrived).toContain("$.order.status");
}, 40_000);
