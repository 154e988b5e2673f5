import { createHash } from "node:crypto";
import { createBatcher } from "../platform/batch.ts";
import type { Database, SqlRunner } from "../platform/database.ts";
import { AppError } from "../platform/errors.ts";
import type { Rollups } from "../platform/rollups.ts";
import { takeKeys } from "./ingest_store.ts";
import type { NewEvent, Publish, Published } from "./publish.ts";

/** An event from outside, with the hash of what was asked, by which a repeated key is told from a misused one. */
export type Submission = { event: NewEvent; requestHash: Buffer };

export type Ingest = {
  /** Joins a group commit; resolves after the commit. @throws AppError (409) for a key used with another body. */
  submit(submission: Submission): Promise<Published>;
  /** All or none, in one transaction of their own. */
  submitAll(submissions: Submission[]): Promise<Published[]>;
  drain(): Promise<void>;
};

/** Concurrent single submissions are committed in groups; a group that fails is committed one by one. */
export function createIngest(deps: { database: Database; publish: Publish; rollups: Rollups }): Ingest {
  const { sql } = deps.database;
  type Settled = { published: Published } | { error: unknown };

  const group = createBatcher<Submission, Settled>({
    size: 200,
    waitMs: 2,
    concurrency: 2,
    run: async (batch) => {
      const together = await settle(() => commit(batch));
      if ("published" in together) return together.published.map((published) => ({ published }));
      if (batch.length === 1) return [{ error: together.error }];
      return Promise.all(
        batch.map(async (submission): Promise<Settled> => {
          const alone = await settle(() => commit([submission]));
          return "error" in alone ? alone : { published: alone.published[0] as Published };
        }),
      );
    },
  });

  async function commit(batch: readonly Submission[]): Promise<Published[]> {
    const published = await (batch.some(({ event }) => event.idempotencyKey !== undefined)
      ? (sql.begin((tx) => commitKeyed(tx, batch)) as Promise<Published[]>)
      : deps.publish(
          sql,
          batch.map(({ event }) => event),
        ));
    deps.rollups.count("events", batch.length);
    return published;
  }

  /** Keys are taken in sorted order, so that two batches cannot wait for each other in a circle. */
  async function commitKeyed(tx: SqlRunner, batch: readonly Submission[]): Promise<Published[]> {
    const first = firstOfEachKey(batch);
    const taken = await takeKeys(tx, first);
    const fresh = batch.filter((submission) => isFresh(submission, first, taken));
    const published = await deps.publish(
      tx,
      fresh.map(({ event }) => event),
    );
    const answers = new Map<Submission, Published>();
    fresh.forEach((submission, i) => {
      answers.set(submission, published[i] as Published);
    });
    await taken.keep(
      fresh.map((submission) => ({
        key: submission.event.idempotencyKey,
        published: answers.get(submission) as Published,
      })),
    );
    return batch.map((submission) => answers.get(submission) ?? earlier(submission, first, taken, answers));
  }

  function earlier(
    submission: Submission,
    first: Map<string, Submission>,
    taken: Awaited<ReturnType<typeof takeKeys>>,
    answers: Map<Submission, Published>,
  ): Published {
    const key = submission.event.idempotencyKey as string;
    const known = taken.known.get(key);
    const hash = known?.requestHash ?? first.get(key)?.requestHash;
    if (!hash?.equals(submission.requestHash)) throw keyMisused(key);
    return known?.published ?? (answers.get(first.get(key) as Submission) as Published);
  }

  return {
    async submit(submission) {
      const settled = await group.add(submission);
      if ("error" in settled) throw settled.error;
      return settled.published;
    },
    submitAll: (submissions) => commit(submissions),
    drain: () => group.drain(),
  };
}

function firstOfEachKey(batch: readonly Submission[]): Map<string, Submission> {
  const first = new Map<string, Submission>();
  for (const submission of batch) {
    const key = submission.event.idempotencyKey;
    if (key !== undefined && !first.has(key)) first.set(key, submission);
  }
  return first;
}

function isFresh(
  submission: Submission,
  first: Map<string, Submission>,
  taken: { known: Map<string, unknown> },
): boolean {
  const key = submission.event.idempotencyKey;
  return key === undefined || (first.get(key) === submission && !taken.known.has(key));
}

function keyMisused(key: string): AppError {
  return new AppError(
    "conflict",
    `The idempotency key ${JSON.stringify(key)} was used within the last 24 hours for another event. Use a new key, or send the same body again.`,
  );
}

/** The hash by which "the same body" is judged. */
export function requestHash(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

async function settle<T>(work: () => Promise<T>): Promise<{ published: T } | { error: unknown }> {
  try {
    return { published: await work() };
  } catch (error) {
    return { error };
  }
}
