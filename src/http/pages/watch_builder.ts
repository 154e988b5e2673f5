import { pretty } from "../../../views/deliveries.tsx";
import type { Faults } from "../../../views/form.tsx";
import type { Frame } from "../../../views/layout.tsx";
import type { WatchForm } from "../../../views/watch_fields.ts";
import { WatchFormPage } from "../../../views/watch_form.tsx";
import { WatchJsonPage } from "../../../views/watch_json.tsx";
import type { Tried } from "../../../views/watch_tried.tsx";
import { endpointInput } from "../../delivering/endpoint_input.ts";
import type { CheckUrl } from "../../delivering/input.ts";
import type { Resources } from "../../delivering/resources.ts";
import type { Database } from "../../platform/database.ts";
import { AppError, invalid } from "../../platform/errors.ts";
import { publicId } from "../../platform/ids.ts";
import { type Json, JsonError, type JsonObject, parseJson, stringifyJson } from "../../platform/json.ts";
import type { Plugins } from "../../plugins/plugins.ts";
import type { Secrets } from "../../vault/secrets.ts";
import type { Preview } from "../../watching/preview.ts";
import type { ShownWatch } from "../../watching/shown.ts";
import { type WatchInput, watchInput } from "../../watching/watch.ts";
import type { Watching } from "../../watching/watching.ts";
import { createWitness } from "../api/recorder.ts";
import { PLAY_RECEIVER, readPlayground } from "../play_store.ts";
import type { RouteRequest } from "../route.ts";
import { validate } from "../validation.ts";
import { isCurl, parseCurl } from "./curl.ts";
import { faultsOf, htmlAnswer } from "./page.ts";
import { formOfWatch, placeOf, watchBodyOf, watchFormOf } from "./watch_form.ts";
import { headerLines } from "./watch_lines.ts";

export type BuilderDeps = {
  database: Database;
  watching: Pick<Watching, "watches" | "preview">;
  resources: Pick<Resources, "endpoints">;
  secrets: Pick<Secrets, "list" | "create">;
  checkUrl: CheckUrl;
  plugins?: Pick<Plugins, "list">;
};

export type Posted = RouteRequest<undefined, Record<string, string>>;
/** The watch that is edited, or null for a new one. */
export type Edited = ShownWatch | null;
/** Puts a valid watch into the database. `fromForm`: where a form says the same in other words, nothing changes. */
export type Save = (input: WatchInput, fromForm: boolean) => Promise<string>;

/** A request with a whole watch as JSON in it. */
export const BUILDER_BYTES = 4 * 1024 * 1024;

/** One builder for new watches and those that are edited: a form, the same watch as JSON, and a try of either. */
export function watchBuilder(deps: BuilderDeps) {
  const { endpoints } = deps.resources;
  const witnessSecret = createWitness("secret");
  const witnessEndpoint = createWitness("endpoint");
  const endpointBody = endpointInput(deps.checkUrl);

  async function showForm(frame: Frame, form: WatchForm, edited: Edited, about: { tried?: Tried; faults?: Faults }) {
    const [secrets, known] = await Promise.all([
      deps.secrets.list({ limit: 200 }),
      endpoints.list({ kind: "subscribed", cursor: null, limit: 100 }),
    ]);
    const plugins = (deps.plugins?.list() ?? [])
      .filter(({ hooks }) => hooks.includes("parse") || hooks.includes("sign"))
      .map(({ name }) => name);
    const play = known.data.find(({ url }) => url === PLAY_RECEIVER);
    if (play && form.play) form.endpoint_ids.push(play.id);
    return WatchFormPage({
      frame,
      form,
      edited: editedOf(edited),
      secrets: secrets.data,
      endpoints: known.data,
      offersPlay: play === undefined,
      plugins,
      tried: about.tried ?? null,
      faults: about.faults ?? {},
    });
  }

  function showJson(frame: Frame, text: string, edited: Edited, about: { notice?: string; faults?: Faults } = {}) {
    const { notice = null, faults = {} } = about;
    return WatchJsonPage({ frame, edited: editedOf(edited), text, notice, faults });
  }

  /** What a button of the form or of the JSON page asks for. */
  async function perform(request: Posted, frame: Frame, edited: Edited, save: Save): Promise<string | Response> {
    const { do: wanted, ...fields } = request.body;
    if (fields.definition !== undefined) {
      return performJson(frame, fields.definition, wanted, edited, save);
    }
    const form = watchFormOf(fields);
    try {
      if (form.source.trim() !== "") await settleSource(request, form);
      if (wanted === "json") return htmlAnswer(200, showJson(frame, textOfForm(form), edited));
      if (wanted === "save") return await save(await inputOf(request, form), true);
      const tried = await tryOut(form, edited, request.signal);
      return htmlAnswer(200, await showForm(frame, form, edited, { tried }));
    } catch (error) {
      return htmlAnswer(422, await showForm(frame, form, edited, { faults: faultsOfForm(error) }));
    }
  }

  async function performJson(frame: Frame, text: string, wanted: string | undefined, edited: Edited, save: Save) {
    try {
      const input = validate(watchInput, parseDefinition(text), "form");
      if (wanted !== "form") return await save(input, false);
      const form = formOfWatch(input);
      if (form) return htmlAnswer(200, await showForm(frame, form, edited, {}));
      throw invalid("", "The form has no place for all of this watch; save it here.");
    } catch (error) {
      return htmlAnswer(422, showJson(frame, text, edited, { faults: faultsOf(error, jsonPlace) }));
    }
  }

  /** A pasted command becomes the fields that it stands for. A credential in it goes into the vault. */
  async function settleSource(request: Posted, form: WatchForm): Promise<void> {
    if (!isCurl(form.source)) return;
    const { method, url, headers, body, credential } = parseCurl(form.source);
    if (credential !== null && form.secret_id === "") {
      const host = URL.parse(url)?.hostname ?? "";
      const name = `${host || "source"} ${crypto.randomUUID().slice(0, 4)}`;
      // It was pasted for this host alone.
      const hosts = host === "" ? null : [host];
      const witness = witnessSecret<{ id: string }>(request, "create", { name, kind: credential.kind, hosts });
      form.secret_id = (await deps.secrets.create({ name, hosts, ...credential }, witness)).id;
    }
    form.source = url;
    form.method = method;
    form.headers = headerLines(headers);
    form.body = body === null ? "" : pretty(stringifyJson(body));
  }

  async function tryOut(form: WatchForm, edited: Edited, signal: AbortSignal): Promise<Tried> {
    const body = watchBodyOf(form);
    // To see the reply at all, no field is needed yet.
    const hasFields = Object.keys(body.fields as object).length > 0 || body.items !== null;
    const bare = { ...body, fields: { reply: "$" }, conditions: [], pagination: null };
    const input = validate(watchInput, hasFields ? body : bare, "form");
    const found = await deps.watching.preview(input, signal, edited?.id);
    if (!hasFields) found.fields = {};
    return { preview: found, document: documentOf(found), sample: sampleOf(input, found) };
  }

  /** The form as a valid watch, its new endpoint made. */
  async function inputOf(request: Posted, form: WatchForm): Promise<WatchInput> {
    const input = validate(watchInput, watchBodyOf(form), "form");
    await deps.watching.watches.check([input]);
    if (form.play) input.endpoint_ids.push(await playReceiver(request));
    const url = form.endpoint_url.trim();
    if (url === "") return input;
    const fault = deps.checkUrl(url);
    if (fault) throw invalid("/endpoint_url", fault);
    const body = validate(endpointBody, { url, event_types: [input.event_type] }, "form");
    const made = await endpoints.create(body, witnessEndpoint<ShownNamed>(request, "create", namedAt(url)));
    input.endpoint_ids.push(made.id);
    return input;
  }

  async function playReceiver(request: Posted): Promise<string> {
    const known = (await readPlayground(deps.database.sql)).endpoints.find(({ url }) => url === PLAY_RECEIVER);
    if (known) return publicId("endpoint", known.id);
    const body = validate(endpointBody, { name: "Play", url: PLAY_RECEIVER }, "form");
    const witness = witnessEndpoint<ShownNamed>(request, "create", namedAt(PLAY_RECEIVER));
    return (await endpoints.create(body, witness)).id;
  }

  return { showForm, showJson, perform };
}

type ShownNamed = { id: string; name: string };

function namedAt(url: string) {
  return ({ name }: ShownNamed) => ({ name, url });
}

/** What people decide about a watch, without how it is doing. */
export function definitionOf(watch: ShownWatch): WatchInput {
  const { id, paused, next_poll_at, last_poll, health, warning, created_at, updated_at, ...definition } = watch;
  return definition;
}

export function textOf(definition: object): string {
  return pretty(stringifyJson(definition));
}

/** With every property there is, if the form can be read as a watch already. */
function textOfForm(form: WatchForm): string {
  const body = watchBodyOf(form);
  return textOf(watchInput.safeParse(body).data ?? body);
}

function editedOf(edited: Edited) {
  return edited && { id: edited.id, name: edited.name, version: edited.updated_at };
}

/** Faults by the field that they are about; of many lines in one field, with the name of the line. */
function faultsOfForm(error: unknown): Faults {
  if (!(error instanceof AppError)) throw error;
  const told = error.faults.map(({ pointer, message }) => {
    const { field, line } = placeOf(pointer);
    return { pointer: `/${field}`, message: line === null ? message : `${line}: ${message}` };
  });
  return faultsOf(new AppError(error.code, error.message, { faults: told }));
}

/** On the JSON page a fault names its whole place. */
function jsonPlace(pointer: string): string {
  return pointer === "/definition" ? "definition" : pointer;
}

function parseDefinition(text: string): JsonObject {
  try {
    const parsed = parseJson(text);
    if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)) return parsed as JsonObject;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw invalid("/definition", `This is not JSON: ${error.message}.`);
  }
  throw invalid("/definition", "Write a JSON object.");
}

function documentOf({ response }: Preview): Json | undefined {
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
