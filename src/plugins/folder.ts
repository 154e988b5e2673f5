import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const PLUGIN = /^(?![._]).*(?<!\.d|\.test)\.(?:ts|mts|js|mjs)$/;
const MOST_FILES = 2_000;

/** The plugin files of a folder, by name: its scripts, without those that begin with `_` or `.`, tests and `.d.ts`. */
export function pluginFiles(folder: string): string[] {
  return entriesOf(folder)
    .filter((entry) => PLUGIN.test(entry) && isFile(join(folder, entry)))
    .sort();
}

/** A text that changes whenever a file of the folder does, those in folders below included, but not `node_modules`. */
export function signatureOf(folder: string): string {
  const seen: string[] = [];
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined && seen.length < MOST_FILES; next = folders.pop()) {
    for (const entry of entriesOf(next)) {
      if (entry.startsWith(".") || entry === "node_modules") continue;
      const path = join(next, entry);
      const stats = statSync(path, { throwIfNoEntry: false });
      if (stats?.isDirectory()) folders.push(path);
      else if (stats) seen.push(`${path} ${stats.ino} ${stats.size} ${stats.mtimeMs}`);
    }
  }
  return seen.sort().join("\n");
}

/** A folder that is not there is an empty one: it may be mounted later. */
function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
