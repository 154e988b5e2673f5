/** `500ms`, `30s`, `5m`, `2h`, `1d`, or a number of seconds. */
export type Duration = string | number;

/** When a webhook is tried again: a list of delays, or delays that grow; `attempts` counts the first try too. */
export type RetryPolicy =
  | { delays: readonly Duration[] }
  | { attempts: number; first?: Duration; factor?: number; max?: Duration };

/** How to reach DeltaHook's database. */
export type DatabaseOptions = {
  host?: string;
  port?: number;
  user?: string;
  password?: string;
  database?: string;
  /** As the `postgres` package takes it; for managed databases mostly `"require"` or `"verify-full"`. */
  ssl?: boolean | "require" | "allow" | "prefer" | "verify-full" | object;
};

/** What holds for every `sendWebhook` that does not say otherwise; without it the server's settings. */
type Shared = {
  /** When it is tried again; RETRY_DELAYS. */
  retry?: RetryPolicy;
  /** How long one try may take, 100 ms to 5 m; DELIVERY_TIMEOUT. */
  timeout?: Duration;
  /** How long its dead letter is kept, 1 h to 3650 d; RETAIN_DEAD_LETTERS. */
  deadLetterRetention?: Duration;
};

/** Over HTTP with an API key, or straight into Postgres: then events can join no HTTP outage. */
export type HookshotOptions = Shared &
  ({ url: string; apiKey: string; db?: never } | { db: DatabaseOptions | string; url?: never; apiKey?: never });

export type SendWebhookOptions = {
  /** Arrives as the header `x-deltahook-event`; `webhook` by default. */
  type?: string;
  /** The same key within 24 hours sends nothing twice. */
  idempotencyKey?: string;
  /** Headers of your own. Straight into Postgres no credentials, which could not be sealed there. */
  headers?: Record<string, string>;
} & Shared;

export type SendOptions = {
  idempotencyKey?: string;
  /** Exactly these endpoints (`ep_…`) instead of all that subscribe; only over HTTP. */
  endpointIds?: readonly string[];
};

/** `id` is the event's, and the `webhook-id` that arrives. */
export type Sent = { id: string };

export type DeliveryStatus = {
  id: string;
  url: string;
  status: "pending" | "delivered" | "dead" | "cancelled";
  /** HTTP tries made so far. */
  tries: number;
  /** When the next try is due; null when there is none, or the endpoint cannot take it now. */
  dueAt: string | null;
  finishedAt: string | null;
  /** The HTTP status of the last answer. */
  lastStatus: number | null;
  lastError: string | null;
};

/**
 * `status` is `pending` while anything is owed, then `dead` if any delivery died, `cancelled` if any was cancelled,
 * `delivered` if all arrived, and `unclaimed` when nobody subscribes to it.
 */
export type EventStatus = {
  id: string;
  status: DeliveryStatus["status"] | "unclaimed";
  deliveries: DeliveryStatus[];
};

/** What went wrong, with the remedy as far as it is known. */
export type HookshotErrorCode =
  | "invalid" // the call is wrong; the same again fails again
  | "conflict" // the idempotency key was used for something else
  | "refused" // the key or database user may not do this
  | "not_found"
  | "unavailable" // DeltaHook could not be reached for 30 s; nothing is lost by calling again
  | "timeout"; // `wait` gave up; the webhook is still owed
