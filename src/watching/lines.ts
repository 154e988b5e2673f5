import { persist, type Sql } from "../platform/database.ts";
import type { KeptBody } from "./bodies.ts";
import { insertBodies } from "./bodies_store.ts";
import { insertUnchanged, type Settled, saveValidators, settle, type Unchanged, type Validators } from "./store.ts";

/** What most polls leave behind: a line in the log, and now and then a note for the next poll. Written many at once. */
export type Lines = {
  unchanged(poll: Unchanged): void;
  settled(settled: Settled): void;
  validators(validators: Validators): void;
  body(body: KeptBody): void;
  /** Resolves when all that was handed over before is written. */
  flushed(): Promise<void>;
};

type Batch = {
  unchanged: Unchanged[];
  settled: Settled[];
  validators: Validators[];
  bodies: KeptBody[];
  written: PromiseWithResolvers<void>;
};

const AT_ONCE = 1_024;
const BODIES_AT_ONCE = 64;
const WAIT_MS = 5;
const CONCURRENCY = 2;

/** Items join the open batch without a promise of their own: at 15,000 polls a second each would be felt. */
export function createLines(sql: Sql, signal: AbortSignal): Lines {
  let open = emptyBatch();
  let timer: ReturnType<typeof setTimeout> | null = null;
  const underway = new Set<Batch>();

  function joined(): void {
    const isFull =
      open.unchanged.length >= AT_ONCE || open.settled.length >= AT_ONCE || open.bodies.length >= BODIES_AT_ONCE;
    if (isFull) start();
    else timer ??= setTimeout(start, WAIT_MS);
  }

  function start(): void {
    if (timer) clearTimeout(timer);
    timer = null;
    if (isEmpty(open) || underway.size >= CONCURRENCY) return;
    const batch = open;
    open = emptyBatch();
    underway.add(batch);
    write(sql, batch, signal)
      .then(batch.written.resolve, batch.written.reject)
      .finally(() => {
        underway.delete(batch);
        start();
      });
  }

  return {
    unchanged(poll) {
      open.unchanged.push(poll);
      joined();
    },
    settled(settled) {
      open.settled.push(settled);
      joined();
    },
    validators(validators) {
      open.validators.push(validators);
      joined();
    },
    body(body) {
      open.bodies.push(body);
      joined();
    },
    async flushed() {
      const batches = isEmpty(open) ? [...underway] : [...underway, open];
      await Promise.all(batches.map(({ written }) => written.promise));
    },
  };
}

async function write(sql: Sql, { unchanged, settled, validators, bodies }: Batch, signal: AbortSignal): Promise<void> {
  await Promise.all([
    unchanged.length > 0 ? persist(() => insertUnchanged(sql, unchanged), signal) : null,
    settled.length > 0 ? persist(() => settle(sql, settled), signal) : null,
    validators.length > 0 ? persist(() => saveValidators(sql, validators), signal) : null,
    bodies.length > 0 ? persist(() => insertBodies(sql, bodies), signal) : null,
  ]);
}

function isEmpty({ unchanged, settled, validators, bodies }: Batch): boolean {
  return unchanged.length + settled.length + validators.length + bodies.length === 0;
}

function emptyBatch(): Batch {
  const written = Promise.withResolvers<void>();
  // Whoever waits for the batch gets its error; without anybody waiting it must not end the process.
  written.promise.catch(() => {});
  return { unchanged: [], settled: [], validators: [], bodies: [], written };
}
