export { HookshotError } from "./error.ts";
export { Hookshot, Hookshot as default } from "./hookshot.ts";
export type {
  DatabaseOptions,
  DeliveryStatus,
  Duration,
  EventStatus,
  HookshotErrorCode,
  HookshotOptions,
  RetryPolicy,
  SendOptions,
  SendWebhookOptions,
  Sent,
} from "./types.ts";
