import type { SqlRunner } from "../platform/database.ts";

/** One fact to tell. */
export type NewEvent = {
  type: string;
  /** The payload's `data` as JSON text: these very bytes are sent. */
  data: string;
  origin: "watch" | "api" | "sql" | "system";
  watchId?: string;
  /** Exactly these endpoints (UUIDs); empty or absent: whoever subscribes to the type. */
  endpointIds?: readonly string[];
  /** The endpoint that a system event is about, and that it never reaches. */
  aboutEndpoint?: string;
};

export type Published = { eventId: string; deliveries: number };

/** The one door from watching into delivering. */
export type Publish = (sql: SqlRunner, events: readonly NewEvent[]) => Promise<Published[]>;
