import { z } from "zod";
import { stringifyJson } from "../platform/json.ts";
import { jsonInput, pathInput, recordOf } from "./input.ts";

const MAX_BODY_CHARS = 65_536;

/** Set by the transport itself, or able to smuggle a second request. */
const TRANSPORT_HEADERS =
  /^(?:host|content-length|transfer-encoding|connection|keep-alive|upgrade|te|trailer|expect)$/i;
/** Would lie in the database in the clear. */
const SECRET_HEADERS = /^(?:authorization|proxy-authorization|cookie)$/i;

const headerName = z
  .string()
  .max(200)
  .regex(/^[!#$%&'*+.^_`|~\w-]+$/, { error: "not a header name (RFC 9110, section 5.6.2)" })
  .refine((name) => !TRANSPORT_HEADERS.test(name), { error: "this header is set by DeltaHook itself" })
  .refine((name) => !SECRET_HEADERS.test(name), { error: "create a secret and name it in secret_id instead" });

const headerValue = z
  .string()
  .max(4_000)
  .regex(/^[\t\x20-\x7e\x80-\xff]*$/, { error: "a header value holds no line breaks and only Latin-1 characters" });

const queryValue = z.union([z.string().max(4_000), z.number(), z.boolean(), z.array(z.string().max(4_000)).max(100)]);

/** The one HTTP request of a watch. */
export const requestInput = z
  .strictObject({
    method: z.enum(["GET", "POST", "PUT", "PATCH"]).default("GET"),
    url: z.string().max(4_000).superRefine(checkUrl),
    headers: recordOf(headerName, headerValue, 50).default({}),
    query: recordOf(z.string().min(1).max(200), queryValue, 100).default({}),
    body: jsonInput
      .refine((body) => stringifyJson(body).length <= MAX_BODY_CHARS, {
        error: `longer than ${MAX_BODY_CHARS} characters`,
      })
      .nullable()
      .default(null),
  })
  .refine(({ method, body }) => method !== "GET" || body === null, {
    path: ["body"],
    error: "a GET request has no body: use method POST, or put it into query",
  });

export type RequestInput = z.infer<typeof requestInput>;

const maxPages = z.int().min(1).max(1_000).default(100);
const parameter = z.string().min(1).max(200);

/** How the pages of a collection follow one another. */
export const paginationInput = z.discriminatedUnion("type", [
  /** The `Link` header with `rel="next"` (RFC 8288), or with `path` the next page's URL in the reply. */
  z.strictObject({ type: z.literal("link"), path: pathInput.optional(), max_pages: maxPages }),
  /** The next cursor stands in the reply at `path` and is sent as the query parameter `param`; null or absent ends. */
  z.strictObject({
    type: z.literal("cursor"),
    path: pathInput,
    param: parameter.default("cursor"),
    max_pages: maxPages,
  }),
  /** Pages are counted in the query parameter `param`, until one holds no items. */
  z.strictObject({
    type: z.literal("page"),
    param: parameter.default("page"),
    first: z.int().min(0).default(1),
    max_pages: maxPages,
  }),
  /** `limit` items a page; ends with a page of fewer. */
  z.strictObject({
    type: z.literal("offset"),
    param: parameter.default("offset"),
    limit_param: parameter.default("limit"),
    limit: z.int().min(1).max(10_000).default(100),
    max_pages: maxPages,
  }),
]);

export type PaginationInput = z.infer<typeof paginationInput>;

function checkUrl(text: string, context: z.RefinementCtx<string>): void {
  const fault = urlFault(text);
  if (fault) context.addIssue({ code: "custom", message: fault });
}

/** `deltahook:` is the built-in sample source. */
function urlFault(text: string): string | null {
  const url = URL.parse(text);
  if (!url || !["http:", "https:", "deltahook:"].includes(url.protocol)) return "must be an http or https address";
  if (!url.username && !url.password) return null;
  return "credentials in the address would be readable: create a secret and name it in secret_id";
}
