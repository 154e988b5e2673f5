import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connectDatabase, connectionString, isAway, persist } from "../../src/platform/database.ts";
import { silentLog } from "../../src/platform/log.ts";
import { testDatabase } from "../support/database.ts";

let at: Awaited<ReturnType<typeof testDatabase>>;
beforeAll(async () => {
  at = await testDatabase();
});
afterAll(() => at.drop());

const unending = new AbortController().signal;

function failure(code: string): Error {
  return Object.assign(new Error(code), { code });
}

test("counters are numbers, times are in UTC", async () => {
  const [row] = await at.database.sql`select 9007199254740991::bigint as n, current_setting('timezone') as zone`;
  expect(row).toEqual({ n: Number.MAX_SAFE_INTEGER, zone: "UTC" });
});

test("no query is lost while its connection breaks: each is answered or fails, and the next one works", async () => {
  const own = connectDatabase(at.target, { max: 1, log: silentLog });
  const settled = (query: PromiseLike<unknown>) =>
    Promise.race([
      query.then(
        () => "answered",
        () => "failed",
      ),
      Bun.sleep(10_000).then(() => "lost"),
    ]);
  try {
    for (let i = 0; i < 20; i++) {
      const [backend] = await persist(() => own.sql`select pg_backend_pid() as pid`, unending);
      await at.database.sql`select pg_terminate_backend(${backend?.pid as number})`;
      // Asked for at once after a failure, as a batcher or a repeated task does.
      for (let tries = 0; tries < 3; tries++) expect(await settled(own.sql`select 1`)).not.toBe("lost");
    }
    expect(await persist(() => own.sql`select 42 as n`, unending)).toEqual([{ n: 42 }] as never);
  } finally {
    await own.close();
  }
}, 30_000);

describe("the address for the queue", () => {
  test.each([
    [{ url: "postgres://me@db/x" }, "postgres://me@db/x"],
    [{ host: "/run/a b", port: 5499, user: "me", database: "x" }, "postgres://me@/x?host=%2Frun%2Fa%20b&port=5499"],
    [
      { host: "/run", port: 1, user: "me", database: "x", password: "p@ss/word" },
      "postgres://me:p%40ss%2Fword@/x?host=%2Frun&port=1",
    ],
  ])("of %j", (target, text) => {
    expect(connectionString(target)).toBe(text);
  });
});

test.each([
  ["57P01", true],
  ["57P03", true],
  ["08006", true],
  ["CONNECTION_CLOSED", true],
  ["ECONNREFUSED", true],
  ["23505", false],
  ["57014", false],
  ["40P01", false],
])("%s means that Postgres is away: %p", (code, away) => {
  expect(isAway(failure(code))).toBe(away);
});

test("what has no code is no sign of an absence", () => {
  for (const thrown of [new Error("x"), null, undefined, "57P01", { code: 57 }]) expect(isAway(thrown)).toBe(false);
});

describe("what must be written down", () => {
  test("is tried until Postgres is back", async () => {
    const answers = [failure("ECONNREFUSED"), failure("57P03"), failure("40P01")];
    const written = await persist(async () => {
      const error = answers.shift();
      if (error) throw error;
      return "written";
    }, unending);
    expect(written).toBe("written");
  });

  test("is not tried again when it is wrong", async () => {
    let tries = 0;
    const writing = persist(async () => {
      tries++;
      throw failure("23505");
    }, unending);
    expect(writing).rejects.toThrow("23505");
    await writing.catch(() => {});
    expect(tries).toBe(1);
  });

  test("is given up when the time to stop has come", async () => {
    const stop = new AbortController();
    const writing = persist(async () => {
      stop.abort();
      throw failure("ECONNREFUSED");
    }, stop.signal);
    expect(writing).rejects.toThrow("ECONNREFUSED");
    await writing.catch(() => {});
  });

  test("survives a real deadlock with somebody else", async () => {
    const { sql } = at.database;
    await sql`create table pair (id int primary key, n int not null default 0)`;
    await sql`insert into pair values (1), (2)`;
    let met = 0;
    const bothHoldOne = Promise.withResolvers<void>();
    const crossing = (first: number, second: number) =>
      persist(
        () =>
          sql.begin(async (tx) => {
            await tx`update pair set n = n + 1 where id = ${first}`;
            if (++met === 2) bothHoldOne.resolve();
            await bothHoldOne.promise;
            await tx`update pair set n = n + 1 where id = ${second}`;
          }),
        unending,
      );
    await Promise.all([crossing(1, 2), crossing(2, 1)]);
    expect(met).toBe(3);
    expect((await sql`select n from pair order by id`).map((row) => row.n)).toEqual([2, 2]);
  });
});
