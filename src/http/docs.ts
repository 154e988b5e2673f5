import { asset } from "./assets.ts";
import { openapiOf } from "./openapi.ts";
import { type Route, route } from "./route.ts";

/** The OpenAPI document of these routes and its own, and the page that shows it: Swagger UI, served from here. */
export function docsRoutes(routes: readonly Route[], publicUrl: string): Route[] {
  const document = route({
    method: "GET",
    path: "/openapi.json",
    summary: "This document",
    tag: "Operation",
    access: "open",
    answers: [{ status: 200, description: "OpenAPI 3.1", example: { openapi: "3.1.0" } }],
    handle: () => ({ status: 200, body: openapi }),
  });
  const openapi = openapiOf([...routes, document], publicUrl);
  return [document, ...docsPage()];
}

function docsPage(): Route[] {
  const bundle = asset("swagger-ui.js", packaged("swagger-ui-bundle.js"));
  const style = asset("swagger-ui.css", packaged("swagger-ui.css"));
  const start = asset("docs.js", new URL("docs_page.js", import.meta.url));
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>DeltaHook API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${style.path}">
<script defer src="${bundle.path}"></script>
<script defer src="${start.path}"></script>
</head>
<body><main id="docs"><noscript>This page needs JavaScript; the document itself is <a href="/openapi.json">openapi.json</a>.</noscript></main></body>
</html>
`;
  const page = route({
    method: "GET",
    path: "/docs",
    summary: "The API's documentation",
    tag: "Operation",
    access: "open",
    kind: "page",
    answers: [],
    handle: () => new Response(html, { headers: { "content-type": "text/html; charset=utf-8" } }),
  });
  return [page, bundle.route, style.route, start.route];
}

function packaged(file: string): URL {
  return new URL(import.meta.resolve(`swagger-ui-dist/${file}`));
}
