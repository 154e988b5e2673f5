import type { VNode } from "preact";
import { renderToString } from "preact-render-to-string";
import { NoticePage } from "../../../views/notice.tsx";
import { asset } from "../assets.ts";
import type { Problem } from "../problem.ts";
import type { Route } from "../route.ts";

const style = asset("style.css", new URL("../../../views/style.css", import.meta.url));

/** Where pages find the stylesheet. */
export const stylePath: string = style.path;
export const pageAssets: Route[] = [style.route];

/** A whole document, as text. */
export function renderPage(page: VNode): string {
  return `<!doctype html>\n${renderToString(page)}`;
}

export function htmlAnswer(status: number, page: VNode): Response {
  return new Response(renderPage(page), { status, headers: { "content-type": "text/html; charset=utf-8" } });
}

/** What went wrong, for those who look at a page. */
export function renderProblem({ title, detail }: Problem): string {
  return renderPage(NoticePage({ stylePath, title, text: detail }));
}
