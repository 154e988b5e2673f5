import type { Use } from "../plugins/plugins.ts";
import { type CompiledWatch, sharingKey } from "./compile.ts";
import type { Hash } from "./extract.ts";
import type { Source } from "./governor.ts";
import { useOf } from "./hooks.ts";
import { type PlainRequest, plainRequest, type ReadyRequest } from "./request.ts";
import type { WatchState } from "./state.ts";
import type { Due, Known } from "./store.ts";
import { compileStored, readDefinition, type StoredWatch } from "./stored_watch.ts";
import { bodiesToKeep } from "./watch.ts";

/** Everything about a watch that stands as long as its revision, parsed once. */
export type KnownWatch = {
  readonly id: string;
  readonly revision: number;
  readonly input: StoredWatch;
  readonly compiled: CompiledWatch;
  readonly source: Source;
  readonly request: PlainRequest;
  /** Watches with the same one need but one request together. */
  readonly sharing: string | null;
  /** Its plugins, or null when it has none. */
  readonly use: Use | null;
  /** The request with its credential on, for as long as that one is good. */
  ready: ReadyRequest | null;
  /** For redacted values; opened with the first poll. */
  hash: Hash | null;
  /** The last state loaded, when it is small. */
  state: { version: number; rows: WatchState } | null;
  /** A body that was found to change nothing in that state: the same one need not be parsed again. */
  quiet: { version: number; body: number | bigint } | null;
  /** How many bodies to keep for backtests, and the last one that this node has. */
  readonly keepBodies: number;
  keptBody: number | bigint | null;
};

export type WatchCache = {
  find(id: string): KnownWatch | null;
  /** The watch that a row is about: the one found before, or compiled anew. @throws when what is stored does not compile. */
  keep(due: Due, found: KnownWatch | null): KnownWatch;
};

const MOST = 20_000;
/** Beyond that, one in so many takes the place of the oldest: who comes in turn would otherwise never be found. */
const ADMITTED = 1 / 16;

export function createWatchCache(): WatchCache {
  const watches = new Map<string, KnownWatch>();

  function replaceOldest(watch: KnownWatch): void {
    for (const oldest of watches.keys()) {
      watches.delete(oldest);
      break;
    }
    watches.set(watch.id, watch);
  }

  return {
    find: (id) => watches.get(id) ?? null,
    keep(due, found) {
      if (found?.revision === due.revision) return found;
      if (due.definition === null) throw new TypeError("the definition of a watch was not loaded");
      const watch = knownWatch(due, readDefinition(due.definition));
      if (watches.size < MOST || watches.has(due.id)) watches.set(due.id, watch);
      else if (Math.random() < ADMITTED) replaceOldest(watch);
      return watch;
    },
  };
}

/** What `loadDue` need not bring, because it is in memory. */
export function knownOf(id: string, watch: KnownWatch | null): Known {
  if (!watch) return { id, revision: -1, stateVersion: -1 };
  return { id, revision: watch.revision, stateVersion: watch.state?.version ?? watch.quiet?.version ?? -1 };
}

export function knownWatch(
  { id, revision, secretId }: { id: string; revision: number; secretId: string | null },
  input: StoredWatch,
): KnownWatch {
  const request = plainRequest(input);
  return {
    id,
    revision,
    input,
    compiled: compileStored(input),
    source: { host: hostOf(request.url), credential: secretId ?? "" },
    request,
    sharing: sharingKey(input, secretId),
    use: useOf(id, input),
    ready: null,
    hash: null,
    state: null,
    quiet: null,
    keepBodies: bodiesToKeep(input),
    keptBody: null,
  };
}

/** The host that politeness goes by: name and port, as in the URL. */
export function hostOf(url: string): string {
  return URL.parse(url)?.host ?? "";
}
