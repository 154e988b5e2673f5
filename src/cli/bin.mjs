#!/usr/bin/env node
// The command `deltahook` of the installed package: starts the command line under the Bun that it depends on.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findBun, nativeBuns, run } from "./runtime.mjs";

const root = join(dirname(fileURLToPath(import.meta.url)), "..", "..");
const manifest = createRequire(import.meta.url).resolve("bun/package.json");
const { version } = JSON.parse(readFileSync(manifest, "utf8"));
const modules = dirname(dirname(manifest));
const running = process.versions.bun ? [process.execPath] : [];
const bun = findBun([...running, join(modules, "bun", "bin", "bun.exe"), ...nativeBuns(modules), "bun"], version);

if (bun) {
  // Bun reads the JSX settings of the folder that it is started in, which is anybody's.
  run(bun, [
    `--tsconfig-override=${join(root, "tsconfig.json")}`,
    join(root, "src/cli/main.ts"),
    ...process.argv.slice(2),
  ]);
} else {
  console.error(`deltahook: Bun ${version} does not run on this machine (${process.platform} ${process.arch}).`);
  process.exitCode = 1;
}
