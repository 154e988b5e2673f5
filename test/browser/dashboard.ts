import type { BrowserContext, Page } from "playwright-core";
import { connectionString, type Database } from "../../src/platform/database.ts";
import { testDatabase } from "../support/database.ts";
import { startReceiver } from "../support/receiver.ts";
import { ADMIN, login, type ServerProcess, startServerProcess, temporaryDataDir } from "../support/server.ts";

export type Dashboard = {
  database: Database;
  server: ServerProcess;
  /** A source whose document the test changes, and a receiver that answers as the test says. */
  source: { url: string; document: unknown; requests: number };
  receiver: { url: string; status: number; received: { body: string }[] };
  /** An address where nobody listens. */
  nobody: string;
  stop(): Promise<void>;
};

/** A whole server in a process of its own, with a source to watch and a receiver to send to. */
export async function startDashboard(env: Record<string, string> = {}): Promise<Dashboard> {
  const { database, target, drop } = await testDatabase();
  const dataDir = temporaryDataDir();
  const server = await startServerProcess({
    DATABASE_URL: connectionString(target),
    DATA_DIR: dataDir.path,
    MASTER_KEY: "m".repeat(48),
    JWT_SECRET: "j".repeat(48),
    RETRY_DELAYS: "100ms,100ms",
    ...env,
  });
  const source = { url: "", document: { order: { id: 42, status: "pending", total: 19.99 } } as unknown, requests: 0 };
  const api = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch() {
      source.requests++;
      return Response.json(source.document);
    },
  });
  source.url = `http://127.0.0.1:${api.port}/orders/42`;
  const closed = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  const nobody = `http://127.0.0.1:${closed.port}/hook`;
  await closed.stop(true);
  const receiver = { url: "", status: 200, received: [] as { body: string }[] };
  const hook = startReceiver((entry) => {
    receiver.received.push({ body: entry.body });
    return new Response("thank you", { status: receiver.status });
  });
  receiver.url = hook.url;
  return {
    database,
    server,
    source,
    receiver,
    nobody,
    async stop() {
      await server.end("SIGTERM");
      await Promise.all([api.stop(true), hook.stop()]);
      await drop();
      dataDir.remove();
    },
  };
}

/** Signs in by the form, and arrives at the overview. */
export async function signIn(page: Page, server: ServerProcess, who = ADMIN): Promise<void> {
  await page.goto(`${server.url}/sign-in`);
  await page.getByLabel("Email").fill(who.email);
  await page.getByLabel("Password").fill(who.password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.waitForURL(`${server.url}/`);
}

/** Another person of a role. */
export async function addPerson(server: ServerProcess, role: string): Promise<typeof ADMIN> {
  const who = { email: `${role}@example.com`, password: "correct horse battery staple" };
  const client = await login(server);
  const { status } = await client.call("POST", "/v1/users", { ...who, role });
  if (status !== 201) throw new Error(`the person was not created: ${status}`);
  return who;
}

/** What the pages of a context did wrong: violations of the policy, and errors of scripts. */
export function watchFaults(context: BrowserContext): string[] {
  const faults: string[] = [];
  const note = (page: Page) => {
    page.on("console", (message) => {
      const isFault = /Content.Security.Policy/i.test(message.text()) || message.type() === "error";
      // A page that tells of a problem has a status of its own; that is no fault of a script.
      if (isFault && !/Failed to load resource/.test(message.text())) faults.push(`${page.url()}: ${message.text()}`);
    });
    page.on("pageerror", (error) => faults.push(`${page.url()}: ${error.message}`));
  };
  context.on("page", note);
  return faults;
}
