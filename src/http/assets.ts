import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { extname } from "node:path";
import { type Route, route } from "./route.ts";

const TYPES: Record<string, string> = {
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".png": "image/png",
};

export type Asset = { path: string; route: Route };

/**
 * A file that pages load, or several put one behind the other. Its path carries a hash of what is in it, so that browsers keep it for a year and yet never
 * show an old one. `name` ends in the extension that tells the type.
 */
export function asset(name: string, file: URL | readonly URL[]): Asset {
  const bytes = Buffer.concat([file].flat().map((part) => readFileSync(part)));
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 12);
  const extension = extname(name);
  const path = `/assets/${name.slice(0, -extension.length)}.${hash}${extension}`;
  const headers = {
    "content-type": TYPES[extension] ?? "application/octet-stream",
    "cache-control": "public, max-age=31536000, immutable",
  };
  return {
    path,
    route: route({
      method: "GET",
      path,
      summary: name,
      tag: "Assets",
      access: "open",
      kind: "page",
      answers: [],
      handle: () => new Response(bytes, { headers }),
    }),
  };
}
