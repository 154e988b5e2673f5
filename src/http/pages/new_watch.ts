import type { Frame } from "../../../views/layout.tsx";
import { NewWatchPage, type Tried, type WatchForm } from "../../../views/watch_form.tsx";
import { endpointInput } from "../../delivering/endpoint_input.ts";
import type { CheckUrl } from "../../delivering/input.ts";
import type { Resources } from "../../delivering/resources.ts";
import type { Database } from "../../platform/database.ts";
import { AppError, invalid } from "../../platform/errors.ts";
import { JsonError, parseJson } from "../../platform/json.ts";
import type { Secrets } from "../../vault/secrets.ts";
import type { Preview } from "../../watching/preview.ts";
import { type WatchInput, watchInput } from "../../watching/watch.ts";
import type { Watching } from "../../watching/watching.ts";
import { createRecorder } from "../api/recorder.ts";
import type { Route, RouteRequest } from "../route.ts";
import { validate } from "../validation.ts";
import { formatSource, type PastedRequest, parseSource } from "./curl.ts";
import { withNotice } from "./notices.ts";
import { action, faultsOf, htmlAnswer, page } from "./page.ts";
import { watchBodyOf, watchFormOf } from "./watch_form.ts";

type Posted = RouteRequest<undefined, Record<string, string>>;

/** A new watch: paste an address, try it, click what to look at, save. */
export function newWatchPages(deps: {
  database: Database;
  watching: Pick<Watching, "watches" | "preview">;
  resources: Pick<Resources, "endpoints">;
  secrets: Pick<Secrets, "list" | "create">;
  checkUrl: CheckUrl;
}): Route[] {
  const { watches, preview } = deps.watching;
  const { endpoints } = deps.resources;
  const record = createRecorder(deps.database, "watch");
  const recordSecret = createRecorder(deps.database, "secret");
  const recordEndpoint = createRecorder(deps.database, "endpoint");
  const endpointBody = endpointInput(deps.checkUrl);

  async function show(frame: Frame, form: WatchForm, tried: Tried | null, faults: Record<string, string>) {
    const [secrets, known] = await Promise.all([
      deps.secrets.list({ limit: 200 }),
      endpoints.list({ kind: "subscribed", cursor: null, limit: 100 }),
    ]);
    return NewWatchPage({ frame, form, secrets: secrets.data, endpoints: known.data, tried, faults });
  }

  /** The request of the form. A credential in it goes into the vault, and out of the form. */
  async function requestOf(request: Posted, form: WatchForm): Promise<PastedRequest> {
    const pasted = parseSource(form.source);
    const { credential } = pasted;
    if (credential === null) return pasted;
    if (form.secret_id === "") {
      const name = `${URL.parse(pasted.url)?.host ?? "source"} ${crypto.randomUUID().slice(0, 4)}`;
      const secret = await deps.secrets.create({ name, ...credential });
      await recordSecret(request, "create", secret.id, { name, kind: secret.kind });
      form.secret_id = secret.id;
    }
    form.source = formatSource(pasted);
    return pasted;
  }

  async function tryOut(request: Posted, form: WatchForm): Promise<Tried> {
    const body = watchBodyOf(form, await requestOf(request, form));
    // To see the reply at all, no field is needed yet.
    const hasFields = Object.keys(body.fields as object).length > 0 || "items" in body;
    const fields = hasFields ? body.fields : { reply: "$" };
    const input = validate(watchInput, { ...body, fields, conditions: hasFields ? body.conditions : [] }, "form");
    const found = await preview(input, request.signal);
    if (!hasFields) found.fields = {};
    return { preview: found, document: documentOf(found), sample: sampleOf(input, found) };
  }

  async function save(request: Posted, form: WatchForm): Promise<string> {
    const body = watchBodyOf(form, await requestOf(request, form));
    const input = validate(watchInput, body, "form");
    await watches.check([input]);
    const url = form.endpoint_url.trim();
    if (url !== "") input.endpoint_ids.push(await createEndpoint(request, url, input.event_type));
    const [watch] = await watches.create([input]);
    if (!watch) throw new Error("a watch was created and not answered");
    await record(request, "create", watch.id, { name: watch.name });
    return withNotice(`/watches/${watch.id}`, "created");
  }

  async function createEndpoint(request: Posted, url: string, eventType: string): Promise<string> {
    const fault = deps.checkUrl(url);
    if (fault) throw invalid("/endpoint_url", fault);
    const endpoint = await endpoints.create(validate(endpointBody, { url, event_types: [eventType] }, "form"));
    await recordEndpoint(request, "create", endpoint.id, { name: endpoint.name, url });
    return endpoint.id;
  }

  return [
    page({
      path: "/watches/new",
      access: "editor",
      show: (_request, frame) => show(frame, watchFormOf({}), null, {}),
    }),

    action({
      path: "/watches",
      access: "editor",
      async perform(request, frame) {
        const { do: wanted, ...fields } = request.body;
        const form = watchFormOf(fields);
        try {
          if (wanted === "save") return await save(request, form);
          return htmlAnswer(200, await show(frame, form, await tryOut(request, form), {}));
        } catch (error) {
          if (!(error instanceof AppError)) throw error;
          return htmlAnswer(422, await show(frame, form, null, faultsOf(error)));
        }
      },
    }),
  ];
}

function documentOf({ response }: Preview): Tried["document"] {
  if (!response) return undefined;
  try {
    return parseJson(response.body);
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

/** A webhook as it would be sent if the first field had just become what it is. */
function sampleOf(input: WatchInput, { fields }: Preview): string | null {
  const [found] = Object.entries(fields).flatMap(([field, value]) =>
    "value" in value ? [[field, value.value] as const] : [],
  );
  if (!found) return null;
  const [field, current] = found;
  const definition = input.fields[field];
  const path = typeof definition === "string" ? definition : definition?.path;
  const change = { field, path, kind: "changed", previous: "…", current };
  const data = { watch: { id: "watch_…", name: input.name }, sequence: 1, changes: [change] };
  return JSON.stringify({ type: input.event_type, timestamp: new Date().toISOString(), data }, null, 2);
}
