import type { DeliveryStatus, RetryPolicy } from "./types.ts";

/** One event on its way in. `data` is JSON text: these bytes arrive. */
export type Submission = {
  type: string;
  data: string;
  idempotencyKey: string;
  url?: string | undefined;
  headers?: Record<string, string> | undefined;
  retry?: RetryPolicy | undefined;
  timeoutMs?: number | undefined;
  keepMs?: number | undefined;
  endpointIds?: readonly string[] | undefined;
};

/** What became of an event. `waiting`: not yet handed to its endpoints. */
export type Found = { waiting: boolean; deliveries: DeliveryStatus[] };

/** A way into DeltaHook. Deadlines are on `performance.now()`; failures are `HookshotError`s. */
export type Door = {
  /** @returns the event's id */
  submit(submission: Submission, deadline: number): Promise<string>;
  /** @returns null when there is no such event */
  find(id: string, deadline: number): Promise<Found | null>;
  close(): Promise<void>;
};
