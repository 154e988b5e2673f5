import type { Database } from "../platform/database.ts";
import { AppError } from "../platform/errors.ts";
import { type LiveFilter, type LiveRow, type Position, readBetween, readPosition } from "./live_store.ts";

/** What happened since the batch before; `cursor` resumes behind it. */
export type LiveBatch = { cursor: string; rows: LiveRow[]; skipped: number };

const LOOK_MS = 250;
/** 200 rows a second: more would be neither read nor drawn. */
const ROWS_A_LOOK = 50;
const HEARTBEAT_MS = 5_000;
/** Then the reader comes back by itself, and its session is looked at again. */
const LONGEST_MS = 10 * 60_000;
const MOST_READERS = 50;

let readers = 0;

/**
 * The log as it grows, on whatever node: looked at every 250 ms while somebody reads, and not at all otherwise. Each
 * batch is written as `render` says, in the form of server-sent events.
 * @param after a cursor to go on behind; one that cannot be used starts at the end
 */
export function liveResponse(
  { sql }: Database,
  options: {
    filter: LiveFilter;
    after: string | null;
    signal: AbortSignal;
    render(batch: LiveBatch): string;
  },
): Response {
  if (readers >= MOST_READERS) {
    throw new AppError("unavailable", `${MOST_READERS} readers follow the live log of this node already; try later.`, {
      retryAfterSeconds: 30,
    });
  }
  const { signal, filter, render } = options;
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal, AbortSignal.timeout(LONGEST_MS)]);
  const encoder = new TextEncoder();

  async function follow(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    const write = (text: string) => controller.enqueue(encoder.encode(text));
    let position = parseCursor(options.after) ?? (await readPosition(sql));
    let spokenAt = Date.now();
    write(`id: ${formatCursor(position)}\n\n`);
    while (!either.aborted) {
      await pause(LOOK_MS, either);
      // A reader that does not keep up is left alone; what it misses is counted as skipped later.
      if (either.aborted || (controller.desiredSize ?? 0) <= 0) continue;
      const now = await readPosition(sql);
      const rows = await readBetween(sql, position, now, filter, ROWS_A_LOOK);
      position = now;
      if (either.aborted) return;
      if (rows.length > 0) {
        const skipped = (rows[0]?.total ?? 0) - rows.length;
        write(render({ cursor: formatCursor(position), rows, skipped }));
        spokenAt = Date.now();
      } else if (Date.now() - spokenAt >= HEARTBEAT_MS) {
        // With the cursor, so that a reader that comes back does not search all of the quiet time.
        write(`id: ${formatCursor(position)}\n\n`);
        spokenAt = Date.now();
      }
    }
  }

  const stream = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        readers++;
        void follow(controller)
          // The reader comes back by itself, and finds out what is the matter.
          .catch(() => {})
          .finally(() => {
            readers--;
            closeQuietly(controller);
          });
      },
      cancel: () => ended.abort(),
    },
    { highWaterMark: 16 },
  );
  return new Response(stream, { headers: { "content-type": "text/event-stream", "x-accel-buffering": "no" } });
}

/** One frame; every line of the data gets its own field, so that no data can forge another frame. */
export function frame(fields: { id?: string; event?: string; data: string }): string {
  const id = fields.id === undefined ? "" : `id: ${fields.id}\n`;
  const event = fields.event === undefined ? "" : `event: ${fields.event}\n`;
  const data = fields.data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  return `${id}${event}${data.join("")}\n`;
}

function formatCursor({ snapshot, blocks }: Position): string {
  const places = Object.entries(blocks).map(([name, block]) => `${name}=${block}`);
  return [snapshot, ...places].join("~");
}

function parseCursor(cursor: string | null): Position | null {
  if (cursor === null || cursor.length > 2_000) return null;
  const [snapshot = "", ...places] = cursor.split("~");
  // As Postgres writes it: xmin:xmax:xip_list, each number below 2^53.
  if (!/^\d{1,15}:\d{1,15}:(?:\d{1,15}(?:,\d{1,15})*)?$/.test(snapshot)) return null;
  const [xmin = "", xmax = ""] = snapshot.split(":");
  if (BigInt(xmin) > BigInt(xmax)) return null;
  const blocks = places.map((place) => place.split("=")).map(([name = "", block]) => [name, Number(block)] as const);
  if (blocks.some(([, block]) => !Number.isSafeInteger(block) || block < 0)) return null;
  return { snapshot, blocks: Object.fromEntries(blocks) };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => resolve(), { once: true });
  return promise.finally(() => {
    clearTimeout(timer);
  });
}

function closeQuietly(controller: ReadableStreamDefaultController<Uint8Array>): void {
  try {
    controller.close();
  } catch {
    // It was cancelled by the reader.
  }
}
