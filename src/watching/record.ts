import { createBatcher } from "../platform/batch.ts";
import type { Clock } from "../platform/clock.ts";
import { type Database, isAway, persist, type SqlRunner } from "../platform/database.ts";
import { messageOf } from "../platform/errors.ts";
import { parseId, publicId, uuidTime } from "../platform/ids.ts";
import { stringifyJson } from "../platform/json.ts";
import type { Log } from "../platform/log.ts";
import type { NewEvent, Publish } from "../delivering/publish.ts";
import { eventData } from "./event_data.ts";
import type { Finding } from "./finding.ts";
import { type LockedStatus, lastUnchanged, lockStatus, writeFindings } from "./record_store.ts";
import { insertUnchanged, type Settled, saveValidators, settle, type Unchanged, type Validators } from "./store.ts";

/** The boundaries of the path from a poll to its event: where a crash must neither lose a change nor state it twice. */
export type KillPoint = "loaded" | "fetched" | "locked" | "written" | "published" | "committed" | "settled";

export type Recorder = {
  /** Writes a finding down with its events, in one transaction. @returns false when another poll was faster. */
  finding(finding: Finding): Promise<boolean>;
  /** Joins the next batch of lines in the log. */
  unchanged(poll: Unchanged): void;
  settled(settled: Settled): void;
  validators(validators: Validators): void;
  /** Resolves when all that was handed over before is written. */
  flushed(): Promise<void>;
};

type Lines = { unchanged: Unchanged[]; settled: Settled[]; validators: Validators[] };

const FINDINGS_AT_ONCE = 64;
const LINES_AT_ONCE = 1_024;
const WAIT_MS = 5;

export function createRecorder(deps: {
  database: Database;
  clock: Clock;
  log: Log;
  publish: Publish;
  signal: AbortSignal;
  at(point: KillPoint): void;
}): Recorder {
  const { database, publish, signal, at } = deps;
  const findings = createBatcher<Finding, boolean>({
    size: FINDINGS_AT_ONCE,
    waitMs: WAIT_MS,
    concurrency: 2,
    run: recordAll,
  });
  const lines = createBatcher<Lines, void>({ size: 1, waitMs: 0, concurrency: 2, run: writeLines });
  let open: Lines = emptyLines();
  let timer: ReturnType<typeof setTimeout> | null = null;
  const inFlight = new Set<Promise<void>>();

  async function recordAll(batch: Finding[]): Promise<boolean[]> {
    try {
      return await persist(() => recordTogether(batch), signal);
    } catch (error) {
      if (batch.length === 1 || isAway(error)) throw error;
      deps.log.warn("findings could not be recorded together; each is recorded alone", { problem: messageOf(error) });
      return Promise.all(batch.map((finding) => recordAlone(finding)));
    }
  }

  /** One that cannot be recorded must not take others with it: it is polled again. */
  async function recordAlone(finding: Finding): Promise<boolean> {
    try {
      return (await persist(() => recordTogether([finding]), signal))[0] ?? false;
    } catch (error) {
      if (isAway(error)) throw error;
      deps.log.error("a poll could not be recorded", {
        watch: publicId("watch", finding.watch.id),
        problem: messageOf(error),
      });
      return false;
    }
  }

  function recordTogether(batch: Finding[]): Promise<boolean[]> {
    return database.sql.begin(async (tx) => {
      const locked = await lockStatus(
        tx,
        batch.map(({ watch }) => watch.id),
      );
      at("locked");
      const current = stillCurrent(batch, locked);
      if (current.length > 0) {
        const windows = await windowsOf(tx, current, locked);
        const numbered = current.map((finding) => numberEvents(finding, locked, windows));
        await writeFindings(
          tx,
          numbered.map(({ finding, sequence }) => ({ ...finding, sequence })),
        );
        at("written");
        await publish(
          tx,
          numbered.flatMap(({ events }) => events),
        );
        at("published");
      }
      const recorded = new Set(current);
      return batch.map((finding) => recorded.has(finding));
    }) as Promise<boolean[]>;
  }

  return {
    async finding(finding) {
      const recorded = await findings.add(finding);
      at("committed");
      return recorded;
    },
    unchanged(poll) {
      open.unchanged.push(poll);
      if (open.unchanged.length >= LINES_AT_ONCE) flush();
      else timer ??= setTimeout(flush, WAIT_MS);
    },
  };
}
