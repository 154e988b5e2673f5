import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { Glob } from "bun";

/**
 * The rooms of src/, from the ground up; rooms of one floor stand side by side and do not see each other. So client,
 * which is built into the package for Node and any Bun, knows no other room.
 */
const FLOORS = [
  ["platform", "client"],
  ["plugins", "vault", "identity"],
  ["delivering"],
  ["watching"],
  ["http"],
  ["cli"],
];
const FLOOR_OF = new Map(FLOORS.flatMap((rooms, floor) => rooms.map((room) => [room, floor] as const)));

/** Packages that open connections of their own. Their types may be named anywhere. */
const NETWORK_MODULES = /^(node:)?(http|https|http2)$|^(undici|axios|got|ws|node-fetch)$/;
const NETWORK_CALLS =
  /(?<![.\w$])fetch\s*\(|=\s*fetch\b|\b(globalThis|Bun)\.fetch\b|\bBun\.(connect|udpSocket)\b|\b(net|tls)\.(connect|createConnection)\b|\bnew (WebSocket|EventSource|Socket)\b/;

type Import = { target: string; typeOnly: boolean };
type SourceFile = { path: string; code: string; imports: Import[] };

/**
 * Checks DESIGN.md's "Rooms and floors" over src/, views/ and plugins/.
 * @returns one sentence for each import or call that breaks a rule; empty when the house stands.
 */
export function floorFaults(root: string): string[] {
  const files = readSources(root);
  const importFaults = files.flatMap((file) =>
    file.imports.flatMap((found) => {
      const broken = brokenRule(file.path, found);
      return broken ? [`${file.path} imports ${found.target}: ${broken}`] : [];
    }),
  );
  return [...files.flatMap(misplaced), ...importFaults, ...files.flatMap(forbiddenWords), ...circles(files)];
}

function misplaced({ path }: SourceFile): string[] {
  const room = roomOf(path);
  if (room === null || FLOOR_OF.has(room)) return [];
  return [`${path} stands in no room of DESIGN.md; the rooms are ${[...FLOOR_OF.keys()].join(", ")}`];
}

/** The rule that an import breaks, as a sentence, or null. `target` is a path from the root, or a package's name. */
function brokenRule(from: string, { target, typeOnly }: Import): string | null {
  if (target.startsWith("test/")) return "nothing imports from test/";
  if (from.startsWith("views/")) return brokenByView(target, typeOnly);
  if (from.startsWith("plugins/")) {
    const outside = /^(src|views)\//.test(target);
    return outside ? "a plugin knows only deltahook/plugin and its own files" : null;
  }
  if (target.startsWith("plugins/")) return "plugins are drop-ins: loaded from their folder, never imported";
  if (target.startsWith("views/")) {
    return from.startsWith("src/http/pages/") ? null : "views are imported from src/http/pages only";
  }
  if (NETWORK_MODULES.test(target) && !typeOnly && !isPart(from, "src/platform/outbound")) {
    return "only src/platform/outbound.ts makes outbound requests";
  }
  return brokenBetweenRooms(from, target, typeOnly);
}

function brokenByView(target: string, typeOnly: boolean): string | null {
  if (target.startsWith("views/") || /^preact(\/|$)/.test(target)) return null;
  if (target.startsWith("src/") && typeOnly) return null;
  return "a view imports only preact, other views, and types (`import type`) from src";
}

function brokenBetweenRooms(from: string, target: string, typeOnly: boolean): string | null {
  const [room, other] = [roomOf(from), roomOf(target)];
  if (room === null || other === null || room === other) return null;
  const [floor, otherFloor] = [FLOOR_OF.get(room), FLOOR_OF.get(other)];
  if (floor === undefined || otherFloor === undefined) return null;
  if (floor < otherFloor) return `${room} is below ${other}, and imports go down only`;
  if (floor === otherFloor) return `${room} and ${other} share a floor and do not import each other`;
  if (room === "watching" && other === "delivering" && !typeOnly && !isPart(target, "src/delivering/publish")) {
    return "watching knows delivering only through src/delivering/publish.ts";
  }
  return null;
}

function forbiddenWords({ path, code, imports }: SourceFile): string[] {
  const faults: string[] = [];
  const namesQueue =
    code.includes("graphile-worker") || imports.some((found) => /^graphile-worker\b/.test(found.target));
  if (namesQueue && !isPart(path, "src/platform/queue")) {
    faults.push(`${path} names graphile-worker: only src/platform/queue.ts does`);
  }
  const call = NETWORK_CALLS.exec(code)?.[0];
  if (call && path.startsWith("src/") && !isPart(path, "src/platform/outbound") && !callsOurServer(path, call)) {
    const remedy = "only src/platform/outbound.ts makes outbound requests (a server's handler is `fetch: handle`)";
    faults.push(`${path} has ${call.trim()}: ${remedy}`);
  }
  return faults;
}

/** The client and the command line ask our own server, at an address that their user gives: no stranger's text decides it. */
function callsOurServer(path: string, call: string): boolean {
  return /\bfetch\b/.test(call) && /^src\/(client|cli)\//.test(path);
}

/** Each circle of imports once, types included: `a → b → a`. */
function circles(files: SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const done = new Set<string>();
  const faults: string[] = [];
  const visit = (path: string, trail: string[]): void => {
    const start = trail.indexOf(path);
    if (start !== -1) faults.push(`circle of imports: ${[...trail.slice(start), path].join(" → ")}`);
    if (start !== -1 || done.has(path)) return;
    const targets = new Set(byPath.get(path)?.imports.map((found) => found.target));
    for (const target of targets) if (byPath.has(target)) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const file of files) visit(file.path, []);
  return faults;
}

/** What puts the rooms together stands beside them. */
const WIRING = ["src/main.ts", "src/rooms.ts"];

/** `src/watching/diff.ts` → `watching`; the wiring belongs to `cli`; other top folders and packages → null. */
function roomOf(path: string): string | null {
  if (WIRING.includes(path)) return "cli";
  return /^src\/([^/]+)/.exec(path)?.[1] ?? null;
}

/** Whether a path is `base.ts` or lies in the folder `base/`. */
function isPart(path: string, base: string): boolean {
  return path === `${base}.ts` || path.startsWith(`${base}/`);
}

function readSources(root: string): SourceFile[] {
  const folders = ["src", "views", "plugins"].filter((folder) => existsSync(join(root, folder)));
  return folders
    .flatMap((folder) =>
      [...new Glob("**/*.{ts,tsx,mjs}").scanSync({ cwd: join(root, folder) })].map((f) => `${folder}/${f}`),
    )
    .sort()
    .map((path) => readSource(root, path));
}

function readSource(root: string, path: string): SourceFile {
  // The transpiler does not know the first line of a script, `#!…`.
  const text = readFileSync(join(root, path), "utf8").replace(/^#!.*/, "");
  const transpiler = new Bun.Transpiler({ loader: path.endsWith(".tsx") ? "tsx" : "ts" });
  // Statements are read from the text, since the transpiler leaves out those that only import types.
  // It also adds the runtime of JSX, which nobody wrote.
  const called = transpiler
    .scanImports(text)
    .filter((found) => found.kind !== "import-statement" && text.includes(`"${found.path}"`));
  const imports = [...statements(text), ...called.map((found) => ({ target: found.path, typeOnly: false }))];
  return {
    path,
    code: transpiler.transformSync(text), // without comments and types
    imports: imports.map(({ target, typeOnly }) => ({ target: fromRoot(path, target), typeOnly })),
  };
}

/** The import and `export … from` statements of a file; the formatter puts each at the start of a line. */
function statements(text: string): Import[] {
  const pattern = /^(?:import|export)\s+(?:(type\s+)?((?:[\w$*\s,]|\{[^}]*\})+?)\s+from\s+)?["']([^"']+)["']/gm;
  return [...text.matchAll(pattern)].map(([, type, names = "", target = ""]) => ({
    target,
    typeOnly: type !== undefined || onlyTypes(names),
  }));
}

/** Whether `{ type A, type B }` names nothing but types. */
function onlyTypes(names: string): boolean {
  const list = /^\{([^}]*)\}$/.exec(names.trim())?.[1];
  if (list === undefined) return false;
  const parts = list.split(",").map((part) => part.trim());
  return parts.every((part) => part === "" || part.startsWith("type "));
}

function fromRoot(importer: string, target: string): string {
  return target.startsWith(".") ? normalize(join(dirname(importer), target)) : target;
}
