import { Document, isMap, type ScalarTag, visit } from "yaml";
import { endpointInput } from "../../delivering/endpoint_input.ts";
import { AppError } from "../../platform/errors.ts";
import { ExactNumber, equalJson, type Json } from "../../platform/json.ts";
import { SECRET_KINDS, type SecretKind, secretBody } from "../../vault/secret_shapes.ts";
import { watchInput } from "../../watching/watch.ts";
import { SECTIONS, VERSION } from "./file.ts";
import { type Body, endpointsOf, isObject, KINDS, pick, secretOf } from "./resources.ts";
import type { Server, Standing } from "./standing.ts";
import { escaped } from "./variables.ts";

/** The server as the value of a file that `apply` finds nothing to change by. @throws AppError naming doubles */
export function declarationOf(server: Server): Body {
  refuseTwins(server);
  const sections = KINDS.map((kind) => [SECTIONS[kind], [...server[kind]].sort(byName).map(entryOf)] as const);
  return { version: VERSION, ...(escapedAll(Object.fromEntries(sections)) as Body) };
}

/** Numbers with all their digits. */
const EXACT: ScalarTag = {
  tag: "tag:yaml.org,2002:float",
  default: true, // else the tag would be written out
  identify: (value) => value instanceof ExactNumber,
  resolve: (text) => text,
  stringify: ({ value }) => String(value),
};

/** That value as YAML, with a line on how each secret gets its value. */
export function yamlOf(declaration: Body, heading: string): string {
  const document = new Document(declaration, null, { aliasDuplicateObjects: false, customTags: [EXACT] });
  document.commentBefore = heading;
  for (const [index, secret] of (declaration[SECTIONS.secret] as Body[]).entries()) {
    const node = document.getIn([SECTIONS.secret, index]);
    if (isMap(node)) node.comment = ` value: ${valueHint(secret)}`;
  }
  visit(document, {
    Scalar(place, node) {
      if (place === "key" && node.value === "<<") node.type = "QUOTE_DOUBLE"; // bare, it would be a merge key
    },
  });
  return document.toString({ lineWidth: 0 });
}

function refuseTwins(server: Server): void {
  for (const kind of KINDS) {
    const first = new Map<string, string>();
    for (const { name, id } of server[kind]) {
      const other = first.get(name);
      if (other === undefined) first.set(name, id);
      else {
        const both = `Two ${SECTIONS[kind]} are named ${JSON.stringify(name)}: ${other} and ${id}.`;
        throw new AppError("conflict", `${both} A file knows them by their names: rename or delete one.`);
      }
    }
  }
}

function byName(a: Standing, b: Standing): number {
  return a.name < b.name ? -1 : 1;
}

/** In the order in which the API shows a resource, without what is as by default. */
function entryOf(resource: Standing): Body {
  const { kind, body, whole } = resource;
  if (kind === "secret") return pick(body, ["name", "kind", ...(body.hosts == null ? [] : ["hosts"])]);
  const defaults = DEFAULTS[kind];
  const own = Object.entries(body).filter(([name]) => name === "name" || !same(whole[name], defaults[name]));
  const entry = kind === "watch" ? shortWatch(Object.fromEntries(own)) : Object.fromEntries(own);
  const [secret, endpoints] = [secretOf(resource), endpointsOf(resource)];
  return { ...entry, ...(secret === null ? {} : { secret }), ...(endpoints.length === 0 ? {} : { endpoints }) };
}

const FIELD = { path: "$" };
const URL_SOMEWHERE = "https://example.com/";

/** What the schemas themselves put in. */
const DEFAULTS: Record<"endpoint" | "watch", Body> = {
  endpoint: endpointInput(() => null).parse({ name: "-", url: URL_SOMEWHERE }),
  watch: plainWatch({ fields: { field: FIELD } }),
};

function plainWatch(members: Body) {
  return watchInput.parse({ name: "-", request: { url: URL_SOMEWHERE }, schedule: { every: "1s" }, ...members });
}

const COLLECTING = plainWatch({ items: { path: "$", key: "$", fields: { field: FIELD } } });

/** The defaults inside of members. */
function shortWatch(watch: Body): Body {
  const short = { ...watch };
  if (isObject(watch.request)) short.request = without(watch.request, COLLECTING.request);
  if (isObject(watch.fields)) short.fields = shortFields(watch.fields);
  if (isObject(watch.items)) {
    const items = without(watch.items, { ...COLLECTING.items, path: undefined, key: undefined });
    short.items = isObject(items.fields) ? { ...items, fields: shortFields(items.fields) } : items;
  }
  if (isObject(watch.pagination)) short.pagination = shortPagination(watch.pagination);
  return short;
}

function shortFields(fields: Body): Body {
  const plain = COLLECTING.items?.fields.field as Body;
  const short = (field: unknown) => (isObject(field) ? without(field, { ...plain, path: undefined }) : field);
  return Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, short(field)]));
}

function shortPagination(pagination: Body): Body {
  const { type, path } = pagination;
  const least = path === undefined ? { type } : { type, path };
  const { pagination: defaults } = plainWatch({ items: COLLECTING.items, pagination: least });
  return without(pagination, {
    ...defaults,
    ...Object.fromEntries(Object.keys(least).map((name) => [name, undefined])),
  });
}

function without(body: Body, defaults: Body): Body {
  return Object.fromEntries(
    Object.entries(body).filter(([name, value]) => defaults[name] === undefined || !same(value, defaults[name])),
  );
}

/** `${ERP_PASSWORD}` and the like, in the form that the kind of secret takes. */
function valueHint({ name, kind }: Body): string {
  const variable = String(name)
    .toUpperCase()
    .replace(/[^A-Z0-9]+/g, "_")
    .replace(/^(?=\d)|^$/, "_");
  const shape = secretBody.options[SECRET_KINDS.indexOf(kind as SecretKind)]?.shape.value;
  if (!shape || !("shape" in shape)) return `\${${variable}}`;
  const members = Object.entries(shape.shape).filter(([, member]) => !member.safeParse(undefined).success);
  return `{${members.map(([member]) => `${member}: \${${variable}_${member.toUpperCase()}}`).join(", ")}}`;
}

function escapedAll(value: unknown): unknown {
  if (typeof value === "string") return escaped(value);
  if (Array.isArray(value)) return value.map(escapedAll);
  if (!isObject(value) || value instanceof ExactNumber) return value;
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, escapedAll(member)]));
}

function same(a: unknown, b: unknown): boolean {
  return equalJson((a ?? null) as Json, (b ?? null) as Json);
}
