import { z } from "zod";
import { pretty } from "../../../views/deliveries.tsx";
import { EndpointFormPage } from "../../../views/endpoint_form.tsx";
import { EndpointPage, EndpointsPage } from "../../../views/endpoints.tsx";
import type { Frame } from "../../../views/layout.tsx";
import { SurePage } from "../../../views/sure.tsx";
import { endpointInput } from "../../delivering/endpoint_input.ts";
import type { ShownEndpoint } from "../../delivering/endpoints.ts";
import type { CheckUrl } from "../../delivering/input.ts";
import type { ShownOperation } from "../../delivering/operations.ts";
import type { Resources } from "../../delivering/resources.ts";
import type { Database } from "../../platform/database.ts";
import { parseDuration } from "../../platform/durations.ts";
import { invalid } from "../../platform/errors.ts";
import { parseId } from "../../platform/ids.ts";
import { stringifyJson } from "../../platform/json.ts";
import type { PluginInfo, Plugins } from "../../plugins/plugins.ts";
import type { Secrets } from "../../vault/secrets.ts";
import { createRecorder, createWitness } from "../api/recorder.ts";
import { readNames } from "../names_store.ts";
import type { Route } from "../route.ts";
import { validate } from "../validation.ts";
import { bodyOf, formAsTyped, formOf, patchOf, pluginNames } from "./endpoint_form.ts";
import { beforeQuery, PAGE_ROWS, pagerOf } from "./list.ts";
import { withNotice } from "./notices.ts";
import { action, faultsOf, htmlAnswer, nameOf, page } from "./page.ts";
import { fieldAt, optionForms, optionFormsAsTyped } from "./plugin_options.ts";

const STATUSES = ["dead", "cancelled", "delivered"] as const;
/** The parts of one member that have fields of their own. */
const RATE: Record<string, string> = { "/rate_limit/max": "rate_max", "/rate_limit/per": "rate_per" };
const KEEP_OLD_SECRET_MS = 86_400_000;

/** Where events go: list, detail, form, and everything that can be done with one. */
export function endpointPages(deps: {
  database: Database;
  resources: Resources;
  secrets: Pick<Secrets, "list">;
  checkUrl: CheckUrl;
  plugins?: Pick<Plugins, "list">;
}): Route[] {
  const { endpoints, deliveries, operations, ping } = deps.resources;
  const record = createRecorder(deps.database, "endpoint");
  const witness = createWitness("endpoint");
  const input = endpointInput(deps.checkUrl);

  /** Those that an endpoint may choose. */
  const choosable = (): PluginInfo[] => (deps.plugins?.list() ?? []).filter(isChoosable);

  async function showOne(frame: Frame, id: string, withSecret: boolean) {
    const endpoint = await endpoints.get(id);
    const uuid = parseId("endpoint", id) ?? undefined;
    const [{ data }, secret, names] = await Promise.all([
      deliveries.list({ endpoint: uuid, cursor: null, limit: 10 }),
      withSecret ? endpoints.secret(id) : null,
      readNames(deps.database.sql, [endpoint.secret_id]),
    ]);
    return EndpointPage({ frame, endpoint, names, deliveries: data, secret });
  }

  async function showForm(
    frame: Frame,
    endpoint: ShownEndpoint | null,
    typed: { fields: Record<string, string>; error: unknown } | null,
  ) {
    const { data: secrets } = await deps.secrets.list({ limit: 200 });
    const plugins = choosable();
    const common = { frame, endpoint, secrets, plugins: plugins.map(({ name }) => name) };
    if (typed) {
      const form = formAsTyped(typed.fields);
      const names = pluginNames(form.plugin);
      const faults = faultsOf(typed.error, (pointer) => RATE[pointer] ?? fieldAt(plugins, names, pointer));
      return EndpointFormPage({ ...common, form, options: optionFormsAsTyped(plugins, typed.fields), faults });
    }
    const form = formOf(endpoint);
    const options = (endpoint?.plugin_options ?? {}) as Record<string, unknown>;
    const { forms, rest } = optionForms(plugins, pluginNames(form.plugin), options);
    form.plugin_options = Object.keys(rest).length === 0 ? "" : pretty(stringifyJson(rest));
    return EndpointFormPage({ ...common, form, options: forms, faults: {} });
  }

  return [
    page({
      path: "/endpoints",
      access: "viewer",
      query: { before: beforeQuery("endpoint"), kind: z.enum(["subscribed", "direct"]).default("subscribed") },
      async show({ query: { before, kind } }, frame) {
        const { data, next } = await endpoints.list({ kind, cursor: before, limit: PAGE_ROWS });
        const pager = pagerOf("/endpoints", { kind }, { before, next });
        return EndpointsPage({ frame, endpoints: data, pager, kind });
      },
    }),

    page({ path: "/endpoints/new", access: "editor", show: (_request, frame) => showForm(frame, null, null) }),

    action({
      path: "/endpoints",
      access: "editor",
      async perform(request, frame) {
        try {
          const body = validate(input, bodyOf(request.body, choosable()), "form");
          const witnessed = witness<ShownEndpoint>(request, "create", ({ name, url }) => ({ name, url }));
          const endpoint = await endpoints.create(body, witnessed);
          return withNotice(`/endpoints/${endpoint.id}`, "created");
        } catch (error) {
          return htmlAnswer(422, await showForm(frame, null, { fields: request.body, error }));
        }
      },
    }),

    page({ path: "/endpoints/:id", access: "viewer", show: ({ id }, frame) => showOne(frame, id, false) }),

    page({
      path: "/endpoints/:id/edit",
      access: "editor",
      show: async ({ id }, frame) => showForm(frame, await endpoints.get(id), null),
    }),

    action({
      path: "/endpoints/:id/edit",
      access: "editor",
      async perform(request, frame) {
        const endpoint = await endpoints.get(request.id);
        try {
          const patch = patchOf(bodyOf(request.body, choosable()), endpoint);
          const witnessed = witness(request, "update", { changed: Object.keys(patch) });
          await endpoints.patch(request.id, patch, (merged) => validate(input, merged, "form"), witnessed);
          return withNotice(`/endpoints/${request.id}`, "saved");
        } catch (error) {
          return htmlAnswer(422, await showForm(frame, endpoint, { fields: request.body, error }));
        }
      },
    }),

    action({
      path: "/endpoints/:id/test",
      access: "editor",
      async perform(request) {
        const { delivery_id } = await ping(request.id);
        await record(request, "test", request.id);
        return `/deliveries/${delivery_id}`;
      },
    }),

    action({
      path: "/endpoints/:id/pause",
      access: "editor",
      async perform(request) {
        await endpoints.pause(request.id, witness(request, "pause"));
        return withNotice(`/endpoints/${request.id}`, "paused");
      },
    }),

    action({
      path: "/endpoints/:id/resume",
      access: "editor",
      async perform(request) {
        await endpoints.resume(request.id, witness(request, "resume"));
        return withNotice(`/endpoints/${request.id}`, "resumed");
      },
    }),

    // A form, and not a link: a secret is read on purpose, and leaves a line in the audit log.
    action({
      path: "/endpoints/:id/secret",
      access: "editor",
      async perform(request, frame) {
        const shown = await showOne(frame, request.id, true);
        await record(request, "read_secret", request.id);
        return htmlAnswer(200, shown);
      },
    }),

    action({
      path: "/endpoints/:id/rotate",
      access: "editor",
      async perform(request) {
        await endpoints.rotateSecret(request.id, KEEP_OLD_SECRET_MS, witness(request, "rotate_secret"));
        return withNotice(`/endpoints/${request.id}`, "rotated");
      },
    }),

    action({
      path: "/endpoints/:id/delete",
      access: "editor",
      async perform(request) {
        await endpoints.remove(request.id, witness(request, "delete"));
        return withNotice("/endpoints", "deleted");
      },
    }),

    page({
      path: "/endpoints/:id/recover",
      access: "editor",
      query: { since: z.enum(["1h", "24h", "7d", "30d"]), status: z.enum([...STATUSES, "all"]) },
      async show({ id, query, principal }, frame) {
        const endpoint = await endpoints.get(id);
        const since = new Date(frame.now - (parseDuration(query.since) ?? 0));
        const asked = { since, statuses: statusesOf(query.status), dryRun: true };
        const counted = await operations.recover(id, asked, nameOf(principal));
        return SurePage({
          frame,
          title: `Recover ${endpoint.name}`,
          section: "/endpoints",
          back: { href: `/endpoints/${id}`, text: endpoint.name },
          total: counted.total ?? 0,
          what: "of that time would be sent again.",
          to: `/endpoints/${id}/recover`,
          fields: { since: since.toISOString(), status: query.status },
        });
      },
    }),

    action({
      path: "/endpoints/:id/recover",
      access: "editor",
      async perform(request) {
        const since = new Date(request.body.since ?? "");
        if (Number.isNaN(since.getTime())) throw invalid("/since", "Go back and choose a time.");
        const asked = { since, statuses: statusesOf(request.body.status), dryRun: false };
        const tell = ({ id }: ShownOperation) => ({ operation: id });
        const witnessed = witness(request, "recover", tell, request.id);
        const started = await operations.recover(request.id, asked, nameOf(request.principal), witnessed);
        return "dry_run" in started ? `/endpoints/${request.id}` : `/operations/${started.id}`;
      },
    }),
  ];
}

/** Of a file that cannot be loaded, an earlier version may go on serving. */
function isChoosable({ version, hooks }: PluginInfo): boolean {
  return version !== null && hooks.includes("transform");
}

function statusesOf(chosen: string | undefined): ("dead" | "cancelled" | "delivered")[] {
  const known = STATUSES.filter((status) => chosen === "all" || status === chosen);
  return known.length === 0 ? ["dead"] : known;
}
