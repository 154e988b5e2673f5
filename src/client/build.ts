/**
 * Builds the client library into dist/, as `npm pack` wants it (script `prepack`): one file for `import`, one for
 * `require`, and the types of each. Run it as `bun src/client/build.ts`.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const here = import.meta.dir;
const root = join(here, "../..");
const dist = join(root, "dist");

rmSync(dist, { recursive: true, force: true });
await bundle("index.ts", "index.js", "esm");
// A module's default is the whole of what `require` gives.
await bundle("require.ts", "index.cjs", "cjs", "module.exports = module.exports.default;");
writeTypes();

async function bundle(entry: string, name: string, format: "esm" | "cjs", footer = ""): Promise<void> {
  await Bun.build({
    entrypoints: [join(here, entry)],
    outdir: dist,
    naming: name,
    target: "node",
    format,
    footer,
    external: ["postgres"],
  });
}

/** The compiler's own declarations, in one file for each way of loading. */
function writeTypes(): void {
  const folder = mkdtempSync(join(tmpdir(), "deltahook-types-"));
  try {
    emitDeclarations(folder);
    const text = ["types", "error", "hookshot"].map((name) => declarationsOf(join(folder, `${name}.d.ts`))).join("\n");
    writeFileSync(join(dist, "index.d.ts"), `${text}\nexport { Hookshot as default };\n`);
    writeFileSync(join(dist, "index.d.cts"), forRequire(text));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function emitDeclarations(folder: string): void {
  const flags = ["--noEmit", "false", "--declaration", "--emitDeclarationOnly", "--skipLibCheck", "--strict"];
  const kind = ["--target", "esnext", "--module", "preserve", "--allowImportingTsExtensions", "--types", "bun-types"];
  const place = ["--ignoreConfig", "--rootDir", here, "--outDir", folder];
  const tsc = join(root, "node_modules/typescript/bin/tsc");
  const done = Bun.spawnSync([process.execPath, tsc, ...flags, ...kind, ...place, join(here, "index.ts")], {
    cwd: root,
  });
  if (!done.success) throw new Error(`tsc: ${done.stdout}${done.stderr}`);
}

/** Without what ties a file to its neighbours. */
function declarationsOf(file: string): string {
  return readFileSync(file, "utf8").replace(/^(import .*|export \{.*\};?)\n/gm, "");
}

/** `require` gives the class; a namespace of the same name carries all else. */
function forRequire(text: string): string {
  const types = [...text.matchAll(/^export (?:declare )?type (\w+)/gm)].map(([, name]) => `type ${name}`);
  const names = ["Self as Hookshot", "Self as default", "HookshotError", ...types].join(", ");
  const body = text.replace(/^export (declare )?/gm, (_, declared) => declared ?? "");
  const self = "type Self = Hookshot;\ndeclare const Self: typeof Hookshot;";
  return `${body}\n${self}\ndeclare namespace Hookshot {\n  export { ${names} };\n}\nexport = Hookshot;\n`;
}
