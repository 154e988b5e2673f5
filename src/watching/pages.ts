import { ExactNumber, type Json } from "../platform/json.ts";
import { compilePath, isPathFault } from "../platform/jsonpath.ts";
import type { ItemsPlan } from "./compile.ts";
import type { PaginationInput } from "./request_input.ts";

/** One page as it was answered. `number` counts from 0. */
export type Page = {
  url: string;
  number: number;
  document: Json;
  headers: Readonly<Record<string, string>>;
  /** Items on it. */
  count: number;
};

/** The URL of the next page, `null` after the last one, or why the walk cannot go on. */
export type NextPage = string | null | { problem: string };

/** The URL of the first page: that of the request, with the parameters that paging begins with. */
export function firstPage(pagination: PaginationInput, url: string): string {
  if (pagination.type === "page") return withParameter(url, pagination.param, pagination.first);
  if (pagination.type !== "offset") return url;
  return withParameter(withParameter(url, pagination.limit_param, pagination.limit), pagination.param, 0);
}

export function nextPage(pagination: PaginationInput, page: Page): NextPage {
  switch (pagination.type) {
    case "link":
      return sameOrigin(
        pagination.path ? linkInBody(pagination.path, page.document) : linkInHeader(page.headers),
        page,
      );
    case "cursor": {
      const cursor = textAt(pagination.path, page.document);
      return cursor === null ? null : withParameter(page.url, pagination.param, cursor);
    }
    case "page":
      return page.count === 0 ? null : withParameter(page.url, pagination.param, pagination.first + page.number + 1);
    case "offset": {
      const offset = (page.number + 1) * pagination.limit;
      return page.count < pagination.limit ? null : withParameter(page.url, pagination.param, offset);
    }
  }
}

/** Items on one page; none where the list itself is absent, which the collection then reports. */
export function countItems({ path }: ItemsPlan, document: Json): number {
  if (!path.singular) return path.values(document).length;
  const list = path.first(document);
  return Array.isArray(list) ? list.length : 0;
}

/** The credential goes along, so a reply must not be able to send us elsewhere with it. */
function sameOrigin(link: string | null, { url }: Page): NextPage {
  if (link === null) return null;
  const next = URL.parse(link, url);
  if (!next) return { problem: "the link to the next page is not an address" };
  if (next.origin === new URL(url).origin) return next.href;
  return { problem: `the next page lies at another origin (${next.host}), where the watch's credential must not go` };
}

/** Longer headers would cost a search quadratic time. */
const MOST_LINK_CHARS = 8_192;

/** RFC 8288, section 3: `<…>; rel="next"`, among others. */
function linkInHeader(headers: Readonly<Record<string, string>>): string | null {
  const link = (headers.link ?? "").slice(0, MOST_LINK_CHARS);
  for (const [, target, parameters] of link.matchAll(/<([^>]*)>((?:\s*;\s*[^=;,\s]+(?:=(?:"[^"]*"|[^;,"\s]*))?)*)/g)) {
    const rel = /;\s*rel\s*=\s*(?:"([^"]*)"|([^;,\s]+))/i.exec(parameters ?? "");
    if ((rel?.[1] ?? rel?.[2] ?? "").toLowerCase().split(/\s+/).includes("next")) return target ?? null;
  }
  return null;
}

function linkInBody(path: string, document: Json): string | null {
  return textAt(path, document);
}

function textAt(path: string, document: Json): string | null {
  const compiled = compilePath(path);
  if (isPathFault(compiled)) return null;
  const found = compiled.first(document);
  if (found === undefined || found === null || found === "" || found === false) return null;
  return typeof found === "object" && !(found instanceof ExactNumber) ? null : String(found);
}

function withParameter(url: string, name: string, value: string | number): string {
  const changed = new URL(url);
  changed.searchParams.set(name, String(value));
  return changed.href;
}
