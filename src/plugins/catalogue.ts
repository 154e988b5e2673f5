import { messageOf } from "../platform/errors.ts";
import type { Log } from "../platform/log.ts";
import { bundlePlugin, type Source } from "./bundle.ts";
import type { Bundle, Hook, Loaded, LoadFault } from "./messages.ts";
import { createPool, type Pool } from "./pool.ts";

/** A plugin as people see it. */
export type PluginInfo = {
  name: string;
  /** The hash of what runs; null when it never loaded. */
  version: string | null;
  origin: Origin;
  file: string;
  hooks: readonly Hook[];
  timeoutMs: number | null;
  description: string | null;
  /** Of its options: a JSON Schema, or null when it declares none. */
  options: object | null;
  /** Why the file as it is now cannot be used; an earlier version then goes on serving, where there is one. */
  error: { message: string; file: string; line: number | null; column: number | null } | null;
};

export type Origin = "shipped" | "folder";
export type OwnedSource = Source & { origin: Origin };

/** One state of all plugin files: the threads that run it, and what there is to tell about it. */
export type Catalogue = {
  pool: Pool;
  plugins: readonly PluginInfo[];
  byName: ReadonlyMap<string, Loaded>;
  /** What is in it, to see whether anything has changed. */
  key: string;
};

type Candidate = { source: OwnedSource; bundle: Bundle | null; error: LoadFault | null };

/**
 * Loads plugins into fresh threads. A file that cannot be read or loaded is left out, with its error, or stands as it was
 * in `before`. The later of two plugins of one name wins if it comes from the user's folder over a shipped one.
 * @returns `before` itself when nothing has changed
 */
export async function loadCatalogue(
  sources: readonly OwnedSource[],
  before: Catalogue | null,
  good: GoodBundles,
  log: Log,
): Promise<Catalogue> {
  const paths = new Set(sources.map(pathOf));
  for (const path of good.keys()) if (!paths.has(path)) good.delete(path);
  const candidates = await Promise.all(sources.map((source) => candidateOf(source, good)));
  const key = JSON.stringify(candidates.map(({ source, bundle, error }) => [source, bundle?.version, error?.message]));
  if (before?.key === key) return before;
  for (;;) {
    const inUse = candidates.filter(({ bundle }) => bundle !== null);
    const pool = createPool({ bundles: inUse.map(({ bundle }) => bundle as Bundle), log });
    const faults = faultsOf(inUse, await pool.loaded);
    if ("loaded" in faults) return { pool, key, ...catalogue(candidates, faults.loaded, good) };
    pool.stop();
    for (const [candidate, error] of faults.faults) fallBack(candidate, error, good);
  }
}

/** The last bundle of each file that loaded, by its path. */
export type GoodBundles = Map<string, Bundle>;

async function candidateOf(source: OwnedSource, good: GoodBundles): Promise<Candidate> {
  const built = await bundlePlugin(source).catch((error) => ({
    file: source.file,
    message: messageOf(error),
    place: null,
  }));
  if ("code" in built) return { source, bundle: built, error: null };
  return { source, bundle: good.get(pathOf(source)) ?? null, error: built };
}

type Judged = { loaded: Map<Candidate, Loaded> } | { faults: Map<Candidate, LoadFault> };

function faultsOf(inUse: readonly Candidate[], result: Awaited<Pool["loaded"]>): Judged {
  if (!Array.isArray(result)) {
    const culprit = inUse[result.bundle];
    if (!culprit) throw new Error(`the plugin threads cannot be started: ${result.problem}`);
    return { faults: new Map([[culprit, { file: culprit.source.file, message: result.problem, place: null }]]) };
  }
  const loaded = new Map<Candidate, Loaded>();
  const faults = new Map<Candidate, LoadFault>();
  const owners = new Map<string, Candidate>();
  for (const [index, candidate] of inUse.entries()) {
    const found = result[index];
    if (!found) continue;
    if ("message" in found) {
      faults.set(candidate, found);
      continue;
    }
    const owner = owners.get(found.name);
    if (owner && owner.source.origin === candidate.source.origin) {
      const message = `${owner.source.file} has a plugin named "${found.name}" already: give this one another name`;
      faults.set(candidate, { file: candidate.source.file, message, place: null });
      continue;
    }
    owners.set(found.name, candidate);
    loaded.set(candidate, found);
  }
  return faults.size > 0 ? { faults } : { loaded };
}

/** Another version of the file is taken, if there is one that was good and is not this one. */
function fallBack(candidate: Candidate, error: LoadFault, good: GoodBundles): void {
  const earlier = good.get(pathOf(candidate.source)) ?? null;
  const isTried = earlier?.version === candidate.bundle?.version;
  candidate.error ??= error;
  candidate.bundle = isTried ? null : earlier;
}

function catalogue(candidates: readonly Candidate[], loaded: Map<Candidate, Loaded>, good: GoodBundles) {
  const byName = new Map<string, Loaded>();
  const shown = new Map<string, PluginInfo>();
  for (const candidate of candidates) {
    const found = loaded.get(candidate) ?? null;
    const info = infoOf(candidate, found);
    if (found && candidate.bundle) good.set(pathOf(candidate.source), candidate.bundle);
    if (found) byName.set(found.name, found);
    // Whoever meant to replace a shipped plugin must not get that one by a slip of the pen.
    const isShadow = !found && shown.get(info.name)?.origin === "shipped";
    if (isShadow) byName.delete(info.name);
    shown.set(found || isShadow ? info.name : pathOf(candidate.source), info);
  }
  return { byName, plugins: [...shown.values()].sort((a, b) => (a.name < b.name ? -1 : 1)) };
}

function infoOf({ source, error }: Candidate, loaded: Loaded | null): PluginInfo {
  return {
    name: loaded?.name ?? source.file.replace(/\.\w+$/, ""),
    version: loaded?.version ?? null,
    origin: source.origin,
    file: source.file,
    hooks: loaded?.hooks ?? [],
    timeoutMs: loaded?.timeoutMs ?? null,
    description: loaded?.description ?? null,
    options: loaded?.options ?? null,
    error: error && {
      message: error.message,
      file: error.place?.file ?? error.file,
      line: error.place?.line ?? null,
      column: error.place?.column ?? null,
    },
  };
}

function pathOf({ folder, file }: Source): string {
  return `${folder}/${file}`;
}
