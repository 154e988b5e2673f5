import type { Faults } from "./form.tsx";

type TextField =
  | ("name" | "source" | "method" | "headers" | "query" | "body" | "secret_id")
  | ("every" | "timezone" | "adaptive_min" | "adaptive_max")
  | ("fields" | "items_path" | "items_key" | "items_fields" | "items_events" | "removed_after" | "conditions")
  | ("pagination" | "page_path" | "page_param" | "page_first" | "page_limit_param" | "page_limit" | "max_pages")
  | ("format" | "plugin" | "plugin_options" | "missing_after" | "keep_bodies")
  | ("event_type" | "endpoint_url");

/** The fields as text, and the boxes that are ticked. */
export type WatchForm = Record<TextField, string> &
  Record<"emit_initial" | "window" | "no_guard" | "redact" | "play", boolean> & { endpoint_ids: string[] };

/** A part of the form. */
export type PartProps = { form: WatchForm; faults: Faults };

/** The watch that is edited: `version` tells whether somebody else has changed it meanwhile. */
export type EditedWatch = { id: string; name: string; version: string };
