import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { connectionString } from "../../src/platform/database.ts";
import { testDatabase } from "../support/database.ts";
import { startReceiver } from "../support/receiver.ts";
import { type Client, login, type ServerProcess, startServerProcess } from "../support/server.ts";

/** What the pages tell people to run, run as it stands there. */
const ROOT = join(import.meta.dir, "../..");
const KEY = "k".repeat(40);

let db: Awaited<ReturnType<typeof testDatabase>>;
let server: ServerProcess;
let admin: Client;
let folder: string;

beforeAll(async () => {
  db = await testDatabase();
  server = await startServerProcess({ DATABASE_URL: connectionString(db.target), MASTER_KEY: KEY, JWT_SECRET: KEY });
  admin = await login(server);
  // Inside the package, so that `deltahook` is itself.
  mkdirSync(join(ROOT, "test/.tmp"), { recursive: true });
  folder = mkdtempSync(join(ROOT, "test/.tmp/docs-"));
});

afterAll(async () => {
  await server?.end("SIGTERM");
  await db?.drop();
  if (folder) rmSync(folder, { recursive: true, force: true });
});

/** The blocks of code in one language, top to bottom. */
function snippets(page: string, language: string): string[] {
  const text = readFileSync(join(ROOT, "docs", page), "utf8");
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n([\\s\\S]*?)^\`\`\`$`, "gm"))].map(
    (match) => match[1] ?? "",
  );
}

describe("verifying.md: the receiver in", () => {
  const languages: [name: string, language: string, file: string, command: string[]][] = [
    ["Node", "js", "receiver.mjs", ["node"]],
    ["Python", "python", "receiver.py", ["python3"]],
    ["Go", "go", "receiver.go", ["go", "run"]],
  ];

  for (const [name, language, file, [program = "", ...words]] of languages) {
    const there = Bun.which(program) !== null;
    test.skipIf(!there)(
      `${name} takes what DeltaHook signed, and nothing else${there ? "" : ` (no ${program} here)`}`,
      async () => {
        const port = await freePort();
        const url = `http://127.0.0.1:${port}/`;
        const made = await admin.call<{ id: string }>("POST", "/v1/endpoints", {
          name,
          url,
          event_types: [`test.${language}`],
        });
        const secret = await admin.call<{ secret: string }>("GET", `/v1/endpoints/${made.body.id}/secret`);
        writeFileSync(join(folder, file), snippets("verifying.md", language)[0] ?? "");
        const env = {
          ...process.env,
          SECRET: secret.body.secret,
          PORT: String(port),
          GOCACHE: join(folder, "go"),
          GO111MODULE: "off",
        };
        const receiver = Bun.spawn([program, ...words, file], {
          cwd: folder,
          env,
          stdout: "pipe",
          stderr: "inherit",
          detached: true,
        });
        try {
          await listening(port, receiver);
          const forged = await fetch(url, {
            method: "POST",
            headers: {
              "webhook-id": "evt_1",
              "webhook-timestamp": String(Math.floor(Date.now() / 1000)),
              "webhook-signature": `v1,${"A".repeat(43)}=`,
            },
            body: "{}",
          });
          expect(forged.status).toBe(401);
          const event = { type: `test.${language}`, data: { total: 1.5 } };
          const sent = await admin.call<{ id: string }>("POST", "/v1/events", event);
          const said = await firstLine(receiver.stdout);
          expect(said).toContain(sent.body.id);
          expect(said).toContain(event.type);
        } finally {
          process.kill(-receiver.pid, "SIGTERM"); // `go run` has a child
          await receiver.exited;
          await admin.call("DELETE", `/v1/endpoints/${made.body.id}`);
        }
      },
    );
  }
});

describe("client.md", () => {
  test.skipIf(Bun.which("node") === null)("the program runs under Node", async () => {
    expect(Bun.spawnSync([process.execPath, "src/client/build.ts"], { cwd: ROOT }).exitCode).toBe(0);
    const receiver = startReceiver();
    const made = await admin.call<{ key: string }>("POST", "/v1/api-keys", { name: "docs", role: "editor" });
    const text = (snippets("client.md", "js")[0] ?? "")
      .replaceAll("http://localhost:8080", server.url)
      .replaceAll("https://example.com/webhook", receiver.url);
    writeFileSync(join(folder, "client.mjs"), text);
    const env = { ...process.env, API_KEY: made.body.key };
    const child = Bun.spawn(["node", "client.mjs"], { cwd: folder, env, stdout: "pipe", stderr: "pipe" });
    const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    expect(err).toBe("");
    expect(out).toStartWith("delivered [");
    expect(receiver.received[0]?.body).toBe('{"data":"your data"}');
    receiver.stop();
  });

  test("the statements run", async () => {
    const receiver = startReceiver();
    const role = `shop_${crypto.randomUUID().slice(0, 8)}`;
    const [create = "", transaction = ""] = snippets("client.md", "sql");
    const { sql } = db.database;
    await sql.unsafe(create.replace("role shop", `role ${role}`));
    await sql.unsafe(`drop role ${role}`);
    const connection = await sql.reserve();
    await connection.unsafe(transaction.replaceAll("https://example.com/webhook", receiver.url));
    connection.release();
    await receiver.arrived(2);
    expect(receiver.received.map(({ headers }) => headers["x-shop"]).sort()).toEqual(["berlin", undefined]);
    receiver.stop();
  });
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function listening(port: number, program: Bun.Subprocess): Promise<void> {
  const giveUpAt = performance.now() + 50_000;
  while (!(await answers(port))) {
    if (program.exitCode !== null || performance.now() > giveUpAt) throw new Error("the receiver did not start");
    await Bun.sleep(50);
  }
}

function answers(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/`, { method: "POST" }).then(
    () => true,
    () => false,
  );
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const part of stream) {
    text += decoder.decode(part, { stream: true });
    if (text.includes("\n")) return text;
  }
  return text;
}
