import { afterAll, beforeAll, expect, test } from "bun:test";
import { type TestApp, testApp } from "./support.ts";
import { roomRoutes } from "./whole_table.ts";

type Json = Record<string, unknown>;
type Operation = {
  operationId: string;
  security: unknown[];
  parameters: { name: string; in: string }[];
  requestBody?: { required: boolean; content: Record<string, { schema: Json; example: unknown }> };
  responses: Record<string, Json>;
};

let app: TestApp;
let document: { openapi: string; paths: Record<string, Record<string, Operation>> } & Json;
beforeAll(async () => {
  app = await testApp({}, roomRoutes);
  document = (await app.call("GET", "/openapi.json")).json;
});
afterAll(() => app.close());

const apiRoutes = () => app.routes.filter((route) => route.kind !== "page");
const operationOf = (method: string, path: string) =>
  document.paths[path.replace(/:(\w+)/g, "{$1}")]?.[method.toLowerCase()];

test("every route of the API is in the document, and no page", () => {
  expect(document.openapi).toBe("3.1.0");
  const documented = Object.entries(document.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const expected = apiRoutes().map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, "{$1}")}`);
  expect(documented.sort()).toEqual(expected.sort());
});

test("every reference leads somewhere", () => {
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(
    ([, reference]) => reference ?? "",
  );
  expect(references.length).toBeGreaterThan(10);
  for (const reference of references) {
    const target = reference
      .split("/")
      .slice(1)
      .reduce<unknown>((at, part) => (at as Json | undefined)?.[part], document);
    expect([reference, target === undefined]).toEqual([reference, false]);
  }
});

test("every body has a schema and an example that the route itself takes", () => {
  for (const { method, path, body, bodyExample } of apiRoutes()) {
    const operation = operationOf(method, path);
    expect([method, path, operation?.requestBody === undefined]).toEqual([method, path, body === undefined]);
    if (!body) continue;
    const { schema, example } = operation?.requestBody?.content["application/json"] ?? {};
    expect([method, path, Object.keys(schema ?? {}).length > 0]).toEqual([method, path, true]);
    expect(example).toEqual(bodyExample);
    expect([method, path, body.safeParse(bodyExample).error?.issues ?? []]).toEqual([method, path, []]);
  }
});

test("every answer that has a body has an example", () => {
  for (const { method, path, answers } of apiRoutes()) {
    for (const { status, example } of answers) {
      expect([method, path, status, example !== undefined]).toEqual([method, path, status, status !== 204]);
    }
  }
});

test("operation ids are unique, path parameters declared, and only open routes without security", () => {
  const ids = Object.values(document.paths).flatMap((item) =>
    Object.values(item).map(({ operationId }) => operationId),
  );
  expect(new Set(ids).size).toBe(ids.length);
  for (const { method, path, access } of apiRoutes()) {
    const operation = operationOf(method, path);
    const declared = operation?.parameters.filter((parameter) => parameter.in === "path").map(({ name }) => name);
    expect(declared).toEqual([...path.matchAll(/:(\w+)/g)].map(([, name]) => name ?? ""));
    expect([path, operation?.security.length]).toEqual([path, access === "open" ? 0 : 1]);
  }
});

test("the query of a list is described with its bounds", () => {
  const parameters = operationOf("GET", "/v1/secrets")?.parameters;
  expect(parameters).toContainEqual({
    name: "limit",
    in: "query",
    required: false,
    schema: { default: 50, type: "integer", minimum: 1, maximum: 200 },
  } as never);
});

test("the page at /docs loads nothing but our own files, and all of them are there", async () => {
  const { text, headers } = await app.call("GET", "/docs");
  expect(headers.get("content-type")).toBe("text/html; charset=utf-8");
  const files = [...text.matchAll(/(?:src|href)="(?!data:)([^"]+)"/g)].map(([, file]) => file ?? "");
  expect(files.length).toBeGreaterThanOrEqual(4);
  for (const file of files) {
    expect(file).toStartWith("/");
    const answer = await app.call("GET", file);
    expect([file, answer.status]).toEqual([file, 200]);
    if (file.startsWith("/assets/")) expect(answer.headers.get("cache-control")).toContain("immutable");
  }
  expect(text).not.toMatch(/<script(?![^>]* src=)|<style| style=| on\w+=/);
});
