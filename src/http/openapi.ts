import { z } from "zod";
import { VERSION } from "../platform/version.ts";
import { PROBLEMS } from "./problem.ts";
import type { Route } from "./route.ts";

type Json = Record<string, unknown>;

/** The OpenAPI 3.1 document of a table of routes; pages are left out. */
export function openapiOf(routes: readonly Route[], publicUrl: string): Json {
  const api = routes.filter((route) => route.kind !== "page");
  const paths: Record<string, Json> = {};
  for (const route of api) {
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "DeltaHook",
      version: VERSION,
      description: "Watches REST APIs for changes and delivers webhooks. Times are RFC 3339 in UTC, errors RFC 9457.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: publicUrl }],
    tags: [...new Set(api.map((route) => route.tag))].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        bearer: {
          type: "http",
          scheme: "bearer",
          description: "An API key (`dhk_…`) or a token of POST /v1/auth/login",
        },
      },
      schemas: { Problem: PROBLEM },
      responses: Object.fromEntries(PROBLEMS.map((kind) => [`Problem${kind.status}`, problem(kind)])),
    },
  };
}

const PROBLEM = {
  type: "object",
  description: "RFC 9457",
  required: ["type", "title", "status", "detail"],
  properties: {
    type: { type: "string", format: "uri" },
    title: { type: "string" },
    status: { type: "integer" },
    detail: { type: "string", description: "The cause and the remedy, for people" },
    errors: {
      type: "array",
      items: {
        type: "object",
        required: ["pointer", "message"],
        properties: {
          pointer: { type: "string", description: "JSON Pointer (RFC 6901) into the body, or to a query parameter" },
          message: { type: "string" },
        },
      },
    },
  },
};

function operation(route: Route): Json {
  return {
    operationId: operationId(route),
    summary: route.summary,
    tags: [route.tag],
    security: route.access === "open" ? [] : [{ bearer: [] }],
    ...(route.access === "open" ? {} : { description: `Needs the role ${route.access}.` }),
    parameters: [...pathParameters(route), ...queryParameters(route)],
    ...(route.body ? { requestBody: requestBody(route.body, route.bodyExample) } : {}),
    responses: { ...answers(route), ...problems(route) },
  };
}

/** `GET /v1/watches/:id/polls` → `getWatchesIdPolls`. */
function operationId({ method, path }: Route): string {
  const words = path.replace(/^\/v1\//, "").match(/[a-z0-9]+/gi) ?? [];
  return method.toLowerCase() + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
}

function pathParameters({ path }: Route): Json[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
}

function queryParameters({ query }: Route): Json[] {
  if (!query) return [];
  const { properties = {}, required = [] } = schemaOf(query) as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema,
  }));
}

function requestBody(body: z.ZodType, example: unknown): Json {
  const required = !body.safeParse(undefined).success;
  return { required, content: { "application/json": { schema: schemaOf(body), example } } };
}

/** Of what comes in. What zod cannot express (a check in code) is left open, never wrong. */
function schemaOf(type: z.ZodType): Json {
  const { $schema, ...schema } = z.toJSONSchema(type, {
    io: "input",
    unrepresentable: "any",
    reused: "inline",
    override({ zodSchema, jsonSchema }) {
      // A check before a schema (`unknown → record`) says nothing by itself: the schema behind it does.
      const { def } = zodSchema._zod;
      if (def.type !== "pipe" || Object.keys(jsonSchema).length > 0) return;
      const out = (def as unknown as { out: z.ZodType }).out;
      if (out._zod.def.type !== "transform") Object.assign(jsonSchema, schemaOf(out));
    },
  }) as Json;
  return schema;
}

function answers(route: Route): Json {
  const entries = route.answers.map(({ status, description, example, type = "application/json" }) => {
    const content = example === undefined ? {} : { content: { [type]: { example } } };
    return [String(status), { description, ...content }];
  });
  return Object.fromEntries(entries);
}

function problems(route: Route): Json {
  const statuses = [
    ...(route.body ? [400, 408, 413, 415] : []),
    ...(route.access === "open" ? [] : [401, 403]),
    ...(route.path.includes(":") ? [404] : []),
    ...(route.body || route.query ? [422] : []),
    429,
    500,
    503,
  ];
  return Object.fromEntries(statuses.map((status) => [status, { $ref: `#/components/responses/Problem${status}` }]));
}

function problem({ type, title, status }: (typeof PROBLEMS)[number]): Json {
  const example = { type, title, status, detail: "What is wrong, and what to do about it." };
  const schema = { $ref: "#/components/schemas/Problem" };
  return { description: title, content: { "application/problem+json": { schema, example } } };
}
