import fc from "fast-check";

type Schema = { [key: string]: unknown };

export type Operation = {
  method: string;
  path: string;
  query: { name: string; schema: Schema }[];
  body: { schema: Schema; example: unknown } | null;
};

export type FuzzedRequest = { path: string; body: string | undefined };

type Documented = {
  parameters: { name: string; in: string; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema; example: unknown }> };
};

/** All operations of an OpenAPI document, paths as they stand there (`/v1/watches/{id}`). */
export function readOperations(document: { paths: Record<string, Record<string, Documented>> }): Operation[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { parameters, requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      query: parameters.filter((parameter) => parameter.in === "query"),
      body: requestBody?.content["application/json"] ?? null,
    })),
  );
}

/** Requests that follow the schemas, and ones that nearly do. @param ids what paths and bodies may refer to */
export function requestOf(operation: Operation, ids: readonly string[]): fc.Arbitrary<FuzzedRequest> {
  return fc.record({
    path: fc
      .tuple(pathOf(operation.path, ids), queryOf(operation.query, ids))
      .map(([path, query]) => (query === "" ? path : `${path}?${query}`)),
    body: operation.body ? bodyOf(operation.body, ids) : fc.constant(undefined),
  });
}

function pathOf(template: string, ids: readonly string[]): fc.Arbitrary<string> {
  const parts = template.split("/").map((part) => (part.startsWith("{") ? segment(ids) : fc.constant(part)));
  return fc.tuple(...parts).map((filled) => filled.join("/"));
}

function segment(ids: readonly string[]): fc.Arbitrary<string> {
  const odd = fc.string({ minLength: 1, maxLength: 60, unit: "binary" }).filter((text) => text.isWellFormed());
  return fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom(...ids) },
    {
      weight: 1,
      arbitrary: fc.constantFrom("%zz", "%00", "..%2f..%2fetc%2fpasswd", "__proto__", "constructor", "%F0%9F"),
    },
    { weight: 1, arbitrary: odd.map(encodeURIComponent).filter((text) => text !== "." && text !== "..") },
  );
}

function queryOf(parameters: Operation["query"], ids: readonly string[]): fc.Arbitrary<string> {
  if (parameters.length === 0) return fc.constantFrom("", "", "", "x=1");
  const pairs = parameters.map(({ name, schema }) =>
    fc.option(fc.oneof(valueFor(schema, ids, 0), oddValue(ids)).map((value) => [name, textOf(value)] as const)),
  );
  return fc
    .tuple(...pairs)
    .map((given) => new URLSearchParams(given.filter((pair) => pair !== null).map(([name, text]) => [name, text])))
    .map(String);
}

function textOf(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return text.toWellFormed();
}

/** As described; the example with one part of it replaced, added or taken out; and texts that are no JSON. */
function bodyOf({ schema, example }: { schema: Schema; example: unknown }, ids: readonly string[]) {
  return fc.oneof(
    { weight: 2, arbitrary: fc.constant(jsonOf(example)) },
    { weight: 4, arbitrary: valueFor(schema, ids, 0).map(jsonOf) },
    { weight: 5, arbitrary: mutated(example, ids).map(jsonOf) },
    {
      weight: 2,
      arbitrary: valueFor(schema, ids, 0)
        .chain((value) => mutated(value, ids))
        .map(jsonOf),
    },
    { weight: 1, arbitrary: brokenText(example) },
  );
}

function jsonOf(value: unknown): string {
  return JSON.stringify(value) ?? "null";
}

function brokenText(example: unknown): fc.Arbitrary<string> {
  const text = jsonOf(example);
  return fc.oneof(
    fc.nat(text.length).map((at) => text.slice(0, at)),
    fc.constantFrom(
      "",
      "[]",
      "null",
      '"x"',
      "1e400",
      "-0",
      "{".repeat(5_000),
      "[".repeat(50_000),
      '{"__proto__":{"a":1}}',
    ),
  );
}

/** One place of a document changed. */
function mutated(value: unknown, ids: readonly string[]): fc.Arbitrary<unknown> {
  const places = placesOf(value, []);
  return fc
    .tuple(fc.constantFrom(...places), oddValue(ids), fc.constantFrom("replace", "remove", "add"))
    .map(([place, odd, how]) => {
      const copy = structuredClone({ root: value }) as { root: unknown };
      const [parent, name] = parentOf(copy, ["root", ...place]);
      const there = parent[name];
      if (how === "remove") delete parent[name];
      else if (how === "add" && Array.isArray(there)) there.push(odd);
      else if (how === "add" && typeof there === "object" && there !== null) {
        Object.assign(there, { [String(odd).slice(0, 30)]: odd });
      } else parent[name] = odd;
      return copy.root;
    });
}

type Place = readonly string[];

function placesOf(value: unknown, at: Place): Place[] {
  if (typeof value !== "object" || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([name, inner]) => placesOf(inner, [...at, name]))];
}

function parentOf(root: object, place: Place): [Record<string, unknown>, string] {
  const names = [...place];
  const last = names.pop() ?? "";
  const parent = names.reduce<unknown>((at, name) => (at as Record<string, unknown>)[name], root);
  return [parent as Record<string, unknown>, last];
}

/** What programs send by mistake, and people on purpose. */
function oddValue(ids: readonly string[]): fc.Arbitrary<unknown> {
  return fc.oneof(
    fc.constantFrom<unknown>(
      ...[
        null,
        true,
        "",
        " ",
        0,
        -1,
        1e308,
        0.1,
        9_007_199_254_740_992,
        [],
        {},
        [[]],
        [null],
        "\u0000",
        "\ud800",
        "a\r\nb: c",
      ],
      ...["x".repeat(5_000), "1s", "P1D", "2026-13-45T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"],
      ...["infinity", "-infinity", "2026-02-30T10:00:00+99:00", "$..*", "$[?@.a", "$[?match(@.a, '(a+)+$')]"],
      ...["http://127.0.0.1/", "http://[::1]:80/", "javascript:1", "file:///etc/passwd", "https://a b/", "http://"],
      ...["__proto__", "constructor", "toString", "*".repeat(200), "99999999999999999999d", "é".repeat(300)],
    ),
    fc.constantFrom<unknown>(...ids),
    fc.string({ maxLength: 40, unit: "binary" }),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.jsonValue({ maxDepth: 2 }),
  );
}

/** A value of a JSON Schema (2020-12), as far as zod writes one. */
function valueFor(schema: Schema, ids: readonly string[], depth: number): fc.Arbitrary<unknown> {
  const choices = (schema.anyOf ?? schema.oneOf) as Schema[] | undefined;
  if (choices) return fc.oneof(...choices.map((choice) => valueFor(choice, ids, depth)));
  if (schema.allOf) return fc.oneof(...(schema.allOf as Schema[]).map((part) => valueFor(part, ids, depth)));
  if ("const" in schema) return fc.constant(schema.const);
  if (schema.enum) return fc.constantFrom(...(schema.enum as unknown[]));
  switch (schema.type) {
    case "object":
      return objectOf(schema, ids, depth);
    case "array":
      return fc.array(valueFor((schema.items ?? {}) as Schema, ids, depth + 1), {
        minLength: Math.min(Number(schema.minItems ?? 0), 3),
        maxLength: Math.min(Number(schema.maxItems ?? 3), 3),
      });
    case "string":
      return stringOf(schema, ids);
    case "integer":
      return fc.integer(boundsOf(schema));
    case "number":
      return fc.double({ ...boundsOf(schema), noNaN: true, noDefaultInfinity: true });
    case "boolean":
      return fc.boolean();
    case "null":
      return fc.constant(null);
    default:
      return depth > 3 ? fc.constant(null) : fc.oneof(stringOf({}, ids), fc.jsonValue({ maxDepth: 2 }));
  }
}

function objectOf(schema: Schema, ids: readonly string[], depth: number): fc.Arbitrary<unknown> {
  const properties = Object.entries((schema.properties ?? {}) as Record<string, Schema>);
  const required = new Set((schema.required ?? []) as string[]);
  const known = properties.map(([name, inner]) => {
    const value = valueFor(inner, ids, depth + 1).map((each) => [name, each] as const);
    return required.has(name) ? value : fc.option(value, { freq: 2 });
  });
  const rest = schema.additionalProperties;
  const extra =
    typeof rest === "object" && rest !== null
      ? fc.dictionary(fc.stringMatching(/^[a-z_][a-z0-9_-]{0,12}$/), valueFor(rest as Schema, ids, depth + 1), {
          maxKeys: 3,
        })
      : fc.constant({});
  return fc
    .tuple(extra, fc.tuple(...known))
    .map(([more, given]) => ({ ...more, ...Object.fromEntries(given.filter((pair) => pair !== null)) }));
}

function boundsOf(schema: Schema): { min: number; max: number } {
  const min = Number(schema.minimum ?? schema.exclusiveMinimum ?? -1_000);
  const max = Number(schema.maximum ?? schema.exclusiveMaximum ?? Math.max(min, 1_000));
  return { min: Math.max(min, -2_147_483_648), max: Math.min(max, 2_147_483_647) };
}

/** Texts that mean something here are as likely as others, or validation would let hardly any through. */
const MEANINGFUL = [
  "30s",
  "1d",
  "$.a",
  "$.items[*]",
  "order.paid",
  "https://receiver.example/x",
  "a",
  "x-team",
  "*",
  "2026-11-21T20:00:00Z",
];

function stringOf(schema: Schema, ids: readonly string[]): fc.Arbitrary<string> {
  const length = {
    minLength: Math.min(Number(schema.minLength ?? 0), 40),
    maxLength: Math.min(Number(schema.maxLength ?? 40), 40),
  };
  return fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom(...MEANINGFUL, ...ids) },
    { weight: 2, arbitrary: fc.string({ ...length, unit: "grapheme" }) },
    { weight: 1, arbitrary: fc.string({ ...length, unit: "binary" }) },
  );
}
