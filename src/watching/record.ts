import type { NewEvent, Publish } from "../delivering/publish.ts";
import { createBatcher } from "../platform/batch.ts";
import { type Database, isAway, persist, type SqlRunner } from "../platform/database.ts";
import { messageOf } from "../platform/errors.ts";
import { parseId, publicId, uuidTime } from "../platform/ids.ts";
import { stringifyJson } from "../platform/json.ts";
import type { Log } from "../platform/log.ts";
import { eventData } from "./event_data.ts";
import type { Finding } from "./finding.ts";
import type { EventDraft } from "./judge.ts";
import { type LockedStatus, lastUnchanged, lockStatus, writeFindings } from "./record_store.ts";

/** The boundaries on the way from a reply to its event: a crash at none of them may lose a change or state it twice. */
export type KillPoint = "loaded" | "answered" | "locked" | "written" | "published" | "committed";

export type Recorder = {
  /** Writes a finding down, its events included, in one transaction. @returns false when another poll was faster. */
  record(finding: Finding): Promise<boolean>;
  drain(): Promise<void>;
};

/** What a draft needs to become an event. */
export type Statement = {
  watch: Finding["watch"];
  drafts: readonly EventDraft[];
  /** The events of this watch so far. */
  sequence: number;
  window: { afterMs: number | null; untilMs: number };
};

const AT_ONCE = 64;
const WAIT_MS = 5;

export function createRecorder(deps: {
  database: Database;
  log: Log;
  publish: Publish;
  signal: AbortSignal;
  at(point: KillPoint): void;
}): Recorder {
  const { database, publish, signal, at } = deps;
  const batcher = createBatcher<Finding, boolean>({ size: AT_ONCE, waitMs: WAIT_MS, concurrency: 2, run });

  async function run(batch: Finding[]): Promise<boolean[]> {
    try {
      const recorded = await persist(() => recordTogether(batch), signal);
      at("committed");
      return recorded;
    } catch (error) {
      if (batch.length === 1 || isAway(error)) throw error;
      deps.log.warn("polls could not be recorded together; each is recorded alone", { problem: messageOf(error) });
      return Promise.all(batch.map(recordAlone));
    }
  }

  /** One that cannot be recorded must not take others with it: it is polled again when its claim ends. */
  async function recordAlone(finding: Finding): Promise<boolean> {
    try {
      const [recorded] = await persist(() => recordTogether([finding]), signal);
      return recorded ?? false;
    } catch (error) {
      if (isAway(error)) throw error;
      const watch = publicId("watch", finding.watch.id);
      deps.log.error("a poll could not be recorded", { watch, problem: messageOf(error) });
      return false;
    }
  }

  function recordTogether(batch: Finding[]): Promise<boolean[]> {
    return database.sql.begin(async (tx) => {
      const ids = batch.map(({ watch }) => watch.id);
      const locked = await lockStatus(tx, ids);
      at("locked");
      const current = stillCurrent(batch, locked);
      if (current.size > 0) await write(tx, [...current], locked);
      return batch.map((finding) => current.has(finding));
    }) as Promise<boolean[]>;
  }

  async function write(tx: SqlRunner, findings: Finding[], locked: Map<string, LockedStatus>): Promise<void> {
    const windows = await windowsOf(tx, findings, locked);
    const events: NewEvent[] = [];
    const numbered = findings.map((finding) => {
      const sequence = locked.get(finding.watch.id)?.sequence ?? 0;
      const window = { afterMs: windows.get(finding) ?? null, untilMs: finding.poll.startedAt };
      events.push(...eventsOf({ watch: finding.watch, drafts: finding.drafts, sequence, window }));
      for (const { type, data } of finding.systemEvents) {
        events.push({ type, data, origin: "system", watchId: finding.watch.id });
      }
      return { ...finding, sequence: sequence + finding.drafts.length };
    });
    await writeFindings(tx, numbered);
    at("written");
    await publish(tx, events);
    at("published");
  }

  return { record: (finding) => batcher.add(finding), drain: () => batcher.drain() };
}

/** The events of a watch, numbered on from those before. */
export function eventsOf({ watch, drafts, sequence, window }: Statement): NewEvent[] {
  const endpointIds = watch.endpointIds.map((id) => parseId("endpoint", id)).filter((id) => id !== null);
  const context = {
    watch: { id: publicId("watch", watch.id), name: watch.name },
    window: { after: window.afterMs === null ? null : timeOf(window.afterMs), until: timeOf(window.untilMs) },
  };
  return drafts.map((draft, index) => ({
    type: watch.eventType,
    data: stringifyJson(eventData(draft, { ...context, sequence: sequence + index + 1 })),
    origin: "watch",
    watchId: watch.id,
    endpointIds,
  }));
}

/** Of several polls of one state the first counts; the others judged what is no longer so. */
function stillCurrent(batch: readonly Finding[], locked: Map<string, LockedStatus>): Set<Finding> {
  const taken = new Set<string>();
  return new Set(
    batch.filter(({ watch, stateVersion }) => {
      if (taken.has(watch.id) || locked.get(watch.id)?.stateVersion !== stateVersion) return false;
      taken.add(watch.id);
      return true;
    }),
  );
}

/** When each watch that states something was last polled with success before: there the window of its change begins. */
async function windowsOf(
  tx: SqlRunner,
  findings: readonly Finding[],
  locked: Map<string, LockedStatus>,
): Promise<Map<Finding, number | null>> {
  const stating = findings.filter(({ drafts }) => drafts.length > 0);
  if (stating.length === 0) return new Map();
  const written = (finding: Finding) => locked.get(finding.watch.id)?.lastSuccessAt ?? null;
  const wanted = stating.map((finding) => ({
    watchId: finding.watch.id,
    since: written(finding) ?? 0,
    before: finding.poll.id,
  }));
  const unchanged = await lastUnchanged(tx, wanted);
  return new Map(
    stating.map((finding) => {
      const poll = unchanged.get(finding.watch.id);
      return [finding, poll === undefined ? written(finding) : uuidTime(poll)];
    }),
  );
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
