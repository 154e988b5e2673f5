import { endpointInput, endpointPatch } from "../../delivering/endpoint_input.ts";
import type { CheckUrl } from "../../delivering/input.ts";
import { validate } from "../../http/validation.ts";
import { AppError, type FieldFault } from "../../platform/errors.ts";
import { nearest } from "../../platform/nearest.ts";
import { secretBody, secretPatch } from "../../vault/secret_shapes.ts";
import { watchInput } from "../../watching/watch.ts";

/** The kinds of things that the file declares, each before what refers to it. */
export const KINDS = ["secret", "endpoint", "watch"] as const;
export type Kind = (typeof KINDS)[number];

export type Body = Record<string, unknown>;

/** One resource, as the file declares it or as the server has it. */
export type Resource = {
  kind: Kind;
  name: string;
  /** As the API takes and shows it, without what refers to others. */
  body: Body;
  /** Every property with its default, the secret and endpoints by their names: equal resources have equal ones. */
  whole: Body;
};

export type Judged = { resource: Resource; faults: [] } | { resource: null; faults: FieldFault[] };

/** The references of the API, by id, and of the file, by name. */
const BY_NAME: Readonly<Record<string, string>> = { secret_id: "secret", endpoint_ids: "endpoints" };

const PROPERTIES: Record<Kind, readonly string[]> = {
  secret: ["name", "kind", "value", "hosts"],
  endpoint: Object.keys(endpointPatch.shape),
  watch: Object.keys(watchInput.shape),
};

/** What the API knows of one kind, by the API's own names. */
export function propertiesOf(kind: Kind): readonly string[] {
  return PROPERTIES[kind];
}

/** The file's name of a property. */
export function inFile(property: string): string {
  return BY_NAME[property] ?? property;
}

/** The names that a resource refers to. */
export function secretOf({ whole }: Pick<Resource, "whole">): string | null {
  return (whole.secret ?? null) as string | null;
}

export function endpointsOf({ whole }: Pick<Resource, "whole">): readonly string[] {
  return (whole.endpoints ?? []) as string[];
}

/**
 * Reads one entry of the file by the very schemas of the API, so that it says what the API would say.
 * @returns the resource, or faults whose pointers start at the entry
 */
export function judge(kind: Kind, entry: unknown, checkUrl: CheckUrl): Judged {
  if (!isObject(entry)) return refused([{ pointer: "", message: "must be an object" }]);
  const known = PROPERTIES[kind].map(inFile);
  const { secret = null, endpoints, ...rest } = entry;
  const unknown = Object.keys(entry).filter((property) => !known.includes(property));
  const faults = [
    ...unknown.map((property) => ({ pointer: pointerOf(property), message: unknownProperty(property, known) })),
    ...(entry.name === undefined && kind === "endpoint" ? [NAMELESS] : []),
    ...(known.includes("secret") ? secretFaults(secret) : []),
    ...(known.includes("endpoints") ? endpointFaults(endpoints) : []),
  ];
  const body = Object.fromEntries(Object.entries(rest).filter(([property]) => known.includes(property)));
  const read = readBody(kind, body, checkUrl);
  if (Array.isArray(read)) return refused([...faults, ...read]);
  if (faults.length > 0) return refused(faults);
  if (kind === "endpoint" && isObject(body.headers)) body.headers = lowerNames(body.headers);

  const { secret_id: _, endpoint_ids: __, ...whole } = read;
  if (known.includes("secret")) whole.secret = secret;
  if (known.includes("endpoints")) whole.endpoints = endpoints ?? [];
  return { resource: { kind, name: String(whole.name), body: { ...body, name: whole.name }, whole }, faults: [] };
}

/** What the API makes of a body without references, defaults applied. @returns that, or its faults */
function readBody(kind: Kind, body: Body, checkUrl: CheckUrl): Body | FieldFault[] {
  try {
    if (kind === "watch") return checkedWatch(body, checkUrl);
    if (kind === "endpoint") return validate(endpointSchema(checkUrl), body, "body");
    return checkedSecret(body, checkUrl);
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    return error.faults.length > 0 ? [...error.faults] : [{ pointer: "", message: error.message }];
  }
}

/** Making a schema takes far longer than using it. */
const endpointSchemas = new WeakMap<CheckUrl, ReturnType<typeof endpointInput>>();

function endpointSchema(checkUrl: CheckUrl): ReturnType<typeof endpointInput> {
  const known = endpointSchemas.get(checkUrl) ?? endpointInput(checkUrl);
  endpointSchemas.set(checkUrl, known);
  return known;
}

function checkedWatch(body: Body, checkUrl: CheckUrl): Body | FieldFault[] {
  const watch = validate(watchInput, body, "body");
  const message = checkUrl(watch.request.url);
  return message === null ? watch : [{ pointer: "/request/url", message }];
}

/** One without a value is as it is on the server. */
function checkedSecret(body: Body, checkUrl: CheckUrl): Body | FieldFault[] {
  if (body.value !== undefined && body.value !== null) {
    const secret = validate(secretBody, body, "body");
    const url = secret.kind === "oauth2_client_credentials" ? secret.value.token_url : null;
    const message = url === null ? null : checkUrl(url);
    return message === null ? secret : [{ pointer: "/value/token_url", message }];
  }
  const faultsButValue = faultsOfSecret(body).filter(({ pointer }) => !pointer.startsWith("/value"));
  return faultsButValue.length > 0 ? faultsButValue : validate(secretPatch, { ...body, value: undefined }, "body");
}

function faultsOfSecret(body: Body): readonly FieldFault[] {
  try {
    validate(secretBody, body, "body");
    return [];
  } catch (error) {
    if (error instanceof AppError) return error.faults;
    throw error;
  }
}

const NAMELESS = { pointer: "", message: "needs a name: by it the resource is known" };

function secretFaults(secret: unknown): FieldFault[] {
  if (secret === null || typeof secret === "string") return [];
  return [{ pointer: "/secret", message: "must be the name of a secret" }];
}

function endpointFaults(endpoints: unknown): FieldFault[] {
  const isList = Array.isArray(endpoints) && endpoints.every((name) => typeof name === "string");
  if (isList || endpoints === undefined || endpoints === null) return [];
  return [{ pointer: "/endpoints", message: "must be a list of the names of endpoints" }];
}

function unknownProperty(property: string, known: readonly string[]): string {
  const byName = BY_NAME[property];
  if (byName !== undefined && known.includes(byName)) return `refer to it by its name: write ${JSON.stringify(byName)}`;
  const near = nearest(property, known);
  return near ? `unknown property; did you mean ${JSON.stringify(near)}?` : "unknown property";
}

/** As the API keeps the headers of an endpoint. */
function lowerNames(headers: Body): Body {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}

function refused(faults: FieldFault[]): Judged {
  return { resource: null, faults };
}

/** For what the server has accepted already. */
export const ANY_URL: CheckUrl = () => null;

export function isObject(value: unknown): value is Body {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function pointerOf(property: string): string {
  return `/${property.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

export function pick(body: Body, properties: readonly string[]): Body {
  return Object.fromEntries(properties.flatMap((name) => (name in body ? [[name, body[name]] as const] : [])));
}
