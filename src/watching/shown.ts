import { publicId, uuidTime } from "../platform/ids.ts";
import type { PollEnd } from "./conclude.ts";
import { readDefinition, shownWatch } from "./stored_watch.ts";
import type { WatchInput } from "./watch.ts";
import type { PollRow, WatchRow } from "./watches_store.ts";

/** A line of the poll log. `at` is when the request was sent. */
export type ShownPoll = {
  id: string;
  at: string;
  outcome: string;
  status: number | null;
  bytes: number;
  ms: number;
  changes: number;
  /** What failed or is held, and what to do. */
  problem: string | null;
  /** What else there is to say: a new reference, changes kept back by the conditions. */
  note: string | null;
  next_poll_at: string | null;
};

/** A watch as the API shows it: its body, and how it is doing. No credential. */
export type ShownWatch = WatchInput & {
  id: string;
  paused: boolean;
  next_poll_at: string | null;
  last_poll: ShownPoll | null;
  health: {
    state: "ok" | "retrying" | "failing" | "held" | "paused";
    /** Failed polls in a row. */
    failures: number;
    problem: string | null;
    held: { poll_id: string; at: string; changes: number; problem: string | null } | null;
  };
  /** The watches on this host together ask for more than its limits allow. */
  warning: string | null;
  created_at: string;
  updated_at: string;
};

export function showWatch(row: WatchRow, warning: string | null): ShownWatch {
  const held =
    row.held === null
      ? null
      : (JSON.parse(row.held) as { poll_id: string; at: string; changes: number; problem: string | null });
  return {
    id: publicId("watch", row.id),
    ...shownWatch(readDefinition(row.definition)),
    paused: row.pausedAt !== null,
    next_poll_at: isoTime(row.nextPollAt),
    last_poll: row.lastPoll ? showPoll(row.lastPoll) : null,
    health: {
      state: stateOf(row),
      failures: row.failures,
      problem: row.problem,
      held: held && { ...held, poll_id: publicId("poll", held.poll_id) },
    },
    warning,
    created_at: row.createdAt.toISOString(),
    updated_at: row.updatedAt.toISOString(),
  };
}

export function showPoll(row: PollRow): ShownPoll {
  const { outcome, status, bytes, ms, changes, problem, note } = row;
  const at = new Date(uuidTime(row.id)).toISOString();
  const next_poll_at = isoTime(row.nextPollAt);
  return { id: publicId("poll", row.id), at, outcome, status, bytes, ms, changes, problem, note, next_poll_at };
}

/** A poll that has just ended. */
export function showEnd({ poll, outcome, changes, problem, note, nextPollAt }: PollEnd): ShownPoll {
  const { id, status, bytes, ms } = poll;
  return showPoll({
    id,
    outcome,
    status,
    bytes,
    ms,
    changes,
    problem,
    note,
    nextPollAt: nextPollAt === null ? null : new Date(nextPollAt),
  });
}

function stateOf(row: WatchRow): ShownWatch["health"]["state"] {
  if (row.pausedAt !== null) return "paused";
  if (row.failing) return "failing";
  if (row.failures > 0) return "retrying";
  if (row.held !== null) return "held";
  return "ok";
}

function isoTime(time: Date | string | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
