import pg, { type Connection, type Submittable } from "pg";
import { type ConnectionTarget, connectionString } from "./database.ts";

/** Whole rows in Postgres's text format of COPY, each ended by one newline. */
export type CopyPart = { bytes: Buffer; rows: number };

/** One connection for a transaction around many COPYs. `run` takes statements without parameters. */
export type CopyConnection = {
  run<Row extends pg.QueryResultRow>(statement: string): Promise<Row[]>;
  /** The rows of a table in parts of about `partBytes`. Postgres waits while the reader does not ask for the next. */
  copyOut(statement: string, partBytes: number): AsyncGenerator<CopyPart>;
  /** @throws what Postgres has against the rows */
  copyIn(statement: string, bytes: Buffer): Promise<void>;
  close(): Promise<void>;
};

/** As the driver has them; its types leave them out. */
type CopyWire = Connection & { sendCopyFromChunk(bytes: Buffer): void; endCopyFrom(): void };

/** Parts that wait to be read before Postgres is stopped. */
const AHEAD = 2;
const NEWLINE = 0x0a;

/**
 * A connection of `pg`, since under Bun a COPY through `postgres` never goes on once its reader was slower than Postgres.
 */
export async function openCopy(target: ConnectionTarget, name: string): Promise<CopyConnection> {
  const client = new pg.Client({ connectionString: connectionString(target), application_name: name });
  // A connection that breaks fails the statement under way; without a listener it would end the process as well.
  client.on("error", () => {});
  await client.connect();
  return {
    run: async (statement) => (await client.query(statement)).rows,
    copyOut: (statement, partBytes) => client.query(new CopyOut(statement, partBytes)).parts(),
    copyIn: (statement, bytes) => client.query(new CopyIn(statement, bytes)).done.promise,
    close: () => client.end(),
  };
}

/** The `handle…` methods are what the driver calls, by name, on the query in progress. */
class CopyOut implements Submittable {
  readonly #statement: string;
  readonly #partBytes: number;
  readonly #ready: CopyPart[] = [];
  #buffer: Buffer;
  #filled = 0;
  #connection: Connection | null = null;
  #paused = false;
  #ended = false;
  #error: Error | null = null;
  #wake = () => {};

  constructor(statement: string, partBytes: number) {
    this.#statement = statement;
    this.#partBytes = partBytes;
    this.#buffer = Buffer.allocUnsafe(partBytes);
  }

  submit(connection: Connection): void {
    this.#connection = connection;
    connection.query(this.#statement);
  }

  /** Each message is one row (PostgreSQL's protocol, COPY operations), in a buffer that the driver uses again. */
  handleCopyData({ chunk }: { chunk: Buffer }): void {
    if (this.#filled > 0 && this.#filled + chunk.length > this.#buffer.length) this.#flush();
    if (chunk.length > this.#buffer.length) this.#buffer = Buffer.allocUnsafe(chunk.length);
    this.#filled += chunk.copy(this.#buffer, this.#filled);
  }

  handleCommandComplete(): void {
    if (this.#filled > 0) this.#flush();
  }

  handleReadyForQuery(): void {
    this.#ended = true;
    this.#wake();
  }

  handleError(error: Error): void {
    this.#error = error;
    this.#wake();
  }

  async *parts(): AsyncGenerator<CopyPart> {
    for (;;) {
      const part = this.#ready.shift();
      if (this.#paused && this.#ready.length < AHEAD) {
        this.#paused = false;
        this.#connection?.stream.resume();
      }
      if (part) {
        yield part;
        continue;
      }
      if (this.#error) throw this.#error;
      if (this.#ended) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #flush(): void {
    const bytes = this.#buffer.subarray(0, this.#filled);
    this.#ready.push({ bytes, rows: countRows(bytes) });
    this.#buffer = Buffer.allocUnsafe(this.#partBytes);
    this.#filled = 0;
    if (this.#ready.length >= AHEAD && !this.#paused) {
      this.#paused = true;
      this.#connection?.stream.pause();
    }
    this.#wake();
  }
}

class CopyIn implements Submittable {
  readonly done = Promise.withResolvers<void>();
  readonly #statement: string;
  readonly #bytes: Buffer;

  constructor(statement: string, bytes: Buffer) {
    this.#statement = statement;
    this.#bytes = bytes;
  }

  submit(connection: Connection): void {
    connection.query(this.#statement);
  }

  handleCopyInResponse(connection: CopyWire): void {
    connection.sendCopyFromChunk(this.#bytes);
    connection.endCopyFrom();
  }

  handleCommandComplete(): void {}

  handleReadyForQuery(): void {
    this.done.resolve();
  }

  handleError(error: Error): void {
    this.done.reject(error);
  }
}

/** A newline within a value is written as `\n` (PostgreSQL's documentation, COPY, text format). */
export function countRows(bytes: Buffer): number {
  let rows = 0;
  for (let at = bytes.indexOf(NEWLINE); at !== -1; at = bytes.indexOf(NEWLINE, at + 1)) rows++;
  return rows;
}
