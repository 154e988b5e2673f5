import type { Sql } from "./database.ts";

/** The database's time, kept by an offset to this machine's clock; several nodes thus agree on what is due. */
export type Clock = {
  /** Milliseconds since 1970 on the database's clock. */
  now(): number;
  /** A new UUIDv7 (RFC 9562) of the database's time; ids of one node rise strictly. */
  uuid(): string;
  /** Measures the offset again. */
  synchronise(sql: Sql): Promise<void>;
};

export function createClock(): Clock {
  let offsetMs = 0;
  const now = () => Date.now() + offsetMs;
  return {
    now,
    uuid: () => Bun.randomUUIDv7("hex", now()),
    async synchronise(sql) {
      const before = Date.now();
      const [row] = await sql<{ ms: number }[]>`select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`;
      const after = Date.now();
      if (row) offsetMs = Math.round(row.ms - (before + after) / 2);
      // Within the round trip the two clocks cannot be told apart.
      if (Math.abs(offsetMs) <= after - before) offsetMs = 0;
    },
  };
}
