import { z } from "zod";
import { AppError, invalid, messageOf } from "../../platform/errors.ts";
import type { Json } from "../../platform/json.ts";
import { compilePath, isPathFault, type PathMatch } from "../../platform/jsonpath.ts";
import { jsonInput } from "../../watching/input.ts";
import { type Route, route } from "../route.ts";

const MOST_BODY_BYTES = 8 * 1024 * 1024;
const MOST_MATCHES = 10_000;

const trial = z.strictObject({
  path: z.string().max(1_000),
  document: jsonInput,
  dialect: z.enum(["rfc9535", "plus"]).default("rfc9535"),
});

/** Tries a path on a document, as a watch would. */
export function jsonpathRoutes(): Route[] {
  return [
    route({
      method: "POST",
      path: "/v1/jsonpath",
      summary: "Try a JSONPath on a document",
      tag: "Watches",
      access: "viewer",
      body: trial,
      bodyExample: { path: "$.order.lines[*].sku", document: { order: { lines: [{ sku: "A-1" }, { sku: "B-2" }] } } },
      maxBodyBytes: MOST_BODY_BYTES,
      answers: [
        {
          status: 200,
          description:
            "What the path matches, in document order, each with its normalised path (RFC 9535, section 2.7)",
          example: { matches: [{ path: "$['order']['lines'][0]['sku']", value: "A-1" }] },
        },
      ],
      handle: ({ body }) => ({ status: 200, body: { matches: match(body.path, body.dialect, body.document) } }),
    }),
  ];
}

function match(text: string, dialect: "rfc9535" | "plus", document: Json): PathMatch[] {
  const path = compilePath(text, dialect);
  if (isPathFault(path)) throw invalid("/path", `not a JSONPath: ${path.message}`);
  const matches = matchesOf(() => path.matches(document));
  if (matches.length <= MOST_MATCHES) return matches;
  throw invalid("/path", `it matches ${matches.length} values, more than the ${MOST_MATCHES} that are answered`);
}

/** A sound path may still ask too much of a document. */
function matchesOf(run: () => PathMatch[]): PathMatch[] {
  try {
    return run();
  } catch (error) {
    throw new AppError("invalid", `The path cannot be followed through this document: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
