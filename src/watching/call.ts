import { stringifyJson } from "../platform/json.ts";
import type { Ask } from "./ask.ts";
import { isHealthy } from "./finding.ts";
import type { Lane } from "./lanes.ts";
import type { Due, Known } from "./store.ts";
import type { KnownWatch } from "./watch_cache.ts";

/** One claimed watch, and where its poll runs. */
export type Call = {
  due: Due;
  watch: KnownWatch;
  /** What the loader was told is in memory already. */
  known: Known;
  job: string;
  lane: Lane;
  signal: AbortSignal;
  /** Called once, when the poll waits for no place any more. */
  started(): void;
};

/** Calls that one request serves; the first one makes it. */
export type Group = readonly [Call, ...Call[]];

export const FULL_POLL_MS = 24 * 3_600_000;

/** Those that ask the same with the same credential together, each other one by itself. */
export function groupsOf(calls: readonly Call[]): Group[] {
  const groups = new Map<unknown, [Call, ...Call[]]>();
  for (const call of calls) {
    const group = groups.get(call.watch.sharing);
    if (group) group.push(call);
    else groups.set(call.watch.sharing ?? call, [call]);
  }
  return [...groups.values()];
}

/** The request of a group. What only some of its watches know, validators or a body, is left out. */
export function askOf(group: Group, nowMs: number, signal: AbortSignal): Ask {
  const [{ due, watch }] = group;
  const secret = due.secretId === null ? null : { id: due.secretId, revision: due.secretRevision };
  const conditions = group.map((call) => conditionsOf(call.due, call.watch, nowMs));
  const bodies = group.map(quietBodyOf);
  return {
    watch,
    secret,
    conditions: areAlike(conditions.map((each) => stringifyJson(each))) ? (conditions[0] ?? null) : null,
    quietBody: areAlike(bodies) ? (bodies[0] ?? null) : null,
    signal,
  };
}

/** The body that is known to change nothing in the state of this watch. */
export function quietBodyOf({ due, watch }: Call): number | bigint | null {
  const { quiet } = watch;
  return quiet?.version === due.stateVersion && isHealthy(due) ? quiet.body : null;
}

/** The first page of several says nothing about the others. */
export function canBeConditional({ request, input }: KnownWatch): boolean {
  return request.method === "GET" && input.pagination === null;
}

/** RFC 9110, section 13. A full poll every 24 h, since some sources get their validators wrong. */
function conditionsOf(due: Due, watch: KnownWatch, nowMs: number): Record<string, string> | null {
  if ((due.etag === null && due.lastModified === null) || !canBeConditional(watch) || !isHealthy(due)) return null;
  if (due.fullPollAt === null || nowMs - due.fullPollAt >= FULL_POLL_MS) return null;
  const conditions: Record<string, string> = {};
  if (due.etag !== null) conditions["if-none-match"] = due.etag;
  if (due.lastModified !== null) conditions["if-modified-since"] = due.lastModified;
  return conditions;
}

function areAlike(values: readonly unknown[]): boolean {
  return values.every((value) => value === values[0]);
}
