import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import type { BunPlugin } from "bun";
import { messageOf } from "../platform/errors.ts";
import type { Bundle, LoadFault } from "./messages.ts";

/** Where a plugin lies; `file` is the name that people are told. */
export type Source = { folder: string; file: string };

const MAP_COMMENT = "\n//# sourceMappingURL=data:application/json;base64,";
const SCRIPT = /\.[cm]?[jt]sx?$/;
const MACRO = /\bwith\s*\{[^}]*["']?type["']?\s*:\s*["']macro["']/;

/**
 * Makes a plugin and the files that it imports into one module. What runs is thus never half of one version and half of
 * the next, and is known by one hash, its version.
 */
export async function bundlePlugin({ folder, file }: Source): Promise<Bundle | LoadFault> {
  const built = await build(folder, file);
  if ("message" in built) return built;
  const { code, map } = splitMap(built.code, folder);
  // Without comments, since Bun writes paths into some: the same plugin in two places is one version.
  const version = createHash("sha256")
    .update(code.replace(/^\/\/.*$/gm, ""))
    .digest("hex")
    .slice(0, 12);
  return { file, version, code: `${code}${map}` };
}

async function build(folder: string, file: string): Promise<{ code: string } | LoadFault> {
  try {
    const { success, outputs, logs } = await Bun.build({
      entrypoints: [join(folder, file)],
      root: folder,
      target: "bun",
      format: "esm",
      external: ["deltahook/plugin"],
      sourcemap: "inline",
      env: "disable",
      throw: false,
      plugins: [noMacros],
    });
    const output = outputs.find(({ kind }) => kind === "entry-point");
    if (success && output) return { code: await output.text() };
    const [first] = logs;
    const at = first?.position;
    const place = at ? { file: relativeTo(folder, at.file), line: at.line, column: at.column } : null;
    return { file, message: first?.message ?? "it cannot be read", place };
  } catch (error) {
    return { file, message: messageOf(error), place: null };
  }
}

/** A macro would run inside the server, while its plugin is being read. */
const noMacros: BunPlugin = {
  name: "no macros",
  setup(build) {
    build.onLoad({ filter: SCRIPT }, async ({ path, loader }) => {
      const contents = await readFile(path, "utf8");
      if (MACRO.test(contents)) throw new Error(`${basename(path)} imports a macro, which plugins cannot use`);
      return { contents, loader };
    });
  },
};

function relativeTo(folder: string, path: string): string {
  const base = join(folder, "/");
  return path.startsWith(base) ? path.slice(base.length) : join(basename(dirname(path)), basename(path));
}

/** The code, and its source map with paths from the plugin's folder instead of the working directory's. */
function splitMap(text: string, folder: string): { code: string; map: string } {
  const at = text.lastIndexOf(MAP_COMMENT);
  if (at < 0) return { code: text, map: "" };
  const map = JSON.parse(Buffer.from(text.slice(at + MAP_COMMENT.length), "base64").toString()) as {
    sources: string[];
  };
  map.sources = map.sources.map((path) => relativeTo(folder, resolve(path)));
  return {
    code: text.slice(0, at),
    map: `${MAP_COMMENT}${Buffer.from(JSON.stringify(map)).toString("base64")}`,
  };
}
