import { describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PluginInfo } from "../../src/plugins/plugins.ts";
import { bodyOf, event, type Host, pluginText, startHost, until, use } from "./support.ts";

const versioned = (version: number) => pluginText("note", `transform() { return { body: { version: ${version} } }; }`);
const infoOf = (host: Host, name: string): PluginInfo | undefined =>
  host.plugins.list().find((each) => each.name === name);
const answered = (host: Host) => bodyOf(host, use("note"), event());

/** Waits until a list entry is what it should be. */
async function seen(host: Host, name: string, holds: (info: PluginInfo | undefined) => boolean): Promise<void> {
  await until(() => holds(infoOf(host, name)));
}

describe("files that change while the server runs", () => {
  test("a new file is loaded, a changed one takes over, a removed one is gone", async () => {
    const host = await startHost();
    expect(await host.plugins.transform(use("note"), event())).toHaveProperty("fault");
    host.write("note.ts", versioned(1));
    await seen(host, "note", (info) => info !== undefined);
    expect(await answered(host)).toEqual({ version: 1 });
    const first = infoOf(host, "note")?.version;
    host.write("note.ts", versioned(2));
    await seen(host, "note", (info) => info?.version !== first);
    expect(await answered(host)).toEqual({ version: 2 });
    unlinkSync(join(host.folder, "note.ts"));
    await seen(host, "note", (info) => info === undefined);
    expect(await host.plugins.transform(use("note"), event())).toEqual({
      fault: 'there is no plugin "note": put its file back, or choose another',
    });
    await host.stop();
  }, 20_000);

  const broken: [string, string, RegExp, number | null][] = [
    ["a syntax fault", "export default {\n  name: 'note',\n  transform( { }\n};\n", /Expected/, 4],
    [
      "an import of nothing",
      'import { x } from "./nowhere.ts";\nexport default x;\n',
      /Could not resolve: "\.\/nowhere\.ts"/,
      1,
    ],
    ["a throw while loading", "const rates: any = null;\n\nrates.eur();\nexport default {};\n", /TypeError/, 3],
    ["no plugin in it", "export const a = 1;\n", /no default export/, null],
    ["no hooks", 'export default { name: "note" };\n', /none of the hooks/, null],
    ["a bad name", 'export default { name: "no te", transform() { return {}; } };\n', /name must be/, null],
    ["an end of the thread", "process.exit(3);\nexport default {};\n", /ended its worker thread/, null],
  ];
  for (const [name, text, message, line] of broken) {
    test(`${name}: the version before goes on serving, and the fault is told`, async () => {
      const host = await startHost({ "note.ts": versioned(1) });
      const good = infoOf(host, "note")?.version ?? "";
      host.write("note.ts", text);
      await seen(host, "note", (info) => info?.error !== null);
      const info = infoOf(host, "note");
      expect(info).toMatchObject({ version: good, hooks: ["transform"], error: { file: "note.ts", line } });
      expect(info?.error?.message).toMatch(message);
      expect(await answered(host)).toEqual({ version: 1 });
      const logged = host
        .logged()
        .split("\n")
        .find((entry) => entry.includes("could not be loaded"));
      expect(logged).toContain(`version ${good} goes on serving; correct the file`);
      host.write("note.ts", versioned(2));
      await seen(host, "note", (corrected) => corrected?.error === null);
      expect(await answered(host)).toEqual({ version: 2 });
      await host.stop();
    }, 20_000);
  }

  test("a file that never finishes loading holds up nobody", async () => {
    const host = await startHost({ "note.ts": versioned(1) });
    host.write("stuck.ts", "for (;;);\nexport default {};\n");
    await Bun.sleep(1_000);
    expect(await answered(host)).toEqual({ version: 1 });
    await seen(host, "stuck", (info) => info?.error?.message.includes("did not finish loading") ?? false);
    expect(await answered(host)).toEqual({ version: 1 });
    await host.stop();
  }, 20_000);

  test("a change of a file that a plugin imports is a new version of the plugin", async () => {
    const host = await startHost();
    mkdirSync(join(host.folder, "lib"));
    writeFileSync(join(host.folder, "lib", "rate.ts"), "export const rate = 1;\n");
    const text =
      'import { rate } from "./lib/rate.ts";\nexport default { name: "note", transform() { return { body: { rate } }; } };\n';
    host.write("note.ts", text);
    await seen(host, "note", (info) => info?.error === null);
    expect(await answered(host)).toEqual({ rate: 1 });
    const first = infoOf(host, "note")?.version;
    writeFileSync(join(host.folder, "lib", "rate.ts"), "export const rate = 2;\n");
    await seen(host, "note", (info) => info?.version !== first);
    expect(await answered(host)).toEqual({ rate: 2 });
    await host.stop();
  }, 20_000);

  test("under load every call is answered, whole by one version or whole by the next", async () => {
    const body = (version: number) =>
      `const a = ${version};\n${"// filler\n".repeat(2_000)}const b = ${version};\nexport default { name: "note", transform() { return { body: { a, b } }; } };\n`;
    const host = await startHost({ "note.ts": body(1) });
    const path = join(host.folder, "note.ts");
    const whole = (version: number) => `{"a":${version},"b":${version}}`;
    let done = false;
    const found = new Map<string, number>();
    const load = Array.from({ length: 20 }, async () => {
      while (!done) {
        const made = await host.plugins.transform(use("note"), event());
        const key = "body" in made ? String(made.body) : JSON.stringify(made);
        found.set(key, (found.get(key) ?? 0) + 1);
      }
    });
    for (let version = 2; version <= 4; version++) {
      const text = body(version);
      const before = infoOf(host, "note")?.version;
      // As slow editors do it: emptied, then written in two halves.
      writeFileSync(path, "");
      await Bun.sleep(30);
      writeFileSync(path, text.slice(0, text.length / 2));
      await Bun.sleep(30);
      writeFileSync(path, text);
      await seen(host, "note", (info) => info?.version !== before && info?.error === null);
      // Calls that were handed over before are still answered by the last version.
      await until(() => found.has(whole(version)));
    }
    done = true;
    await Promise.all(load);
    expect([...found.keys()].sort()).toEqual([1, 2, 3, 4].map(whole));
    await host.stop();
  }, 30_000);
});

describe("names", () => {
  test("a plugin of the folder overrides the shipped one of its name", async () => {
    const host = await startHost({
      "my-slack.ts": pluginText("slack", "transform() { return { body: { mine: true } }; }"),
    });
    expect(infoOf(host, "slack")).toMatchObject({ origin: "folder", file: "my-slack.ts" });
    expect(await bodyOf(host, use("slack"), event())).toEqual({ mine: true });
    await host.stop();
  });

  test("while an overriding file is broken, the shipped plugin does not step in", async () => {
    const host = await startHost({ "slack.ts": "export default {" });
    expect(infoOf(host, "slack")).toMatchObject({ origin: "folder", version: null });
    expect(await host.plugins.transform(use("slack"), event())).toHaveProperty(
      "fault",
      expect.stringContaining('the plugin "slack" could not be loaded'),
    );
    await host.stop();
  });

  test("of two files of one name the second is refused", async () => {
    const host = await startHost({ "a.ts": versioned(1), "b.ts": versioned(2) });
    expect(await answered(host)).toEqual({ version: 1 });
    expect(infoOf(host, "b")?.error?.message).toContain('a.ts has a plugin named "note" already');
    await host.stop();
  });

  test("helpers, tests and declarations in the folder are no plugins", async () => {
    const host = await startHost({
      "_shared.ts": "export const a = 1;",
      ".hidden.ts": "export {};",
      "note.test.ts": "export {};",
      "types.d.ts": "export {};",
      "readme.md": "",
    });
    expect(host.plugins.list().every(({ origin }) => origin === "shipped")).toBe(true);
    await host.stop();
  });
});

test("the same plugin in two places is one version, and a place in its source is told from its folder", async () => {
  const first = await startHost({ "note.ts": versioned(1) });
  const second = await startHost({ "note.ts": versioned(1) });
  expect(infoOf(first, "note")?.version).toBe(infoOf(second, "note")?.version ?? "");
  await Promise.all([first.stop(), second.stop()]);
});

test("a macro is refused, since it would run inside the server", async () => {
  const host = await startHost({
    "_macro.ts": "export const secret = () => process.env.HOME;",
    "note.ts":
      'import { secret } from "./_macro.ts" with { type: "macro" };\nexport default { name: secret(), transform() { return {}; } };\n',
  });
  expect(infoOf(host, "note")?.error?.message).toContain("imports a macro");
  await host.stop();
});

test("a package beside the plugins can be imported", async () => {
  const host = await startHost();
  const folder = mkdtempSync(join(tmpdir(), "deltahook-package-"));
  mkdirSync(join(folder, "tiny"));
  writeFileSync(join(folder, "tiny", "package.json"), '{"name": "tiny", "version": "1.0.0", "main": "index.js"}');
  writeFileSync(join(folder, "tiny", "index.js"), "module.exports = { seven: 7 };");
  cpSync(folder, join(host.folder, "node_modules"), { recursive: true });
  host.write(
    "note.ts",
    'import { seven } from "tiny";\nexport default { name: "note", transform() { return { body: { seven } }; } };\n',
  );
  await seen(host, "note", (info) => info !== undefined);
  expect(await answered(host)).toEqual({ seven: 7 });
  rmSync(folder, { recursive: true });
  await host.stop();
}, 10_000);
