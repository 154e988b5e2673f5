import { z } from "zod";
import { stringifyJson } from "../platform/json.ts";
import { compilePath, isPathFault } from "../platform/jsonpath.ts";
import { DEFAULT_MAX_IN_FLIGHT } from "./endpoint.ts";
import { type CheckUrl, durationInput, headersInput, idInput, nameInput, retryInput, urlInput } from "./input.ts";

const MINUTE_MS = 60_000;
const MOST_OPTIONS_CHARS = 16_384;

export const typePattern = z
  .string()
  .regex(/^[A-Za-z0-9_.:/*-]{1,200}$/, { error: "must be an event type, in which * stands for any characters" });

export const filter = z
  .string()
  .max(1_000)
  .superRefine((text, context) => {
    const path = compilePath(text);
    if (isPathFault(path)) context.addIssue({ code: "custom", message: `not a JSONPath filter: ${path.message}` });
  });

const pluginName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, { error: "must be the name of a plugin" });

/** The members of an endpoint's body: what each holds, and its default. */
function members(checkUrl: CheckUrl) {
  return {
    name: nameInput.optional(),
    url: urlInput(checkUrl),
    event_types: z.array(typePattern).max(50).default(["*"]),
    filter: filter.nullable().default(null),
    headers: headersInput.default({}),
    secret_id: idInput("secret").nullable().default(null),
    plugin: z
      .union([pluginName, z.array(pluginName).max(10)], { error: "must be the name of a plugin, or a list of names" })
      .nullable()
      .default(null)
      .transform((names) => (names === null ? [] : [names].flat())),
    plugin_options: z
      .record(z.string(), z.unknown())
      .refine((options) => stringifyJson(options).length <= MOST_OPTIONS_CHARS, {
        error: `must have at most ${MOST_OPTIONS_CHARS} characters as JSON`,
      })
      .default({}),
    retry: retryInput.nullable().default(null),
    timeout: durationInput(100, 5 * MINUTE_MS)
      .nullable()
      .default(null),
    rate_limit: z
      .strictObject({ per: durationInput(100, 60 * MINUTE_MS), max: z.int().min(1).max(100_000) })
      .nullable()
      .default(null),
    max_in_flight: z.int().min(1).max(1_000).default(DEFAULT_MAX_IN_FLIGHT),
    ordered: z.boolean().default(false),
    auto_pause: z.boolean().default(true),
  };
}

/** The body that creates an endpoint; durations come out in milliseconds, ids as UUIDs, a missing name as the host. */
export function endpointInput(checkUrl: CheckUrl) {
  return z
    .strictObject(members(checkUrl))
    .transform((body) => ({ ...body, name: body.name ?? new URL(body.url).host }));
}

export type EndpointInput = z.output<ReturnType<typeof endpointInput>>;

/** A merge patch of that body (RFC 7396). Only the names are checked: the values are, once they are merged. */
export const endpointPatch = z.strictObject(
  Object.fromEntries(Object.keys(members(() => null)).map((name) => [name, z.unknown().optional()])),
);

export const secretRotation = z
  .strictObject({ expire_old_after: durationInput(0, 30 * 24 * 60 * MINUTE_MS).default(24 * 60 * MINUTE_MS) })
  .optional()
  .transform((body) => body?.expire_old_after ?? 24 * 60 * MINUTE_MS);
