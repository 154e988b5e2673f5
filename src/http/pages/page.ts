import type { VNode } from "preact";
import { renderToString } from "preact-render-to-string";
import { z } from "zod";
import type { Frame } from "../../../views/layout.tsx";
import { NoticePage } from "../../../views/notice.tsx";
import { SignInPage } from "../../../views/sign_in.tsx";
import type { Principal, Role } from "../../identity/principal.ts";
import { AppError } from "../../platform/errors.ts";
import { type Asset, asset } from "../assets.ts";
import type { Problem } from "../problem.ts";
import { type Route, type RouteRequest, route } from "../route.ts";
import { NOTICES, noticeOf } from "./notices.ts";
import { localPath, themeOf } from "./visitor.ts";

const HTML = { "content-type": "text/html; charset=utf-8" };

const style = asset("style.css", view("style.css"));
const app = asset("app.js", view("app.js"));
// One file: as two deferred scripts the live log sometimes never connects.
const htmx = asset("htmx.js", [packaged("htmx.org/dist/htmx.min.js"), packaged("htmx.org/dist/ext/hx-sse.min.js")]);
const plots = asset("plots.js", packaged("uplot/dist/uPlot.iife.min.js"));
const plotStyle = asset("plots.css", packaged("uplot/dist/uPlot.min.css"));

const assets = {
  style: style.path,
  app: app.path,
  htmx: htmx.path,
  plots: plots.path,
  plotStyle: plotStyle.path,
};

/** Where pages find the stylesheet. */
export const stylePath: string = style.path;
export const pageAssets: Route[] = [style, app, htmx, plots, plotStyle].map((each: Asset) => each.route);

/**
 * A page of the dashboard. `query` is the shape of its parameters; an empty one, as forms send it, counts as absent.
 * `show` answers the page, or a whole `Response` where it is something else.
 */
export function page<Shape extends z.ZodRawShape = Record<never, never>>(definition: {
  path: string;
  access: Role;
  query?: Shape;
  show(
    request: RouteRequest<z.output<z.ZodObject<Shape>>, undefined>,
    frame: Frame,
  ): Promise<VNode | Response> | VNode | Response;
}): Route {
  const { path, access, query, show } = definition;
  const shape = z.strictObject({ ...(query ?? ({} as Shape)), notice: z.enum(NOTICES).optional() });
  return route<z.output<typeof shape>, undefined>({
    method: "GET",
    path,
    summary: path,
    tag: "Pages",
    access,
    kind: "page",
    query: z.preprocess(withoutEmpty, shape) as unknown as z.ZodType<z.output<typeof shape>>,
    answers: [],
    async handle(request) {
      const frame = frameOf(request, noticeOf((request.query as { notice?: string }).notice));
      const shown = await show(request as unknown as RouteRequest<z.output<z.ZodObject<Shape>>, undefined>, frame);
      return shown instanceof Response ? shown : htmlAnswer(200, shown);
    },
  });
}

/** What a form of the dashboard does; answers the path to go on to, or a page when the form has to be filled in again. */
export function action(definition: {
  path: string;
  access: Role;
  maxBodyBytes?: number;
  perform(
    request: RouteRequest<undefined, Record<string, string>>,
    frame: Frame,
  ): Promise<string | Response> | string | Response;
}): Route {
  const { path, access, maxBodyBytes, perform } = definition;
  return route<undefined, Record<string, string>>({
    method: "POST",
    path,
    summary: path,
    tag: "Pages",
    access,
    kind: "page",
    body: z.record(z.string(), z.string()),
    ...(maxBodyBytes === undefined ? {} : { maxBodyBytes }),
    answers: [],
    async handle(request) {
      const next = await perform(request, frameOf(request, null));
      return typeof next === "string" ? seeOther(next) : next;
    },
  });
}

export function htmlAnswer(status: number, shown: VNode): Response {
  return new Response(renderPage(shown), { status, headers: HTML });
}

/** A part of a page, for htmx to swap. */
export function fragment(shown: VNode): Response {
  return new Response(renderToString(shown), { headers: HTML });
}

export function seeOther(location: string, headers: Record<string, string> = {}): Response {
  // A header holds Latin letters only: anything else in a path or query is percent-encoded, and what is so already stays.
  const ascii = location.replace(/[^\x21-\x7e]+/g, encodeURIComponent);
  return new Response(null, { status: 303, headers: { location: ascii, ...headers } });
}

/** A whole document, as text. */
export function renderPage(shown: VNode): string {
  return `<!doctype html>\n${renderToString(shown)}`;
}

/** What went wrong, for those who look at a page. Who is not signed in may do so at once, and comes back here. */
export function renderProblem({ title, detail, status, errors }: Problem, request: Request): string {
  const theme = themeOf(request.headers);
  if (status === 401) {
    const to = request.method === "GET" ? pathOf(request.url) : refererOf(request);
    const isLost = request.headers.has("cookie") && !detail.startsWith("No credentials");
    return renderPage(SignInPage({ style: stylePath, theme, to, email: "", fault: isLost ? detail : null }));
  }
  const back = { href: request.method === "GET" ? sectionOf(request.url) : refererOf(request), text: "Go back" };
  return renderPage(
    NoticePage({
      style: stylePath,
      theme,
      title,
      text: forPeople(detail),
      back,
      ...(errors ? { faults: errors } : {}),
    }),
  );
}

/** Where the API names its own list, a page has the way back to it. */
function forPeople(detail: string): string {
  return detail.replace(/[;.] GET \/v1\/[\w/-]+ lists all(\.?)$/, "$1");
}

/** What is wrong with a form, by field: the first part of each pointer, or as told. What is not about the form is thrown on. */
export function faultsOf(error: unknown, fieldOf = firstPart): Record<string, string> {
  if (!(error instanceof AppError) || !["invalid", "conflict", "malformed"].includes(error.code)) throw error;
  const faults: Record<string, string> = {};
  for (const { pointer, message } of error.faults) faults[fieldOf(pointer) || "form"] ??= forPeople(message);
  if (Object.keys(faults).length === 0) faults.form = error.message;
  return faults;
}

function firstPart(pointer: string): string {
  return pointer.split("/")[1] ?? "";
}

/** Who asks, as the audit log and operations name them. */
export function nameOf(principal: Principal): string {
  return principal.kind === "nobody" ? "" : principal.name;
}

function frameOf(request: Pick<RouteRequest<unknown, unknown>, "headers" | "principal">, notice: string | null): Frame {
  const { principal } = request;
  const user = principal.kind === "nobody" ? { name: "", role: "viewer" as const } : principal;
  return {
    assets,
    theme: themeOf(request.headers),
    user: { name: user.name, role: user.role },
    notice,
    now: Date.now(),
  };
}

function withoutEmpty(query: unknown): unknown {
  return Object.fromEntries(Object.entries(query as Record<string, unknown>).filter(([, value]) => value !== ""));
}

function pathOf(url: string): string {
  return localPath(url.replace(/^[a-z]+:\/\/[^/?]*/i, ""));
}

/** `/watches/watch_1?a=b` → `/watches`: where the list is that leads on. */
function sectionOf(url: string): string {
  const [, section = "", below] = /^\/([\w-]*)(\/?)/.exec(pathOf(url)) ?? [];
  return below ? `/${section}` : "/";
}

function refererOf(request: Request): string {
  return pathOf(request.headers.get("referer") ?? "/");
}

function view(name: string): URL {
  return new URL(`../../../views/${name}`, import.meta.url);
}

function packaged(file: string): URL {
  return new URL(import.meta.resolve(file));
}
