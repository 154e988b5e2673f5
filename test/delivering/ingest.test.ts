import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { type Ingest, requestHash, type Submission } from "../../src/delivering/ingest.ts";
import { AppError } from "../../src/platform/errors.ts";
import { type Flow, openFlow } from "../support/flow.ts";

let flow: Flow;
let ingest: Ingest;
beforeAll(async () => {
  flow = await openFlow();
});
beforeEach(async () => {
  await flow.endpoint({ url: "http://127.0.0.1:9/hook" });
  ingest = flow.engine({ work: false }).delivering.ingest;
});
afterEach(() => flow.reset());
afterAll(() => flow.end());

function submission(data: string, key?: string): Submission {
  const event = { type: "order.paid", data, origin: "api" as const };
  return { event: key === undefined ? event : { ...event, idempotencyKey: key }, requestHash: requestHash(data) };
}

async function kept(): Promise<{ events: number; deliveries: number; keys: number }> {
  const [row] = await flow.database.sql<{ events: number; deliveries: number; keys: number }[]>`
    select (select count(*) from deltahook.events) as events, (select count(*) from deltahook.deliveries) as deliveries,
           (select count(*) from deltahook.idempotency_keys) as keys`;
  return row ?? { events: -1, deliveries: -1, keys: -1 };
}

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(AppError);
  expect((error as AppError).code).toBe("conflict");
  return (error as AppError).message;
}

test("what is answered is committed", async () => {
  const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => ingest.submit(submission(`${i}`))));
  expect(await kept()).toEqual({ events: 300, deliveries: 300, keys: 0 });
  expect(new Set(answers.map(({ eventId }) => eventId)).size).toBe(300);
  expect(answers.every(({ deliveries }) => deliveries === 1)).toBe(true);
});

test("one that cannot be stored fails alone, not with those it arrived with", async () => {
  const broken = submission("{not json");
  const results = await Promise.allSettled(
    ["1", "2"].map((data) => ingest.submit(submission(data))).concat(ingest.submit(broken)),
  );
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
  expect(await kept()).toMatchObject({ events: 2 });
});

describe("a batch is stored all or none", () => {
  test.each([
    ["without keys", undefined],
    ["with a key", "k"],
  ])("%s", async (_, key) => {
    expect(ingest.submitAll([submission("1", key), submission("2"), submission("{not json")])).rejects.toThrow();
    await ingest.submitAll([submission("1", key), submission("2"), submission("{not json")]).catch(() => {});
    expect(await kept()).toEqual({ events: 0, deliveries: 0, keys: 0 });
    const answers = await ingest.submitAll([submission("1", key), submission("2")]);
    expect(answers).toHaveLength(2);
  });

  test("and answered in the order sent", async () => {
    const answers = await ingest.submitAll(
      Array.from({ length: 50 }, (_, i) => submission(`${i}`, i % 3 ? undefined : `k${i}`)),
    );
    const rows = await flow.database.sql<
      { id: string; data: string }[]
    >`select id, data::text as data from deltahook.events`;
    const dataOf = new Map(rows.map((row) => [row.id, row.data]));
    expect(answers.map(({ eventId }) => dataOf.get(eventId))).toEqual(Array.from({ length: 50 }, (_, i) => `${i}`));
  });

  test("also when one of its keys was used for something else", async () => {
    await ingest.submit(submission("1", "k"));
    await refusal(ingest.submitAll([submission("3"), submission("2", "k")]));
    expect(await kept()).toEqual({ events: 1, deliveries: 1, keys: 1 });
  });
});

describe("an idempotency key", () => {
  test("with the same body gets the same answer", async () => {
    const first = await ingest.submit(submission("1", "k"));
    expect(await ingest.submit(submission("1", "k"))).toEqual(first);
    expect(await ingest.submitAll([submission("1", "k"), submission("2")])).toMatchObject([first, {}]);
    expect(await kept()).toEqual({ events: 2, deliveries: 2, keys: 1 });
  });

  test("with another body is refused, with the remedy", async () => {
    await ingest.submit(submission("1", "k"));
    expect(await refusal(ingest.submit(submission("2", "k")))).toBe(
      'The idempotency key "k" was used within the last 24 hours for another event. Use a new key, or send the same body again.',
    );
    expect(await kept()).toEqual({ events: 1, deliveries: 1, keys: 1 });
  });

  test("that many use at once is taken once, on every node", async () => {
    const other = flow.engine({ work: false }).delivering.ingest;
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => (i % 2 ? ingest : other).submit(submission("1", `k${i % 5}`))),
    );
    expect(new Set(answers.map(({ eventId }) => eventId)).size).toBe(5);
    expect(await kept()).toEqual({ events: 5, deliveries: 5, keys: 5 });
  });

  test("that two bodies use at once goes to one of them", async () => {
    const results = await Promise.allSettled(["1", "2"].map((data) => ingest.submit(submission(data, "k"))));
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(await kept()).toEqual({ events: 1, deliveries: 1, keys: 1 });
  });

  test("may stand twice in one batch, for the same body", async () => {
    const [first, second, third] = await ingest.submitAll([
      submission("1", "k"),
      submission("1", "k"),
      submission("2"),
    ]);
    expect(second).toEqual(first as never);
    expect(third).not.toEqual(first as never);
    expect(await kept()).toEqual({ events: 2, deliveries: 2, keys: 1 });
    await refusal(ingest.submitAll([submission("1", "j"), submission("2", "j")]));
  });

  test("is free again after 24 hours, and not before", async () => {
    const first = await ingest.submit(submission("1", "k"));
    await flow.database.sql`update deltahook.idempotency_keys set created_at = now() - interval '23 hours 59 minutes'`;
    expect(await ingest.submit(submission("1", "k"))).toEqual(first);
    await flow.database.sql`update deltahook.idempotency_keys set created_at = now() - interval '24 hours 1 second'`;
    const later = await ingest.submit(submission("2", "k"));
    expect(later).not.toEqual(first);
    expect(await ingest.submit(submission("2", "k"))).toEqual(later);
  });

  test("is not used up by what could not be stored", async () => {
    await ingest.submit(submission("{not json", "k")).catch(() => {});
    expect(await ingest.submit(submission("1", "k"))).toMatchObject({ deliveries: 1 });
  });
});
