import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { floorFaults } from "./floors.ts";

const roots: string[] = [];
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true });
});

/** A house of these files, each given as path → text. */
function house(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), "floors-"));
  roots.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const allowed: [name: string, path: string, text: string][] = [
  ["a room imports from a floor below", "src/http/app.ts", `import { x } from "../vault/seal.ts";`],
  ["a room imports its own files", "src/watching/poll.ts", `import { x } from "./diff.ts";`],
  ["watching publishes", "src/watching/record.ts", `import { publish } from "../delivering/publish.ts";`],
  ["watching names a type of delivering", "src/watching/a.ts", `import type { Event } from "../delivering/event.ts";`],
  [
    "watching names only types, one by one",
    "src/watching/a.ts",
    `import { type A, type B } from "../delivering/e.ts";`,
  ],
  ["a page imports a view", "src/http/pages/watches.tsx", `import { Row } from "../../../views/row.tsx";`],
  ["a view imports preact and a type", "views/row.tsx", `import "preact";\nimport type { A } from "../src/http/a.ts";`],
  ["the queue names the library", "src/platform/queue.ts", `import { run } from "graphile-worker";`],
  ["the queue's folder names the library", "src/platform/queue/runner.ts", `import { run } from "graphile-worker";`],
  ["outbound fetches", "src/platform/outbound.ts", `export const get = () => fetch("https://example.com");`],
  ["a server's handler is called fetch", "src/http/app.ts", `Bun.serve({ fetch: () => new Response() });`],
  ["the client asks our own server", "src/client/http_door.ts", `export const get = (u: string) => fetch(u);`],
  ["the command line asks our own server", "src/cli/healthcheck.ts", `export const get = (u: string) => fetch(u);`],
  ["a comment speaks of fetch()", "src/http/app.ts", `// never fetch() here\nexport {};`],
  ["a type of node:http is named", "src/http/app.ts", `import type { IncomingMessage } from "node:http";`],
  ["a plugin imports its interface", "plugins/slack.ts", `import { definePlugin } from "deltahook/plugin";`],
];

for (const [name, path, text] of allowed) {
  test(`allowed: ${name}`, () => {
    expect(floorFaults(house({ [path]: text }))).toEqual([]);
  });
}

const refused: [name: string, path: string, text: string, says: string][] = [
  ["upwards", "src/platform/log.ts", `import { x } from "../http/app.ts";`, "platform is below http"],
  ["upwards, a type", "src/vault/a.ts", `import type { X } from "../watching/a.ts";`, "vault is below watching"],
  ["upwards, re-exported", "src/vault/a.ts", `export * from "../http/a.ts";`, "vault is below http"],
  ["upwards, over several lines", "src/vault/a.ts", `import {\n  x,\n} from "../http/a.ts";`, "vault is below http"],
  ["upwards, dynamically", "src/vault/a.ts", `await import("../http/a.ts");`, "vault is below http"],
  ["sideways", "src/vault/a.ts", `import { x } from "../identity/users.ts";`, "share a floor"],
  ["past publish", "src/watching/a.ts", `import { x } from "../delivering/retry.ts";`, "only through"],
  ["a file in no room", "src/utils/a.ts", `export const a = 1;`, "no room"],
  ["a view that knows src", "views/row.tsx", `import { x } from "../src/http/a.ts";`, "a view imports only"],
  ["a view that knows a package", "views/row.tsx", `import { z } from "zod";`, "a view imports only"],
  ["a view outside the pages", "src/http/api/a.ts", `import { R } from "../../../views/r.tsx";`, "src/http/pages only"],
  ["a plugin that knows src", "plugins/slack.ts", `import { x } from "../src/vault/a.ts";`, "only deltahook/plugin"],
  ["a plugin, imported", "src/plugins/host.ts", `import s from "../../plugins/slack.ts";`, "never imported"],
  ["test code", "src/http/a.ts", `import { x } from "../../test/database.ts";`, "from test/"],
  ["the queue's library", "src/delivering/a.ts", `import { run } from "graphile-worker";`, "names graphile-worker"],
  [
    "a type of the queue's library",
    "src/http/a.ts",
    `import type { Job } from "graphile-worker";`,
    "names graphile-worker",
  ],
  ["the queue's library in a string", "src/http/a.ts", `export const n = "graphile-worker";`, "names graphile-worker"],
  ["fetch", "src/watching/a.ts", `await fetch("https://example.com");`, "outbound requests"],
  ["fetch under another name", "src/watching/a.ts", `export const get = fetch;`, "outbound requests"],
  ["node:https", "src/watching/a.ts", `import { request } from "node:https";`, "outbound requests"],
  [
    "Bun.connect",
    "src/watching/a.ts",
    `await Bun.connect({ hostname: "a", port: 1, socket: {} });`,
    "outbound requests",
  ],
];

for (const [name, path, text, says] of refused) {
  test(`refused: ${name}`, () => {
    const faults = floorFaults(house({ [path]: text }));
    expect(faults).toHaveLength(1);
    expect(faults[0]).toStartWith(path);
    expect(faults[0]).toContain(says);
  });
}

test("refused: a circle of imports, told once with its way", () => {
  const root = house({
    "src/vault/a.ts": `import { b } from "./b.ts";`,
    "src/vault/b.ts": `import { c } from "./c.ts";`,
    "src/vault/c.ts": `import type { A } from "./a.ts";`,
    "src/http/app.ts": `import { a } from "../vault/a.ts";`,
  });
  expect(floorFaults(root)).toEqual([
    "circle of imports: src/vault/a.ts → src/vault/b.ts → src/vault/c.ts → src/vault/a.ts",
  ]);
});

test("this house stands", () => {
  expect(floorFaults(join(import.meta.dir, ".."))).toEqual([]);
});
