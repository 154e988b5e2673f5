import type { Database, SqlRunner } from "../platform/database.ts";
import { AppError } from "../platform/errors.ts";
import { parseId, publicId } from "../platform/ids.ts";
import type { Log } from "../platform/log.ts";
import type { Witness } from "../platform/witness.ts";
import type { Vault } from "../vault/vault.ts";
import { IMPLICIT } from "./direct.ts";
import { findEndpoint, insertEndpoint, newId } from "./endpoint_store.ts";
import { listenerUrl } from "./listen_door.ts";
import type { ListenQuery } from "./listen_input.ts";
import { createLook } from "./listen_look.ts";
import * as store from "./listen_store.ts";
import { firstSigning, openSigning } from "./signing_secrets.ts";

/** A temporary endpoint whose deliveries are answered by whoever opened it. `stream` is the connection it is served by. */
export type Listener = {
  id: string;
  secret: string;
  eventTypes: readonly string[];
  filter: string | null;
  stream: string;
};

/** The reader of one connection; none of these throws. */
export type ListenReader = {
  /** Whether it has read so far; until then what it is sent waits in the database, and not in our memory. */
  isReady(): boolean;
  deliver(request: store.ListenRequest): void;
  /** The lease was renewed: tell the reader that the connection stands. */
  beat(): void;
  /** The listener is gone, or another connection has taken over. */
  end(): void;
};

/** What `deltahook listen` does with the room. Ids of listeners are public ones (`ep_…`); `who` is a word for the caller. */
export type Listening = {
  /**
   * Opens a listener, or goes on with one.
   * @throws AppError (403) for somebody else's, (404) for one that is gone, (503) when there are too many
   */
  open(who: string, query: ListenQuery, witness?: Witness<Listener>): Promise<Listener>;
  /** Gives a reader what its listener is sent. @returns what ends it; the lease lasts 30 s longer, for coming back */
  follow(listener: Listener, reader: ListenReader): () => void;
  /** @returns how many of these requests still waited for their answer */
  answer(who: string, id: string, answers: readonly { request: string; answer: store.ListenAnswer }[]): Promise<number>;
};

/** How long a listener that nobody follows is kept. */
export const LEASE_MS = 30_000;
const RENEW_EVERY_MS = 5_000;
const MOST_LISTENERS = 100;
const MOST_IN_FLIGHT = 16;

export function createListening(deps: { database: Database; vault: Vault; log: Log }): Listening {
  const { sql } = deps.database;
  const readers = new Map<string, ListenReader>();
  let renewedAt = 0;
  const begin = createLook({
    name: "the look for requests to listeners",
    log: deps.log,
    wanted: () => readers.size > 0,
    look,
  });

  /** For all connections of this node together. */
  async function look(): Promise<void> {
    const ready = [...readers].filter(([, reader]) => reader.isReady()).map(([stream]) => stream);
    for (const { stream, ...request } of await store.takeRequests(sql, ready)) {
      readers.get(stream)?.deliver(request);
    }
    if (performance.now() - renewedAt >= RENEW_EVERY_MS) await renew();
  }

  async function renew(): Promise<void> {
    renewedAt = performance.now();
    const asked = [...readers];
    const held = await store.renewLeases(
      sql,
      asked.map(([stream]) => stream),
    );
    for (const [stream, reader] of asked) {
      if (held.has(stream)) reader.beat();
      else reader.end();
    }
  }

  async function make(who: string, query: ListenQuery, witness: Witness<Listener> | undefined): Promise<Listener> {
    const id = await newId(sql);
    const stream = crypto.randomUUID();
    const endpoint = {
      ...IMPLICIT,
      id,
      kind: "listen" as const,
      origin: null,
      name: "deltahook listen",
      url: listenerUrl(id),
      event_types: query.event_types,
      filter: query.filter ?? null,
      retry: { delays: [] },
      // As long as the lease: a request put just when the connection broke is answered once it is back.
      timeout_ms: LEASE_MS,
      max_in_flight: MOST_IN_FLIGHT,
      auto_pause: false,
      signing: await firstSigning(deps.vault, id),
    };
    return sql.begin(async (tx) => {
      await insertEndpoint(tx, endpoint);
      if (!(await store.insertListener(tx, { endpointId: id, openedBy: who, stream }, MOST_LISTENERS))) throw tooMany();
      const made = await read(tx, id, stream);
      await witness?.(tx, made);
      return made;
    });
  }

  async function goOn(who: string, endpointId: string): Promise<Listener> {
    await requireOwn(who, endpointId);
    const stream = crypto.randomUUID();
    if (!(await store.takeOver(sql, endpointId, stream))) throw listenerGone();
    return read(sql, endpointId, stream);
  }

  async function requireOwn(who: string, endpointId: string): Promise<void> {
    const listener = await store.findListener(sql, endpointId);
    if (!listener) throw listenerGone();
    if (listener.openedBy !== who) throw new AppError("forbidden", "Somebody else listens here: open one of your own.");
  }

  async function read(runner: SqlRunner, endpointId: string, stream: string): Promise<Listener> {
    const row = await findEndpoint(runner, endpointId);
    const [signing] = row ? await openSigning(deps.vault, row.id, row.signing, Date.now()) : [];
    if (!row || !signing) throw listenerGone();
    const { event_types: eventTypes, filter } = row;
    return { id: publicId("endpoint", row.id), secret: signing.secret, eventTypes, filter, stream };
  }

  return {
    open: (who, query, witness) =>
      query.listener === undefined ? make(who, query, witness) : goOn(who, query.listener),

    follow({ stream }, reader) {
      readers.set(stream, reader);
      begin();
      return () => void readers.delete(stream);
    },

    async answer(who, id, answers) {
      const endpointId = parseId("endpoint", id);
      if (endpointId === null) throw listenerGone();
      await requireOwn(who, endpointId);
      return store.answerRequests(sql, endpointId, answers);
    },
  };
}

function listenerGone(): AppError {
  return new AppError("not_found", "There is no such listener, or not any more: open a new one with GET /v1/listen.");
}

function tooMany(): AppError {
  return new AppError("unavailable", `${MOST_LISTENERS} are listening to this server already; try later.`, {
    retryAfterSeconds: 30,
  });
}
