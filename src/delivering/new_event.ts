/** One fact to tell. */
export type NewEvent = {
  /** Made beforehand where something is sealed for it. */
  id?: string;
  /** Its row is there already (`deltahook.send` wrote it): only its deliveries are missing. */
  written?: true;
  type: string;
  /** The payload's `data` as JSON text: these very bytes are sent. */
  data: string;
  origin: "watch" | "api" | "sql" | "system";
  watchId?: string;
  /** Exactly these endpoints (UUIDs); empty or absent: whoever subscribes to the type. */
  endpointIds?: readonly string[];
  /** The endpoint that a system event is about, and that it never reaches. */
  aboutEndpoint?: string;
  /** A direct send: the implicit endpoint of its origin, and what is particular to this one. */
  target?: { endpointId: string; stored: string };
  idempotencyKey?: string;
};
